// The sweep takes what nobody needs and nothing else: not from a stream that is half read, not from a save under way in another tab, also
// where the origin has no locks. And what a page leaves that goes in the middle of a save, the next one takes.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { serve } from '../../scripts/serve.mjs';
import * as chromium from '../lib/chromium.mjs';
import { ENGINES, openIn } from '../lib/engines.mjs';

const MB = 2 ** 20;
const SHARD = 4 * MB;
const MODEL = ['model', Array.from({ length: 6 }, (_, i) => [`w${i}`, SHARD, i + 1])];
const HALF = ['half', MODEL[1].slice(0, 3)];
const OPTIONS = { layout: 'sharded' };

const save = (tab, url, model) => tab.evaluate(async ({ url: to, model: args, options }) => {
  const { save: saveTo } = await T.sharded();
  await saveTo(T.layered(...args), to, options);
  return T.print(T.layered(...args));
}, { url, model, options: OPTIONS });
const remove = (tab, url) => tab.evaluate(async (at) => { await (await T.sharded()).removeModel(at); }, url);
const sweep = (tab) => tab.evaluate(async () => (await T.sharded()).sweep());
/** How many shards lie in the pool, and saves are announced. */
const lying = (tab, scheme) => tab.evaluate(async (at) => {
  const { pools, pending } = await T.catalog();
  return [Object.keys(pools[at]).length, Object.keys(pending).length];
}, scheme);
const checked = (tab, url) => tab.evaluate(async (at) => {
  const { load, verify } = await T.sharded();
  return [await T.print(await load(at, { verify: true })), (await verify(at)).damage?.code];
}, url);

for (const engine of ENGINES.filter((name) => name !== 'webkit')) {
  for (const scheme of ['indexeddb', 'opfs']) {
    describe(`${engine}, ${scheme}://`, () => {
      const url = `${scheme}://m`;
      const two = async () => {
        const page = await openIn(engine);
        return [page, await page.another()];
      };

      test('a stream that is half read goes on when another tab removes the model and sweeps; one that has ended keeps nothing', async () => {
        const [one, other] = await two();
        const begin = async () => {
          const print = await save(one, url, MODEL);
          assert.equal(await one.evaluate((at) => T.readFirst(at), url), SHARD);
          await remove(other, url);
          assert.deepEqual([await sweep(other), await sweep(one)], [0, 0]);
          assert.deepEqual(await lying(other, scheme), [6, 0]);
          return print;
        };
        const expected = await begin();
        assert.deepEqual(await one.evaluate(() => T.readRest()), { chunks: 6, error: null, print: expected });
        assert.equal(await sweep(other), 6 * SHARD, 'read to its end');
        for (const pending of [false, true]) {
          await begin();
          await one.evaluate((how) => T.cancelReading(how), { pending });
          let freed = 0;
          for (let i = 0; i < 50 && !freed; i++) freed = await sweep(other); // the chunk that is being read is read
          assert.equal(freed, 6 * SHARD, `cancelled${pending ? ' while a chunk was read' : ''}`);
        }
        assert.deepEqual(await lying(other, scheme), [0, 0]);
        await one.close();
      });

      test('a save under way keeps its shards, and those that it may use, whatever another tab removes, overwrites and sweeps', async () => {
        const [one, other] = await two();
        await save(one, `${scheme}://half`, HALF);
        await sweep(one);
        await one.evaluate((job) => T.beginSave(job), { url, model: MODEL, parts: 12 });
        await one.evaluate(() => T.feed(4)); // two of the three weights that are there already
        assert.ok(await one.evaluate((at) => T.untilWritten(at, 3), scheme), 'the save is not announced');
        await remove(other, `${scheme}://half`);
        assert.equal(await sweep(other), 0);
        await one.evaluate(() => T.feed(6)); // two new ones
        assert.ok(await one.evaluate((at) => T.untilWritten(at, 5), scheme), 'nothing was written');
        assert.equal(await other.evaluate((job) => T.disturb(job), { scheme, rounds: 4, path: 'm' }), 8, 'shards that came and went meanwhile');
        await one.evaluate(() => T.feed(10));
        assert.equal((await one.evaluate(() => T.saved())).value, 6 * SHARD);
        const expected = await one.evaluate((model) => T.print(T.layered(...model)), MODEL);
        const [print, damage] = await checked(other, url);
        assert.deepEqual([print, damage ?? 'sound'], [expected, 'sound']);
        await sweep(other);
        assert.deepEqual(await lying(other, scheme), [6, 0]);
        await one.close();
      });

      test('of a page that goes in the middle of a save nothing is left after the next sweep', async () => {
        const [one, other] = await two();
        const kept = await save(one, `${scheme}://half`, HALF);
        const begin = async (tab) => {
          await tab.evaluate((job) => T.beginSave(job), { url, model: ['model', MODEL[1].slice(3)], parts: 6 });
          await tab.evaluate(() => T.feed(5));
          assert.ok(await tab.evaluate((at) => T.untilWritten(at, 5), scheme), 'nothing was written');
        };
        await begin(one);
        assert.equal(await sweep(other), 0);
        await one.reload();
        assert.equal(await sweep(other), 2 * SHARD);
        await begin(one);
        await one.reload();
        await save(one, `${scheme}://next`, ['next', [['a', 4000, 77]]]); // sweeps by itself, as the first one of a page
        await sweep(one);
        assert.deepEqual(await lying(other, scheme), [4, 0]);
        assert.deepEqual((await checked(other, `${scheme}://half`))[0], kept);
        await one.close();
      });
    });
  }
}

