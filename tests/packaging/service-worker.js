// A service worker of somebody's: `import()` is forbidden here, so it imports everything at once.
import { load, save } from 'ENTRY';

addEventListener('message', async ({ source }) => {
  const outcome = {};
  try {
    await save({ modelTopology: { sw: 1 } }, 'indexeddb://from-service-worker');
    outcome.saved = true;
    await save({ modelTopology: { sw: 2 }, weightSpecs: [{ name: 'w', shape: [3], dtype: 'bool' }], weightData: new Uint8Array([1, 0, 1]).buffer }, 'opfs://from-service-worker');
    const { weightData } = await load('opfs://from-service-worker');
    outcome.filed = [...new Uint8Array(await new Blob([weightData].flat()).arrayBuffer())];
    outcome.loaded = (await load([new File([JSON.stringify({ modelTopology: { b: 3 } })], 'm.json')])).modelTopology;
  } catch (error) {
    outcome.error = [error.name, error.code, error.cause?.name].join();
  }
  source.postMessage(outcome);
});
