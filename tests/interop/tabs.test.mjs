// Two tabs that save to one path at the same time: whoever loads gets one of the models, whole, and never a mixture.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { open } from '../lib/suite.mjs';

const MODELS = { A: ['model A', 1, 200000], B: ['model B', 2, 200000] };

/**
 * What a tab may see. Chromium hands Local Storage from process to process string by string, and in no order with
 * Web Locks: there a mixture can arise, but must be detected.
 */
const SEEN = { localstorage: ['A', 'B', 'ERR_CORRUPT'], indexeddb: ['A', 'B'] };

/**
 * In the page: saves `mine`, loads a few times, and so on for a while; counts what it loaded. The pauses let the other
 * tab's strings come through: Chromium holds them back from a tab that has just written the same keys.
 */
async function work({ url, mine, models, ms }) {
  const { save, load } = await T.library('tfpersist');
  const prints = {};
  for (const [name, model] of Object.entries(models)) prints[await T.print(T.plain(...model))] = name;
  const next = T.random(mine?.charCodeAt() ?? 0);
  const look = async () => {
    const { value, error } = await T.attempt(async () => T.print(await load(url)));
    return error ? error.code ?? error.message : prints[value] ?? 'a mixture';
  };
  if (!mine) return look();
  const counts = {};
  for (const end = performance.now() + ms; performance.now() < end;) {
    await save(T.plain(...models[mine]), url);
    for (let i = 0; i < 4; i++) {
      await new Promise((resolve) => setTimeout(resolve, next() * 20));
      const what = await look();
      counts[what] = (counts[what] ?? 0) + 1;
    }
  }
  return counts;
}

for (const store of Object.keys(SEEN)) {
  test(`${store}: two tabs save different models to one path`, async () => {
    const first = await open({ html: 'bare' });
    const tabs = [first, await first.another()];
    const job = { url: `${store}://m`, models: MODELS, ms: 3000 };
    const counts = await Promise.all(tabs.map((tab, i) => tab.evaluate(work, { ...job, mine: 'AB'[i] })));
    const last = await Promise.all(tabs.map((tab) => tab.evaluate(work, job)));
    console.log(`  ${store}: the tabs saw ${JSON.stringify(counts)}, at last ${last}`);
    for (const seen of [...counts, { [last[0]]: 1, [last[1]]: 1 }]) {
      assert.deepEqual(Object.keys(seen).filter((what) => !SEEN[store].includes(what)), []);
    }
    for (const seen of counts) assert.ok(seen.A > 0 && seen.B > 0, 'a tab never saw the other one: nothing was tested');
    await first.close();
  });
}
