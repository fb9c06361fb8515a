// A service worker of somebody's: `import()` is forbidden here, so it imports everything at once.
import { load, save } from 'ENTRY';

addEventListener('message', async ({ source }) => {
  const outcome = {};
  try {
    await save({ modelTopology: { sw: 1 } }, 'indexeddb://from-service-worker');
    outcome.saved = true;
    outcome.loaded = (await load([new File([JSON.stringify({ modelTopology: { b: 3 } })], 'm.json')])).modelTopology;
  } catch (error) {
    outcome.error = error.name;
  }
  source.postMessage(outcome);
});
