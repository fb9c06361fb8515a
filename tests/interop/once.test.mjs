// What is asked of the host only once in a page, and is therefore not in the fault table: which databases there are, and a worker for opfs://.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ENGINES, openIn } from '../lib/engines.mjs';

const work = (page, how, urls) => page.evaluate(async ({ how, urls }) => (await T.once()).work(how, urls), { how, urls });

/** Another document, for certain. */
async function anew(page) {
  const born = () => page.evaluate(() => performance.timeOrigin);
  const before = await born();
  for (let i = 0; i < 10; i++) {
    await page.reload();
    if (await born() !== before) return;
  }
  throw new Error('the page is not reloaded');
}

const BOTH = ['indexeddb://m', 'opfs://m'];
const CASES = [
  ['databases() throws', BOTH, 'yes'], ['databases() rejects', BOTH, 'yes'], ['there is no databases()', BOTH, 'yes'],
  ['no worker can be made', ['opfs://m'], 'yes'], ['no worker starts', ['opfs://m'], 'yes'],
  ['a worker never says that it is there', ['opfs://m'], 'yes'], ['the worker is of another version', ['opfs://m'], 'yes'],
  ['the first worker dies at its first task', ['opfs://m'], 'ERR_STORAGE'],
];
for (const engine of ENGINES.filter((name) => name !== 'webkit')) { // which has no such file system here
  test(`${engine}: what is asked once in a page fails`, async (t) => {
    const page = await openIn(engine);
    for (const [how, urls, saved] of CASES) {
      await t.test(how, async () => {
        await page.evaluate(async (urls) => {
          const { save } = await T.library('tfpersist');
          for (const url of urls) await save(T.plain('before', 1, 4000), url, url.startsWith('indexeddb') ? { layout: 'sharded' } : {});
        }, urls);
        await anew(page); // nothing is known any more
        const expected = { there: true, missing: 'ERR_NOT_FOUND', saved, right: true, left: true };
        assert.deepEqual(await work(page, how, urls), urls.map((url) => ({ url, ...expected })));
        await anew(page);
      });
    }
    await page.close();
  });
}
