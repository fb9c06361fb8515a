// Shards are known by their content: what was written before is not written again, nobody can make another's shard resolve to his bytes,
// what died in a save is never used, and damage is told.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { open } from '../lib/suite.mjs';

const [KB, MB] = [2 ** 10, 2 ** 20];

/** A page, and the pools there are in it. */
async function pageWith(work, argument) {
  const page = await open({ html: 'bare' });
  try {
    return await page.evaluate(work, argument);
  } finally {
    await page.close();
  }
}

for (const scheme of ['indexeddb', 'opfs']) {
  describe(`${scheme}://`, () => {
    test('the same again writes no shard; copy and move write rows of the catalog only', async () => {
      const found = await pageWith(async ({ scheme: at }) => {
        const { save, load, copyModel, moveModel, removeModel } = await T.sharded();
        const model = T.layered('m', [['a', 3e6, 1], ['b', 5e6, 2], ['c', 4000, 3]]);
        const first = await T.written(at, () => save(model, `${at}://m`, { layout: 'sharded' }));
        const works = {
          'saved again': () => save(model, `${at}://m`, { layout: 'sharded' }),
          'saved elsewhere': () => save(model, `${at}://n`, { layout: 'sharded' }),
          'as a stream': () => save({ ...model, weightData: undefined, ...T.streamed(model) }, `${at}://s`, { layout: 'sharded' }),
          'as Blobs': () => save({ ...model, weightData: [new Blob(model.weightData)] }, `${at}://o`, { layout: 'sharded' }),
          copied: () => copyModel(`${at}://m`, `${at}://c`),
          moved: () => moveModel(`${at}://c`, `${at}://d`),
          'moved over another': () => moveModel(`${at}://d`, `${at}://n`),
        };
        const out = { first: first.bytes, pools: new Set(), again: {} };
        for (const [name, work] of Object.entries(works)) {
          const { value, shards, bytes, freed, left } = await T.written(at, work);
          out.again[name] = { shards, bytes, freed, left };
          out.pools.add(JSON.stringify((await T.catalog()).pools[at]));
        }
        out.pools = out.pools.size;
        out.models = Object.keys((await T.catalog()).models).sort();
        const expected = await T.print(model);
        out.same = await Promise.all(['m', 'n', 's', 'o'].map(async (path) => await T.print(await load(`${at}://${path}`, { verify: true })) === expected));
        for (const path of ['m', 'n', 's']) out.kept = (await T.written(at, () => removeModel(`${at}://${path}`))).freed;
        out.alone = await T.print(await load(`${at}://o`)) === expected;
        const last = await T.written(at, () => removeModel(`${at}://o`));
        out.last = [last.freed, last.left, Object.keys((await T.catalog()).shards).length];
        return out;
      }, { scheme });
      const bytes = 3e6 + 5e6 + 4000;
      assert.equal(found.first, bytes);
      for (const [name, what] of Object.entries(found.again)) assert.deepEqual(what, { shards: 0, bytes: 0, freed: 0, left: bytes }, name);
      assert.equal(found.pools, 1, 'the pool changed');
      assert.deepEqual(found.models, ['m', 'n', 'o', 's'].map((path) => `${scheme}://${path}`));
      assert.deepEqual(found.same, [true, true, true, true]);
      assert.equal(found.kept, 0, 'a shard went that somebody names');
      assert.equal(found.alone, true);
      assert.deepEqual(found.last, [bytes, 0, 0], 'nobody needs it any more');
    });

    test('a new head writes the head, wherever it stands and however large it becomes; then only what nobody needs goes', async () => {
      const found = await pageWith(async ({ scheme: at }) => {
        const { save, load, removeModel } = await T.sharded();
        const body = Array.from({ length: 40 }, (_, i) => [`body/${i}`, [1000, 60000, 400000, 1200000][i % 4], i + 1]);
        const head = (seed, bytes) => [['head/kernel', bytes, 1000 + seed], ['head/bias', 40, 2000 + seed]];
        const places = { first: 0, middle: 20, last: 40 };
        const out = {};
        for (const [place, where] of Object.entries(places)) {
          await T.clearAll();
          const make = (seed, bytes) => T.layered('m', [...body.slice(0, where), ...head(seed, bytes), ...body.slice(where)]);
          const all = await T.written(at, () => save(make(0, 40000), `${at}://m`, { layout: 'sharded' }));
          const rows = [all.bytes];
          for (const [seed, bytes] of [[1, 40000], [2, 52000], [3, 4000], [4, 3000000]]) {
            const model = make(seed, bytes);
            const { bytes: written, shards } = await T.written(at, () => save(model, `${at}://m`, { layout: 'sharded' }));
            const same = await T.print(await load(`${at}://m`, { verify: true })) === await T.print(model);
            rows.push([written - bytes - 40, shards, same]);
          }
          await T.written(at, () => removeModel(`${at}://m`));
          out[place] = [...rows, Object.keys((await T.catalog()).pools[at]).length];
        }
        return out;
      }, { scheme });
      const body = 10 * (1000 + 60000 + 400000 + 1200000);
      for (const [place, [first, ...rest]] of Object.entries(found)) {
        assert.equal(first, body + 40040);
        assert.deepEqual(rest.map((row) => (Array.isArray(row) ? [row[0], row[1] <= 2, row[2]] : row)), [...Array(4).fill([0, true, true]), 0], place);
      }
    });

    test('small weights are gathered to about 4 MiB, large ones cut at 16 MiB', async () => {
      const { small, large, equal } = await pageWith(async ({ scheme: at }) => {
        const { save } = await T.sharded();
        const lengths = async (weights) => (await T.written(at, () => save(T.layered('m', weights), `${at}://m`, { layout: 'sharded' }))).lengths;
        const big = 35 * 2 ** 20 + 12;
        return {
          small: await lengths(Array.from({ length: 300 }, (_, i) => [`w${i}`, 4 * (5000 + 37 * i), i + 1])),
          large: (await lengths([['big', big, 1], ['tail', 400, 2]])).sort((a, b) => a - b),
          // Equal weights in one model: written once.
          equal: await lengths(Array.from({ length: 50 }, (_, i) => [`w${i}`, 40000, 7])),
        };
      }, { scheme });
      assert.ok(small.length >= 2);
      for (const length of small.slice().sort((a, b) => b - a).slice(0, -1)) assert.ok(length >= 4 * MB && length < 4 * MB + 70 * KB, `${small}`);
      assert.deepEqual(large, [3 * MB + 412, 16 * MB, 16 * MB]);
      assert.deepEqual(equal, [40000]);
    });

    test('what a died save left is never used, and goes', async () => {
      const found = await pageWith(async ({ scheme: at }) => {
        const { save, load, sweep } = await T.sharded();
        const [old, next] = [T.layered('old', [['a', 8000, 1]]), T.layered('next', [['b', 12000, 2]])];
        await save(old, `${at}://old`, { layout: 'sharded' });
        // As a save of `next` leaves it that dies before its commit: announced, its shard in the pool, no row that names it.
        await sweep(); // the one that follows the first save of a page is through
        const dead = `${(Date.now() - 5000).toString(16)}-0123456789abcdef`;
        await T.plant('pending', { key: dead, shards: Object.keys((await T.catalog()).shards) });
        await T.plantShard(at, `${dead}-0`, next.weightData[0]);
        await T.plantShard(at, `${dead}-1`, new ArrayBuffer(500));
        const before = await T.catalog();
        const again = await T.attempt(async () => { await save(next, `${at}://next`, { layout: 'sharded' }); });
        const { shards } = await T.catalog();
        const used = Object.keys(shards).filter((name) => name.startsWith(dead));
        const freed = await sweep();
        const after = await T.catalog();
        const whole = await Promise.all([old, next].map(async (model) => await T.print(await load(`${at}://${model.userDefinedMetadata.author}`, { verify: true })) === await T.print(model)));
        return { planted: Object.keys(before.pools[at]).length, pending: Object.keys(before.pending).length, again: again.error, used, freed, whole,
          left: [Object.values(after.pools[at]).sort(), Object.keys(after.pending)] };
      }, { scheme });
      assert.deepEqual([found.planted, found.pending], [3, 1]);
      assert.equal(found.again, undefined);
      assert.deepEqual(found.used, [], 'a shard of a dead save was used');
      assert.deepEqual(found.whole, [true, true]);
      assert.deepEqual(found.left, [[12000, 8000], []]);
      assert.equal(found.freed, 12500);
    });

    test('a shard that nobody names any more is not used again, but written anew', async () => {
      const found = await pageWith(async ({ scheme: at }) => {
        const { save, load, removeModel } = await T.sharded();
        const model = T.layered('m', [['a', 8000, 1]]);
        const first = await T.written(at, () => save(model, `${at}://m`, { layout: 'sharded' }));
        const gone = await T.written(at, () => removeModel(`${at}://m`));
        const again = await T.written(at, () => save(model, `${at}://m`, { layout: 'sharded' }));
        return [first.bytes, gone.left, again.bytes, await T.print(await load(`${at}://m`, { verify: true })) === await T.print(model)];
      }, { scheme });
      assert.deepEqual(found, [8000, 0, 8000, true]);
    });

    test('keys: the same bytes have others in another origin, and others when they are more or fewer', async () => {
      const keys = async () => pageWith(async ({ scheme: at }) => {
        const { save } = await T.sharded();
        const zeros = (bytes) => ({ ...T.layered('m', [['a', bytes, 1]]), weightData: new ArrayBuffer(bytes) });
        await save(zeros(4000), `${at}://a`, { layout: 'sharded' });
        await save(zeros(4004), `${at}://b`, { layout: 'sharded' });
        return Object.values((await T.catalog()).shards).flatMap(({ pieces }) => pieces).map(({ bytes, hash }) => `${bytes} ${hash}`).sort();
      }, { scheme });
      const [one, other] = [await keys(), await keys()];
      assert.deepEqual([one, other].map((list) => list.map((key) => key.split(' ')[0])), [['4000', '4004'], ['4000', '4004']]);
      assert.equal(new Set([...one, ...other]).size, 4);
      assert.equal(new Set([...one, ...other].map((key) => key.split(' ')[1])).size, 4, 'a hash comes twice');
      for (const key of [...one, ...other]) assert.match(key, / [0-9a-f]{32}$/);
    });
  });
}
