// Models as plain ModelArtifacts, for tests that need bytes rather than predictions.
import { join, noise, sha256 } from './bytes.mjs';

/**
 * A model of `bytes` bytes of weights. Two of different names and the same size are equally long in each of
 * their parts and differ in each, so that a mixture is visible only to someone who compares.
 */
export function plain(name, seed, bytes) {
  return {
    modelTopology: { class_name: 'Test', config: { name, layers: [{ class_name: 'Dense', config: { units: 1.5e-7 } }] } },
    format: 'layers-model',
    generatedBy: 'tests',
    convertedBy: null,
    userDefinedMetadata: { author: name },
    weightData: noise(seed, bytes),
    weightSpecs: [{ name: `${name}/kernel`, shape: [bytes / 4], dtype: 'float32' }],
  };
}

/**
 * One string that is the same for the same artifacts. The order of the outermost keys and absent fields do not count,
 * and no weights are the same as 0 bytes of them: TF.js itself makes one of the other.
 */
export async function fingerprint(artifacts) {
  const { weightData = new ArrayBuffer(0), getWeightStream, ...rest } = artifacts;
  if (getWeightStream) throw new Error('bytes, please');
  const known = Object.keys(rest).filter((key) => rest[key] !== undefined).sort();
  const text = JSON.stringify(known.map((key) => [key, rest[key]]));
  return `${text} ${await sha256(join(weightData))}`;
}

/** The same as a short hash. */
export async function print(artifacts) {
  return sha256(new TextEncoder().encode(await fingerprint(artifacts)));
}

/** The artifacts with what their stream gives as bytes instead. */
export async function drained({ getWeightStream, ...rest }) {
  const [reader, pieces] = [getWeightStream().getReader(), []];
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return { ...rest, weightData: join(pieces) };
    pieces.push(value);
  }
}

/** Freezes everything but ArrayBuffers, which cannot be frozen. */
export function deepFreeze(value) {
  if (value === null || typeof value !== 'object' || value instanceof ArrayBuffer) return value;
  Object.values(value).forEach(deepFreeze);
  return Object.freeze(value);
}

/** The artifacts with their bytes in a stream instead, in chunks made by `wrap`, of awkward sizes. */
export function streamed({ weightData, ...rest }, wrap = (bytes) => bytes.slice().buffer) {
  const bytes = new Uint8Array(join(weightData));
  const getWeightStream = () => {
    let at = 0;
    return new ReadableStream({
      pull(controller) {
        if (at >= bytes.length) return controller.close();
        const size = [1, 7, 4096, 0, 65537][at % 5];
        controller.enqueue(wrap(bytes.subarray(at, at + size)));
        at += size || 1;
        if (size === 0) controller.enqueue(wrap(bytes.subarray(at - 1, at)));
      },
    });
  };
  return { ...rest, getWeightStream };
}
