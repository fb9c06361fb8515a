// What one tab does while another is in the middle of something with the same models.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { plain, print } from '../lib/artifacts.mjs';
import { ENGINES, openIn } from '../lib/engines.mjs';

const MB = 2 ** 20;
const ROUNDS = 3; // in which the other tab's change must have come during a load
const sum = (list) => JSON.stringify(list.reduce((counts, what) => ({ ...counts, [what]: (counts[what] ?? 0) + 1 }), {})).replaceAll('"', '');
const [OLD, NEW] = [['old', 1, 32 * MB], ['new', 2, 64 * MB]];
/** Begins in both tabs, the second one first; gives what came of both. */
async function together([first, second], one, two) {
  await second.evaluate(({ name, argument }) => T.begin(name, argument), two);
  await first.evaluate(({ name, argument }) => T.begin(name, argument), one);
  const [a] = await first.evaluate(() => T.ended());
  const [b] = await second.evaluate(() => T.ended());
  return [a, b];
}
const save = (tab, url, model) => tab.evaluate(async ({ url: to, model: args }) => {
  await (await T.library('tfpersist')).save(T.plain(...args), to);
}, { url, model });
const load = (tab, url) => tab.evaluate(async (from) => T.attempt(async () => T.print(await (await T.library('tfpersist')).load(from))), url);

const short = ({ value, error }) => (error ? error.code ?? error.name : Array.isArray(value) ? 'listed' : value ? 'loaded' : 'saved');

