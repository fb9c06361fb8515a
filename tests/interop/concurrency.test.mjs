// Several at once on the same few paths, two tabs and a worker (in Local Storage three tabs), while TF.js works on the same database:
// nobody ever gets a mixture, nothing hangs, nothing is lost that nobody removed, and in the end the list is what can be loaded.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ENGINES, openIn } from '../lib/engines.mjs';

const LEAST = 3; // of each kind of call, by each actor, or nothing was shown
const PATIENCE = 20000; // ms, for one call
const MS = 8000;

/**
 * Local Storage goes from process to process string by string, in no order with Web Locks. The pauses let the others' strings come through:
 * Chromium holds them back from a tab that has just written the same keys. `torn` is what a store may come to all the same: nothing.
 */
const STORES = {
  indexeddb: { sizes: [1e5, 1e6, 3e6, 8e6], torn: [], worker: true, rest: 0 },
  localstorage: { sizes: [2e5, 2e5], torn: [], worker: false, rest: 20 },
};

/** Name of each model -> the arguments of `plain`; the token belongs to nobody. */
function modelsOf(sizes) {
  const rows = ['A', 'B', 'C'].flatMap((who, i) => sizes.map((bytes, n) => [`${who}${n}`, [`model ${who}${n}`, 10 * i + n + 1, bytes]]));
  return Object.fromEntries([...rows, ['token', ['the token', 99, sizes[0]]]]);
}

/** What each kind of call may come to besides success; `torn` is what a mixture is. */
const allowed = (torn) => {
  const missing = ['ERR_NOT_FOUND', ...torn]; // where somebody removes and moves
  return {
    save: ['ERR_ALREADY_EXISTS'], overwrite: [], move: missing, copy: missing, remove: ['ERR_NOT_FOUND'], load: missing, list: torn, token: missing,
  };
};

/** Three actors and TF.js at work, until each has done enough: what each did, and what each tab then finds. */
async function busy(page, store, { sizes, worker, rest }) {
  const models = modelsOf(sizes);
  const tabs = [page, await page.another(), worker ? page : await page.another()];
  const theirs = await page.another();
  await page.evaluate(async ({ url, token }) => (await T.library('tfpersist')).save(T.plain(...token), url),
    { url: `${store}://t0`, token: models.token });
  await theirs.evaluate((model) => T.begin('actTF', model), models.B1);
  for (const [i, who] of ['A', 'B', 'C'].entries()) {
    const mine = Object.keys(models).filter((name) => name.startsWith(who));
    const job = { store, seed: i + 1, models, mine, others: 'ABC'.replace(who, ''), actors: 3, ms: MS, least: LEAST, rest };
    await tabs[i].evaluate(({ job: theJob, how }) => T.begin(how, theJob), { job, how: worker && i === 2 ? 'actInWorker' : 'act' });
  }
  const results = [];
  for (const tab of new Set(tabs)) results.push(...await tab.evaluate(() => T.ended()));
  const [tf] = await theirs.evaluate(() => { T.endTF(); return T.ended(); });
  await page.evaluate(() => new Promise((resolve) => { setTimeout(resolve, 1000); })); // the last strings come through
  const ends = [];
  for (const tab of new Set(tabs)) ends.push(await tab.evaluate((job) => T.survey(job), { store, models }));
  return { models, results, tf, ends };
}

for (const engine of ENGINES.filter((name) => name !== 'webkit')) {
  for (const [store, setting] of Object.entries(STORES)) {
    test(`${engine}, ${store}: three actors on the same paths, and TF.js beside them`, async () => {
      const page = await openIn(engine, { html: 'page' });
      const { models, results, tf, ends: [end, ...others] } = await busy(page, store, setting);
      for (const { outcomes, seen, slowest } of results) {
        console.log(`  ${JSON.stringify(outcomes).replaceAll('"', '')}\n    saw ${JSON.stringify(seen).replaceAll('"', '')}, slowest call ${slowest} ms`);
      }
      console.log(`  TF.js: ${tf.rounds} rounds, wrong: ${JSON.stringify(tf.wrong)}; in the end ${JSON.stringify(end).replaceAll('"', '')}`);
      for (const { outcomes, lacking, slowest } of results) {
        for (const [kind, codes] of Object.entries(allowed(setting.torn))) {
          assert.deepEqual(Object.keys(outcomes[kind]).filter((what) => what !== 'ok' && !codes.includes(what)), [], kind);
        }
        assert.deepEqual(lacking, [], 'too little happened: nothing was shown');
        assert.ok(slowest < PATIENCE, `a call took ${slowest} ms`);
      }
      assert.deepEqual(tf.wrong, []);
      assert.ok(tf.rounds >= LEAST, 'TF.js did hardly anything');
      for (const other of others) assert.deepEqual(other, end, 'two tabs find different models');
      for (const [path, [row, found]] of Object.entries(end)) {
        if (row === 'listed') assert.ok(found in models || setting.torn.includes(found), `${path} is listed: ${found}`);
        else if (row !== 'not listed') assert.ok(setting.torn.includes(row) && row === found, `${path}: ${row}, ${found}`);
        else assert.equal(found, 'ERR_NOT_FOUND', path);
      }
      const tokens = ['t0', 't1', 't2'].map((path) => end[path][1]).filter((what) => what !== 'ERR_NOT_FOUND');
      if (setting.torn.length === 0) assert.deepEqual(tokens, ['token'], 'in one place, whole');
      else assert.ok(tokens.length > 0, 'the token is nowhere');
      await page.close();
    });
  }
}
