// An origin that is full, for real, in the sharded layout: a save that does not fit rejects with ERR_QUOTA_EXCEEDED, the old model stays to
// the last byte, and what was written of the new one goes, so that a model that fits can be saved next.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ENGINES, openIn } from '../lib/engines.mjs';

const MB = 2 ** 20;
/** Of what Firefox is told it gives a site a fifth. */
const TOLD = { chromium: 1, firefox: 5 };
/** Bytes that the origin may hold, and those of models: one that is there, one that is too large, one that fits beside it. */
const SIZES = { quota: 32 * MB, old: 6 * MB, huge: 60 * MB, fits: 12 * MB };

/** In the page: what became of each save, and of what was there. */
async function scene({ scheme, old, huge, fits }) {
  const { save, load, listModels, verify, sweep } = await T.sharded();
  const at = (path) => `${scheme}://${path}`;
  const options = { layout: 'sharded' };
  const model = (name, seed, bytes) => T.layered(name, [0, 1, 2].map((i) => [`w${i}`, bytes / 3, 10 * seed + i]));
  const models = { old: model('old', 1, old), huge: model('huge', 2, huge), fits: model('fits', 3, fits) };
  // Only the bytes themselves tell how many there are of a string.
  const unknown = T.layered('unknown', [['s', huge, 20]]);
  unknown.weightSpecs = [{ name: 's', shape: [1], dtype: 'string' }];
  new DataView(unknown.weightData[0]).setUint32(0, huge - 4, true);
  await save(models.old, at('m'), options);
  await sweep();
  const state = async () => {
    const { models: rows, shards, pending, pools } = await T.catalog();
    return JSON.stringify({ rows, shards: Object.keys(shards), pending, pool: pools[scheme] });
  };
  const before = await state();
  const tries = {
    overwrite: () => save(models.huge, at('m'), options),
    'overwrite again': () => save(models.huge, at('m'), options),
    'a new path': () => save(models.huge, at('new'), options),
    'a stream': () => save({ ...models.huge, ...T.streamed(models.huge), weightData: undefined }, at('new'), options),
    'a stream of unknown length': () => save(T.streamed(unknown), at('new'), options),
    'no durability': () => save(models.huge, at('m'), { ...options, durability: 'relaxed' }),
  };
  const refused = [];
  for (const [name, work] of Object.entries(tries)) {
    const { error } = await T.attempt(work, 60000);
    const listed = Object.keys(await listModels(at('')));
    refused.push({ name, error, listed, same: await T.print(await load(at('m'))) === await T.print(models.old), damage: (await verify(at('m'))).damage?.code ?? 'none' });
    await sweep();
    refused.at(-1).untouched = await state() === before;
  }
  const next = await T.attempt(async () => { await save(models.fits, at('next'), options); }, 60000);
  const kept = [];
  for (const [path, name] of [['m', 'old'], ['next', 'fits']]) {
    kept.push((await T.attempt(async () => await T.print(await load(at(path), { verify: true })) === await T.print(models[name]))).value);
  }
  return { refused, next: next.error, kept };
}

for (const engine of ENGINES.filter((name) => name !== 'webkit')) {
  for (const scheme of ['indexeddb', 'opfs']) {
    test(`${engine}: ${scheme}:// is full`, { timeout: 120000 }, async () => {
      const page = await openIn(engine, { quota: TOLD[engine] * SIZES.quota });
      try {
        const { refused, next, kept } = await page.evaluate(scene, { scheme, ...SIZES });
        assert.equal(refused.length, 6);
        for (const { name, error, listed, same, damage, untouched } of refused) {
          assert.equal(error?.code, 'ERR_QUOTA_EXCEEDED', `${name}: ${JSON.stringify(error)}`);
          const least = name.endsWith('unknown length') ? SIZES.quota / 4 : SIZES.huge;
          assert.ok(error.needed >= least && error.needed < 2 * SIZES.huge, `${name} needs ${error.needed}`);
          assert.deepEqual([typeof error.usage, typeof error.quota], ['number', 'number'], name);
          assert.deepEqual({ listed, same, damage, untouched }, { listed: [`${scheme}://m`], same: true, damage: 'none', untouched: true }, name);
        }
        assert.equal(next ?? undefined, undefined, `a model that fits: ${JSON.stringify(next)}`);
        assert.deepEqual(kept, [true, true]);
      } finally {
        await page.close();
      }
    });
  }
}