for (const engine of ENGINES.filter((name) => name !== 'webkit')) {
  describe(engine, () => {
    for (const [what, version] of [['deletes the database', undefined], ['opens it in a higher version', 2]]) {
      test(`another tab ${what} while 64 MB are saved, 32 MB loaded and all listed: nobody waits for ever`, async () => {
        const page = await openIn(engine, { html: 'page' });
        const tabs = [page, await page.another()];
        const prints = Object.fromEntries(await Promise.all([OLD, NEW].map(async (model) => [model[0], await print(plain(...model))])));
        for (const lib of ['tfpersist', 'tf.io']) {
          const rows = [];
          for (const [i, delay] of (lib === 'tf.io' ? [0] : [0, 20, 200]).entries()) {
            await page.evaluate(() => T.clear());
            await save(page, 'indexeddb://old', OLD);
            const [calls, heard] = await together(tabs, { name: 'threeCalls', argument: { lib, model: NEW } },
              { name: 'interfere', argument: { version: version && version + i, delay } });
            rows.push(`after ${delay} ms ${heard}; ${Object.entries(calls).map(([name, outcome]) => `${name}: ${short(outcome)}`).join(', ')}`);
            const again = await page.evaluate((name) => T.works(name), lib);
            if (lib === 'tf.io') { rows.push(`  then ${again.error?.message ?? again.value}`); continue; }
            assert.equal(heard.at(-1), 'success', rows.at(-1));
            for (const outcome of Object.values(calls)) assert.match(outcome.error?.code ?? 'ERR_', /^ERR_/, JSON.stringify(outcome));
            assert.deepEqual(again, { value: true });
            if (calls.load.value) assert.equal(calls.load.value, prints.old);
            if (!version) continue;
            // Nothing was deleted: what was saved is there, what was not is not.
            assert.deepEqual(await load(page, 'indexeddb://old'), { value: prints.old });
            const found = await load(page, 'indexeddb://new');
            assert.equal(found.value ?? found.error.code, calls.save.error ? 'ERR_NOT_FOUND' : prints.new);
          }
          console.log(`  ${lib}:\n    ${rows.join('\n    ')}`);
        }
        await page.close();
      });
    }

    for (const verb of ['overwrite', 'remove']) {
      test(`an ${verb} while another tab loads 32 MB: the whole old model, the whole new one, or none`.replace('an remove', 'a remove'), async () => {
        const page = await openIn(engine);
        const tabs = [page, await page.another()];
        const [url, model] = ['indexeddb://m', ['other', 3, 32 * MB]];
        const prints = { [await print(plain(...OLD))]: 'old', [await print(plain(...model))]: 'new' };
        const seen = [];
        let during = 0;
        for (let i = 0; i < 40 && during < ROUNDS; i++) {
          await save(page, url, OLD);
          const [loaded, { from }] = await together(tabs, { name: 'loadSignalled', argument: url },
            { name: 'changeSignalled', argument: { url, model: verb === 'overwrite' && model } });
          seen.push(loaded.code ?? prints[loaded.print] ?? 'a mixture');
          if (from > loaded.from && from < loaded.to) during += 1;
          const after = await load(page, url);
          assert.equal(after.error?.code ?? prints[after.value], verb === 'overwrite' ? 'new' : 'ERR_NOT_FOUND');
        }
        console.log(`  ${engine}, ${verb}: ${sum(seen)}; in ${during} of ${seen.length} rounds during the load`);
        assert.deepEqual(seen.filter((what) => !['old', verb === 'overwrite' ? 'new' : 'ERR_NOT_FOUND'].includes(what)), []);
        assert.ok(during >= ROUNDS, 'it hardly ever came during the load: nothing was shown');
        await page.close();
      });
    }

    test('two tabs save with overwrite: false: exactly one wins', async () => {
      const page = await openIn(engine);
      const tabs = [page, await page.another()];
      for (const [store, layouts] of [['indexeddb', []], ['indexeddb', ['tfjs', 'sharded']], ['localstorage', []]]) {
        const models = [['one', 1, 40000], ['two', 2, 40000]];
        const outcomes = await together(tabs, ...models.map((model, i) => ({ name: 'race', argument: { store, model, rounds: 20, layout: layouts[i] } })));
        const prints = await Promise.all(models.map((model) => print(plain(...model))));
        const winners = [];
        for (let i = 0; i < 20; i++) {
          const found = await load(page, `${store}://only${i}`);
          winners.push(prints.indexOf(found.value));
          const both = outcomes.map((rows) => rows[i]);
          assert.deepEqual(both.toSorted(), ['ERR_ALREADY_EXISTS', 'saved'], `round ${i}`);
          assert.equal(both[winners[i]], 'saved', `round ${i}: what is there is not the winner's`);
        }
        console.log(`  ${engine}, ${store} ${layouts}: ${outcomes.map(sum).join(' ')}, stored in the end ${sum(winners.map((i) => 'AB'[i] ?? 'torn'))}`);
        await page.evaluate(() => T.clear());
      }
      await page.close();
    });

    test('Local Storage waits for the Web Lock that another tab holds; an abort ends the wait with the very reason', async () => {
      const page = await openIn(engine);
      const other = await page.another();
      const [url, elsewhere, old, fresh] = ['localstorage://m', 'localstorage://n', ['old', 1, 4000], ['new', 2, 4000]];
      await save(page, url, old);
      await other.evaluate((name) => T.holdLock(name), url);
      const aborted = await page.evaluate(async ({ from, to, model }) => {
        const { save: put, moveModel, removeModel } = await T.library('tfpersist');
        const before = T.localStrings();
        const out = [];
        for (const verb of [(o) => put(T.plain(...model), from, o), (o) => removeModel(from, o), (o) => moveModel(from, to, o), (o) => moveModel(to, from, o)]) {
          const [controller, reason] = [new AbortController(), { any: 'value' }];
          const outcome = verb({ signal: controller.signal }).then(() => 'done', (error) => error);
          await T.lockState(from, 'pending', 1);
          const at = performance.now();
          controller.abort(reason);
          const same = await outcome === reason;
          const ms = performance.now() - at;
          await T.lockState(from, 'pending', 0);
          await T.lockState(to, 'held', 0);
          out.push({ same, ms, untouched: JSON.stringify(T.localStrings()) === JSON.stringify(before) });
        }
        return out;
      }, { from: url, to: elsewhere, model: fresh });
      for (const { same, ms, untouched } of aborted) assert.ok(same && untouched && ms < 1000, JSON.stringify(aborted));
      console.log(`  ${engine}: aborted after ${aborted.map(({ ms }) => ms.toFixed(1)).join(', ')} ms`);
      // Who waits longer gets it; other paths and readers do not wait.
      await save(page, elsewhere, fresh);
      await page.evaluate((argument) => T.begin('saveOnce', argument), { url, model: fresh });
      await page.evaluate((name) => T.lockState(name, 'pending', 1), url);
      assert.deepEqual(await load(page, url), { value: await print(plain(...old)) });
      await other.evaluate(() => T.releaseLock());
      assert.deepEqual(await page.evaluate(() => T.ended()), ['saved']);
      assert.deepEqual(await load(page, url), { value: await print(plain(...fresh)) });
      await page.close();
    });
  });
}

/** Milliseconds of processor time of each renderer, by its process. */
async function renderers(cdp) {
  const { processInfo } = await cdp.send('SystemInfo.getProcessInfo');
  return processInfo.filter(({ type }) => type === 'renderer').map(({ id, cpuTime }) => [id, cpuTime]);
}

