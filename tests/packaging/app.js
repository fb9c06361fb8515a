// What a page of somebody's does with the package: it needs both builds of the wasm. The answer is for packaging.test.mjs.
import { load, save, listModels } from 'tfpersist';

const model = {
  modelTopology: { a: 1 },
  weightSpecs: [{ name: 'w', shape: [4], dtype: 'float32' }],
  weightData: new Float32Array([1, 2, 3, 4]).buffer,
  format: 'layers-model',
};

async function work() {
  const fetched = () => performance.getEntriesByType('resource').map(({ name }) => name).filter((name) => name.includes('.wasm')).length;
  await save(model, 'indexeddb://packaged');
  await save(model, 'memory://shared');
  const first = fetched();
  const json = new File([JSON.stringify({ modelTopology: { b: 2 } })], 'm.json');
  const { modelTopology } = await load([json]);
  return { first, both: fetched(), listed: Object.keys(await listModels()), modelTopology };
}

work().then((value) => { document.title = JSON.stringify(value); }, (error) => { document.title = String(error?.stack ?? error); });