describe('plain http, where there are no locks', { skip: !ENGINES.includes('chromium') && 'no chromium' }, () => {
  let browser, server;
  after(async () => {
    await browser?.close();
    server?.close();
  });

  test('what is younger than a day stays, what is older goes', async () => {
    server = await serve();
    browser = await chromium.launch('--host-resolver-rules=MAP plain.example 127.0.0.1');
    const { page, close } = await chromium.session(browser, `${server.url.replace('127.0.0.1', 'plain.example')}/tests/lib/bare.html`);
    const found = await page.evaluate(async (options) => {
      const { save, load, removeModel, sweep } = await T.sharded();
      const hour = 3600e3;
      const model = T.layered('m', [['a', 8000, 1]]);
      await save(model, 'indexeddb://m', options);
      await sweep();
      const id = (hours) => `${(Date.now() - hours * hour).toString(16)}-0123456789abcdef`;
      const plant = async (name, bytes) => T.plant('pool', { key: `${name}-0`, data: new Blob([new Uint8Array(bytes)]) });
      const [young, old, stray, oldStray] = [id(23), id(25), id(22), id(26)];
      for (const save of [young, old]) await T.plant('pending', { key: save, shards: [] });
      for (const [name, bytes] of [[young, 100], [old, 200], [stray, 300], [oldStray, 400], ['nonsense', 500]]) await plant(name, bytes);
      const out = { locks: typeof navigator.locks, freed: await sweep() };
      const { pools, pending } = await T.catalog();
      const words = { [young]: 'young', [stray]: 'stray' };
      const word = (name) => words[name.replace(/-0$/, '')] ?? words[name] ?? 'of the model';
      out.left = [Object.keys(pools.indexeddb).map(word).sort(), Object.keys(pending).map(word)];
      const bytes = new Uint8Array(T.join((await load('indexeddb://m', { verify: true })).weightData));
      const expected = new Uint8Array(T.join(model.weightData));
      out.same = bytes.length === expected.length && bytes.every((byte, i) => byte === expected[i]);
      await removeModel('indexeddb://m');
      out.today = await sweep();
      const now = Date.now;
      Date.now = () => now() + 25 * hour;
      out.tomorrow = await sweep();
      out.nothing = Object.keys((await T.catalog()).pools.indexeddb);
      return out;
    }, OPTIONS);
    assert.deepEqual(found, {
      locks: 'undefined', freed: 200 + 400 + 500, left: [['of the model', 'stray', 'young'], ['young']], same: true,
      today: 0, tomorrow: 100 + 300 + 8000, nothing: [],
    });
    await close();
  });
});
