// Artifacts off the beaten track: every dtype, quantised, in pieces, as a stream, topology or weights alone. What we
// store is what TF.js stores for the same artifacts, each reads the other's, and the caller's object is not touched.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LIB, comparable, open } from '../lib/suite.mjs';

const CASES = ['every dtype', 'quantised weights', 'weights in pieces', 'every field', 'a strange topology',
  'topology only', 'weights only'];
const STORES = ['localstorage', 'indexeddb'];
const page = await open();

/** Saved by both, loaded by both, stored alike? */
function exercise(name, url) {
  return page.evaluate(async ({ lib, which, at }) => {
    const { save, load } = await T.library(lib);
    const theirs = await T.library('tf.io');
    const make = T.CASES[which].make;
    const result = { expected: await T.fingerprint(await make()), unreadable: T.CASES[which].unreadable ?? [] };
    const loads = async () => ({
      ours: await T.attempt(async () => T.fingerprint(await load(at))),
      theirs: await T.attempt(async () => T.fingerprint(await theirs.load(at))),
    });
    await T.clear();
    await theirs.save(await make(), at);
    result.byThem = await loads();
    result.dumps = [await T.dump()];
    await T.clear();
    result.saved = await save(await make(), at);
    result.byUs = await loads();
    result.dumps.push(await T.dump());
    return result;
  }, { lib: LIB, which: name, at: url });
}

for (const store of STORES) {
  describe(store, () => {
    for (const name of CASES) {
      test(name, async () => {
        const { expected, unreadable, byThem, byUs, dumps, saved } = await exercise(name, `${store}://${name}`);
        assert.deepEqual(byUs.ours, { value: expected }, 'saved by us, loaded by us');
        assert.deepEqual(byThem.ours, { value: expected }, 'saved by TF.js, loaded by us');
        if (unreadable.includes(store)) {
          assert.ok(byThem.theirs.error, 'TF.js reads this now: expect it of our saves, too');
        } else {
          assert.deepEqual(byThem.theirs, { value: expected }, 'saved by TF.js, loaded by TF.js');
          assert.deepEqual(byUs.theirs, { value: expected }, 'saved by us, loaded by TF.js');
        }
        const [theirs, ours] = [comparable(dumps[0]), comparable(dumps[1], { extra: ['checksum'] })];
        assert.equal(JSON.stringify(ours.stored, null, 1), JSON.stringify(theirs.stored, null, 1));
        const info = store === 'localstorage'
          ? JSON.parse(dumps[0].local[`tensorflowjs_models/${name}/info`])
          : dumps[0].databases[0].stores.model_info_store.records[0].modelArtifactsInfo;
        const { dateSaved, ...sizes } = saved.modelArtifactsInfo;
        assert.deepEqual(sizes, (({ dateSaved: _, ...rest }) => rest)(info), 'the sizes in the SaveResult');
      });
    }
  });
}

test('every dtype decodes to the values that were encoded', async () => {
  const [made, loaded] = await page.evaluate(async (lib) => {
    const { save, load } = await T.library(lib);
    const artifacts = await T.CASES['every dtype'].make();
    await save(artifacts, 'indexeddb://dtypes');
    return Promise.all([T.decoded(artifacts), T.decoded(await load('indexeddb://dtypes'))].map(T.describe));
  }, LIB);
  assert.equal(made.length, 9);
  assert.deepEqual(loaded, made);
});

for (const [title, chunks] of [['ArrayBuffers', 'buffers'], ['Uint8Arrays that begin inside their buffers', 'views']]) {
  test(`a stream of weights is stored, as ${title}`, async () => {
    const { dumps, prints } = await page.evaluate(async ({ lib, kind, stores }) => {
      const { save, load } = await T.library(lib);
      const wrap = kind === 'views' ? (bytes) => {
        const wide = new Uint8Array(bytes.length + 5);
        wide.set(bytes, 3);
        return wide.subarray(3, 3 + bytes.length);
      } : undefined;
      const out = { dumps: [], prints: [await T.print(T.plain('streamed', 3, 300004))] };
      for (const artifacts of [T.plain('streamed', 3, 300004), T.streamed(T.plain('streamed', 3, 300004), wrap)]) {
        await T.clear();
        for (const store of stores) {
          await save(artifacts, `${store}://streamed`);
          out.prints.push(await T.print(await load(`${store}://streamed`)));
        }
        out.dumps.push(await T.dump());
      }
      return out;
    }, { lib: LIB, kind: chunks, stores: STORES });
    assert.deepEqual(prints, Array(5).fill(prints[0]));
    const [whole, streamed] = dumps.map((d) => comparable(d, { extra: ['checksum'] }).stored);
    assert.deepEqual(streamed, whole);
  });
}

test('the object of the caller stays as it was, frozen or not', async () => {
  const results = await page.evaluate(async ({ lib, stores, names }) => {
    const { save } = await T.library(lib);
    const out = [];
    for (const name of [...names, 'a stream']) {
      const make = name === 'a stream' ? () => T.streamed(T.plain('s', 1, 4000)) : T.CASES[name].make;
      for (const freeze of [false, true]) {
        for (const store of stores) {
          const artifacts = await make();
          if (freeze) T.deepFreeze(artifacts);
          const parts = Object.values(artifacts);
          const before = JSON.stringify(await T.describe(artifacts));
          const { error } = await T.attempt(() => save(artifacts, `${store}://same`));
          const unchanged = JSON.stringify(await T.describe(artifacts)) === before
            && Object.values(artifacts).every((part, i) => part === parts[i]);
          out.push({ name, freeze, store, error, unchanged });
        }
      }
    }
    return out;
  }, { lib: LIB, stores: STORES, names: CASES });
  assert.equal(results.length, 32);
  assert.deepEqual(results.filter((r) => r.error || !r.unchanged), []);
});
