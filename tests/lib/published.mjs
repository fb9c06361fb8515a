// A model as a converter publishes it, for servers and file inputs: made without either library.
import { plain } from './artifacts.mjs';
import { join } from './bytes.mjs';

/** `[name, Buffer]` of model.json and its shards of `shard` bytes; `change` may alter the manifest before it is written. */
export function publish({ weightData, weightSpecs, ...rest }, shard, { folder = '', change = (manifest) => manifest } = {}) {
  const bytes = Buffer.from(join(weightData));
  const count = Math.ceil(bytes.length / shard);
  const paths = Array.from({ length: count }, (_, i) => `group1-shard${i + 1}of${count}.bin`);
  const weightsManifest = change([{ paths, weights: weightSpecs }]);
  const shards = paths.map((path, i) => [folder + path, bytes.subarray(i * shard, (i + 1) * shard)]);
  return [[`${folder}model.json`, Buffer.from(JSON.stringify({ ...rest, weightsManifest }))], ...shards];
}

/** A model of `bytes` bytes, and its files. */
export function publishPlain(bytes, shard, options) {
  const artifacts = plain('published', 3, bytes);
  return { artifacts, files: publish(artifacts, shard, options) };
}
