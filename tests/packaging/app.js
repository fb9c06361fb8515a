// What a page of somebody's does with the package: it needs both builds of the wasm. The answer is for packaging.test.mjs.
import { load, save, listModels } from 'tfpersist';

const model = {
  modelTopology: { a: 1 },
  weightSpecs: [{ name: 'w', shape: [4], dtype: 'float32' }],
  weightData: new Float32Array([1, 2, 3, 4]).buffer,
  format: 'layers-model',
};

/** Who writes for opfs://: the worker, by the protocol of its URL, or this page through streams. */
function watchWriters() {
  const tried = [];
  let streams = 0;
  globalThis.Worker = class extends Worker {
    constructor(url, options) {
      super(url, options);
      tried.push(new URL(url).protocol);
    }
  };
  const { createWritable } = FileSystemFileHandle.prototype;
  FileSystemFileHandle.prototype.createWritable = function create(...args) {
    streams += 1;
    return createWritable.apply(this, args);
  };
  return () => ({ tried, streams });
}

async function filed() {
  const writers = watchWriters();
  await save(model, 'opfs://packaged');
  const { weightData } = await load('opfs://packaged');
  return { weights: [...new Float32Array(await new Blob([weightData].flat()).arrayBuffer())], ...writers() };
}

async function work() {
  const fetched = () => performance.getEntriesByType('resource').map(({ name }) => name).filter((name) => name.includes('.wasm')).length;
  await save(model, 'indexeddb://packaged');
  await save(model, 'memory://shared');
  const first = fetched();
  const json = new File([JSON.stringify({ modelTopology: { b: 2 } })], 'm.json');
  const { modelTopology } = await load([json]);
  const [both, listed] = [fetched(), Object.keys(await listModels())];
  return { first, both, listed, modelTopology, filed: await filed() };
}

work().then((value) => { document.title = JSON.stringify(value); }, (error) => { document.title = String(error?.stack ?? error); });
