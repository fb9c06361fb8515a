// The page's side: a model of any size whose bytes are made when they are asked for, and hashed as they go by.
import { hex, noise } from '../lib/bytes.mjs';
import { files, sharded } from '../lib/shards.mjs';
import { done } from '../lib/storage.mjs';

const BLOCK = 2 ** 22;
const WEIGHT = 2 ** 26;

const template = noise(1, BLOCK);

/** No two blocks are alike, and no page of one is like another's. */
function block(index) {
  const words = new Uint32Array(template.slice());
  for (let page = 0; page < words.length; page += 1024) words[page] = index * 1024 + page / 1024;
  return words.buffer;
}

const hash = async (bytes) => hex(await crypto.subtle.digest('SHA-256', bytes));

let made = [];

/** Saves a model of so many bytes as a stream. */
export async function save(url, bytes) {
  const { save: saveTo } = await sharded();
  made = [];
  const getWeightStream = () => new ReadableStream({
    async pull(controller) {
      if (made.length * BLOCK === bytes) return controller.close();
      const next = block(made.length);
      made.push(await hash(next));
      if (made.length % 16 === 0) globalThis.gc(); // as below
      controller.enqueue(next);
      return undefined;
    },
  }, { highWaterMark: 0 });
  const weightSpecs = Array.from({ length: bytes / WEIGHT }, (_, i) => ({ name: `w${i}`, shape: [WEIGHT / 4], dtype: 'float32' }));
  const model = { modelTopology: { class_name: 'Big' }, format: 'layers-model', generatedBy: 'tests', convertedBy: null, weightSpecs, getWeightStream };
  const { modelArtifactsInfo } = await saveTo(model, url, { layout: 'sharded' });
  return modelArtifactsInfo.weightDataBytes;
}

export async function list(url) {
  return (await (await sharded()).listModels())[url].weightDataBytes;
}

/** As many bytes as there are, when nothing is damaged. */
export async function verify(url) {
  const { damage, weightDataBytes } = await (await sharded()).verify(url);
  if (damage) throw damage;
  return weightDataBytes;
}

/** Reads it as a stream; throws at the first block that is not what was saved. */
export async function read(url) {
  const { getWeightStream } = await (await sharded()).load(url, { stream: true });
  let [bytes, blocks] = [0, 0];
  for (const reader = getWeightStream().getReader(); ;) {
    const { done: isEnd, value } = await reader.read();
    if (isEnd) return bytes;
    const piece = new Uint8Array(value);
    for (let at = 0; at < piece.length; at += BLOCK) {
      if (await hash(piece.subarray(at, at + BLOCK)) !== made[blocks]) throw new Error(`block ${blocks} is another`);
      blocks += 1;
    }
    bytes += value.byteLength;
    globalThis.gc(); // what is measured is the library, not how late the engine collects what its caller is done with
  }
}

/** How many shards lie in the pools: counted, not read. */
async function shards() {
  const db = await done(indexedDB.open('tfpersist'));
  const records = await done(db.transaction('pool').objectStore('pool').count());
  db.close();
  return records + Object.keys(await files()).length;
}

/** Removes it, and sweeps; how many shards that took away, and how many are left. */
export async function remove(url) {
  const { removeModel, sweep } = await sharded();
  const before = await shards();
  await removeModel(url);
  await sweep();
  const left = await shards();
  return [before - left, left];
}

/** So that what follows does not count what is loaded first. */
export const begin = async () => { await (await sharded()).listModels(); };
