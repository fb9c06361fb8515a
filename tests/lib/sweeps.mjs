// Works in one tab that another one sweeps into: a stream that is half read, a save that takes its time.
import { print } from './artifacts.mjs';
import { catalog, sharded } from './shards.mjs';
import { attempt } from './libraries.mjs';
import { join } from './bytes.mjs';

const kept = {};

/** Begins to read a model as a stream, and reads its first chunk. */
export async function readFirst(url) {
  const { load } = await sharded();
  const { getWeightStream, ...header } = await load(url, { stream: true });
  const reader = getWeightStream().getReader();
  const { value } = await reader.read();
  Object.assign(kept, { header, reader, chunks: [value], getWeightStream });
  return value.byteLength;
}

/** Reads on to the end; the print of the whole, or the error. */
export async function readRest() {
  const { header, reader, chunks } = kept;
  const { error } = await attempt(async () => {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      chunks.push(value);
    }
  });
  return { chunks: chunks.length, error: error ?? null, print: error ? undefined : await print({ ...header, weightData: join(chunks) }) };
}

/** Nobody reads on; `pending`: though a read is under way. The artifacts stay referenced: no lock may hang on the garbage collector. */
export async function cancelReading({ pending }) {
  const read = pending && attempt(async () => { await kept.reader.read(); });
  await kept.reader.cancel();
  await read;
}

/** Begins to save a model as a stream that gives a chunk only when `feed` is called; `goOn` is what has not been given. */
export async function beginSave({ url, model, parts }) {
  const { save } = await sharded();
  const { weightData, ...header } = globalThis.T.layered(...model);
  const bytes = new Uint8Array(join(weightData));
  const step = Math.ceil(bytes.length / parts);
  let wake;
  const slow = { at: 0, allowed: 0 };
  const getWeightStream = () => new ReadableStream({
    async pull(controller) {
      while (slow.at >= slow.allowed) await new Promise((resolve) => { wake = resolve; });
      if (slow.at * step >= bytes.length) return controller.close();
      controller.enqueue(bytes.slice(slow.at * step, (slow.at + 1) * step));
      slow.at += 1;
      return undefined;
    },
  });
  slow.give = (count) => { slow.allowed += count; wake?.(); };
  kept.slow = slow;
  kept.saving = attempt(async () => (await save({ ...header, getWeightStream }, url, { layout: 'sharded' })).modelArtifactsInfo.weightDataBytes, 60000);
}

/** Lets so many chunks of the save go on. */
export const feed = (count) => kept.slow.give(count);

/** What came of the save. */
export const saved = () => kept.saving;

/** Waits until the save has put as many shards into the pool. */
export async function untilWritten(scheme, count) {
  for (let i = 0; i < 200; i++) {
    const { pools, pending } = await catalog();
    if (Object.keys(pools[scheme]).length >= count && Object.keys(pending).length > 0) return true;
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
  return false;
}

/** Saves, copies, overwrites, removes and sweeps, again and again, also at `path`; how many shards came and went meanwhile. */
export async function disturb({ scheme, rounds, path }) {
  const { save, removeModel, sweep, copyModel } = await sharded();
  const { layered } = globalThis.T;
  const [seen, options] = [new Set(), { layout: 'sharded' }];
  const look = async () => Object.keys((await catalog()).pools[scheme]);
  for (let i = 0; i < rounds; i++) {
    await save(layered('other', [['a', 400000, 1000 + i]]), `${scheme}://other`, options);
    await copyModel(`${scheme}://other`, `${scheme}://copy`);
    await removeModel(`${scheme}://other`);
    await sweep();
    await save(layered('small', [['a', 4000, 2000 + i]]), `${scheme}://${path}`, options);
    for (const name of await look()) seen.add(name);
    await removeModel(`${scheme}://copy`);
    if (i % 2) await removeModel(`${scheme}://${path}`);
    await sweep();
  }
  const left = await look();
  return [...seen].filter((name) => !left.includes(name)).length;
}
