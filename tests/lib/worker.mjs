// A module worker that does in a worker what pages do, and answers with what came of it.
import { plain, print } from './artifacts.mjs';
import { attempt, library } from './libraries.mjs';

async function work() {
  const { save, load, loadModel, listModels, copyModel, moveModel, removeModel, handler } = await library('tfpersist');
  const model = plain('from a worker', 1, 300000);
  const saved = (await save(model, 'indexeddb://kept')).modelArtifactsInfo;
  await copyModel('indexeddb://kept', 'indexeddb://copied');
  await moveModel('indexeddb://copied', 'memory://moved');
  await handler('indexeddb://gone').save(model);
  const removed = await removeModel('indexeddb://gone');
  const urls = Object.keys(await listModels()).sort();
  const loaded = await Promise.all(['indexeddb://kept', 'memory://moved'].map(async (url) => print(await load(url))));
  const served = await load('/tests/fixtures/converter/layers/model.json', { cache: 'indexeddb://cached', joined: true });
  await removeModel('indexeddb://cached');
  const chosen = await load([new File([new Uint8Array(16)], 'w.bin'), new File([JSON.stringify({ modelTopology: {}, weightsManifest:
    [{ paths: ['w.bin'], weights: [{ name: 'w', shape: [4], dtype: 'float32' }] }] })], 'm.json')]);
  const url = 'localstorage://m';
  // TF.js itself is a classic script, which a module worker cannot import: this stands where `tf` would.
  const standIn = { loadLayersModel: async (source) => print(await source.load()) };
  return {
    saved: saved.weightDataBytes,
    removed: removed.weightDataBytes,
    urls,
    served: served.weightData.byteLength,
    chosen: chosen.weightData.byteLength,
    same: loaded.every((p) => p === loaded[0]) && loaded[0] === await print(model),
    loadModel: await loadModel(standIn, 'indexeddb://kept') === loaded[0],
    refused: {
      save: await attempt(() => save(model, url)),
      load: await attempt(() => load(url)),
      copy: await attempt(() => copyModel('indexeddb://kept', url)),
      move: await attempt(() => moveModel('indexeddb://kept', url)),
      remove: await attempt(() => removeModel(url)),
      handler: await attempt(() => handler(url).save(model)),
    },
  };
}

postMessage(await attempt(work));
