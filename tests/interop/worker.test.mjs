// In a dedicated worker, in each engine: IndexedDB works, and Local Storage is refused with the reason.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { plain, print } from '../lib/artifacts.mjs';
import { ENGINES, openIn } from '../lib/engines.mjs';

for (const engine of ENGINES) {
  test(`${engine}: a module worker saves to IndexedDB, the page loads it; Local Storage says why not`, async () => {
    const page = await openIn(engine);
    try {
      const { value, error } = await page.evaluate(() => new Promise((resolve, reject) => {
        const worker = new Worker('/tests/lib/worker.mjs', { type: 'module' });
        worker.onmessage = ({ data }) => resolve(data);
        worker.onerror = ({ message }) => reject(new Error(`the worker does not start: ${message}`));
      }));
      assert.equal(error, undefined);
      const { refused, ...rest } = value;
      assert.deepEqual(rest, {
        saved: 300000, removed: 300000, served: 1020, chosen: 16, urls: ['indexeddb://kept', 'memory://moved'], same: true, loadModel: true,
      });
      for (const [verb, outcome] of Object.entries(refused)) {
        assert.equal(outcome.error?.code, 'ERR_NOT_SUPPORTED', `${verb}: ${JSON.stringify(outcome)}`);
        assert.equal(outcome.error.scheme, 'localstorage', verb);
        assert.match(outcome.error.why, /worker/i, verb);
      }
      // What the worker saved is there for the page, after a reload.
      await page.reload();
      const found = await page.evaluate(async () => {
        const { load, listModels } = await T.library('tfpersist');
        return [Object.keys(await listModels()), await T.print(await load('indexeddb://kept'))];
      });
      assert.deepEqual(found, [['indexeddb://kept'], await print(plain('from a worker', 1, 300000))]);
    } finally {
      await page.close();
    }
  });
}