/** kill -9 of the tab's renderer, which is the one that runs in circles. */
async function killHung({ page }) {
  const cdp = await page.context().browser().newBrowserCDPSession();
  const crashed = page.waitForEvent('crash');
  const before = new Map(await renderers(cdp));
  await sleep(500);
  const [busiest] = (await renderers(cdp)).map(([id, time]) => [id, time - (before.get(id) ?? 0)]).sort(([, a], [, b]) => b - a);
  process.kill(busiest[0], 'SIGKILL');
  await crashed;
}

async function kill({ page }) {
  const cdp = await page.context().newCDPSession(page);
  const crashed = page.waitForEvent('crash');
  cdp.send('Page.crash').catch(() => {}); // nobody is left to answer
  await crashed;
}

const close = ({ page }) => page.close();
/** Ways in which a tab ends: one that hangs, and one that does not. */
const ENDS = { closed: [close, close], killed: [killHung, kill] };

for (const [how, [endHung, end]] of Object.entries(ENDS)) {
  test(`a tab that is ${how} in the middle of a Local Storage save leaves no lock behind`, async () => {
    const page = await openIn('chromium');
    const other = await page.another();
    const [url, old, fresh] = ['localstorage://m', ['old', 1, 4000], ['new', 2, 4000]];
    await save(page, url, old);
    await other.evaluate((argument) => { setTimeout(() => T.hangInSave(argument)); }, { url, model: ['lost', 3, 4000] });
    await page.evaluate((name) => T.lockState(name, 'held', 1), url);
    await page.evaluate((argument) => T.begin('saveOnce', argument), { url, model: fresh });
    await page.evaluate((name) => T.lockState(name, 'pending', 1), url);
    await endHung(other);
    assert.deepEqual(await page.evaluate(() => T.ended()), ['saved']);
    await page.evaluate((name) => T.lockState(name, 'held', 0), url);
    const found = await load(page, url);
    assert.deepEqual(found, { value: await print(plain(...fresh)) });
    await page.close();
  });

  test(`a tab that is ${how} in the middle of an IndexedDB save holds nobody up, and leaves a whole model`, async () => {
    const page = await openIn('chromium');
    const prints = { [await print(plain(...OLD))]: 'old', [await print(plain(...NEW))]: 'new' };
    const seen = [];
    for (let i = 0; i < 3; i++) {
      const other = await page.another();
      const saved = page.evaluate(() => T.signalled('saved'));
      await other.evaluate((argument) => { T.begin('saveForever', argument); }, { url: 'indexeddb://m', models: [OLD, NEW] });
      await saved;
      await sleep(i * 80);
      await end(other);
      const found = await load(page, 'indexeddb://m');
      seen.push(prints[found.value] ?? found.error?.code ?? 'a mixture');
      await page.evaluate((argument) => T.begin('saveOnce', argument), { url: 'indexeddb://m', model: OLD });
      assert.deepEqual(await page.evaluate(() => T.ended()), ['saved']);
    }
    console.log(`  ${how}: ${sum(seen)}`);
    assert.deepEqual(seen.filter((what) => !['old', 'new'].includes(what)), []);
    await page.close();
  });
}

test('a lock of a path that looks like a note, and a note of what is gone, keep nobody waiting', async () => {
  const page = await openIn('chromium');
  const other = await page.another();
  await other.evaluate((name) => T.holdLock(name), 'localstorage://run#3#20240131123456789');
  const dated = await page.evaluate(async () => {
    const { save, load } = await T.library('tfpersist');
    const { modelArtifactsInfo } = await save(T.plain('m', 1, 400), 'localstorage://run');
    return [Math.abs(Date.now() - modelArtifactsInfo.dateSaved) < 60000, (await load('localstorage://run')).weightData.byteLength];
  });
  assert.deepEqual(dated, [true, 400]);
  // Another tab has saved, and everything is cleared within the second.
  await other.evaluate(async () => {
    await (await T.library('tfpersist')).save(T.plain('m', 1, 400), 'localstorage://gone');
    localStorage.clear();
  });
  const { value, ms } = await page.evaluate(async () => {
    const start = performance.now();
    const { save } = await T.library('tfpersist');
    const value = (await save(T.plain('m', 1, 400), 'localstorage://gone')).modelArtifactsInfo.weightDataBytes;
    return { value, ms: performance.now() - start };
  });
  assert.equal(value, 400);
  console.log(`  a save after a note of what is gone: ${Math.round(ms)} ms`);
  await page.close();
});
