// Saves that must fail, for the page: the names are those of the table in interop/refused.test.mjs.
import { plain, print, streamed } from './artifacts.mjs';
import { attempt, library } from './libraries.mjs';
import { clear, dumpHash } from './storage.mjs';

const BYTES = 4000;
const REASON = 'enough of this'; // a signal's reason may be anything; it comes back as it is
const model = () => plain('new', 2, BYTES);
const specs = (change) => ({ ...model(), weightSpecs: [{ ...model().weightSpecs[0], ...change }] });

function broken() {
  const { weightData, ...rest } = model();
  const getWeightStream = () => new ReadableStream({
    start(controller) {
      controller.enqueue(weightData.slice(0, 1000));
      setTimeout(() => controller.error(new Error('the line went dead')), 10);
    },
  });
  return { ...rest, getWeightStream };
}

function circle() {
  const artifacts = model();
  artifacts.modelTopology.config.self = artifacts.modelTopology;
  return artifacts;
}

function firesMeanwhile() {
  const controller = new AbortController();
  const { weightData, ...rest } = model();
  // In the middle for certain: while the weights are pulled.
  const getWeightStream = () => new ReadableStream({
    pull(stream) {
      stream.enqueue(weightData.slice(0, 1000));
      controller.abort(REASON);
    },
  }, { highWaterMark: 0 });
  return [{ ...rest, getWeightStream }, { signal: controller.signal }];
}

/** Name -> arguments of the save: artifacts, options. */
const SAVES = {
  'too few bytes': () => [{ ...model(), weightData: model().weightData.slice(4) }],
  'too many bytes': () => [{ ...model(), weightData: [model().weightData, new ArrayBuffer(4)] }],
  'a stream that ends early': () => [streamed({ ...model(), weightData: model().weightData.slice(4) })],
  'a stream that breaks': () => [broken()],
  'an unknown dtype': () => [specs({ dtype: 'float64' })],
  'a negative shape': () => [specs({ shape: [-1000] })],
  'two weights of one name': () => [
    { ...model(), weightSpecs: [1, 2].map(() => ({ name: 'w', shape: [500], dtype: 'float32' })) },
  ],
  'a topology in a circle': () => [circle()],
  'a signal that has fired': () => [model(), { signal: AbortSignal.abort(REASON) }],
  'a signal that fires meanwhile': firesMeanwhile,
  'an option that does not exist': () => [model(), { overwite: true }],
  'overwrite: false': () => [model(), { overwrite: false }],
};

/** Each of these saves over an old model: how it fails, and what it does to the store. */
export async function refusedSaves(url) {
  const { save } = await library('tfpersist');
  const { load } = await library('tf.io');
  const old = plain('old', 1, BYTES);
  await clear();
  await save(old, url);
  const before = await dumpHash();
  const rows = [];
  for (const [name, make] of Object.entries(SAVES)) {
    const [artifacts, options] = make();
    let reason;
    const { error } = await attempt(() => save(artifacts, url, options).catch((e) => {
      reason = e;
      throw e;
    }));
    rows.push({
      name,
      error,
      code: reason === REASON ? 'reason' : error?.code,
      untouched: await dumpHash() === before,
      loads: await print(await load(url)) === await print(old),
    });
  }
  return rows;
}
