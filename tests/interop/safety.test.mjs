// Where TF.js loses models or hides the truth (the numbered rows of the table in the README), each in one page: first
// tfpersist, then TF.js's own tf.io as the control, which must fail as described, or the test shows nothing.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { open } from '../lib/suite.mjs';

const MB = 2 ** 20;
const page = await open();

/** Runs `scene(lib, argument)` in an empty origin for both; the control comes last, for what it leaves behind. */
async function both(scene, argument, where = page) {
  const out = {};
  for (const name of ['tfpersist', 'tf.io']) {
    await where.evaluate(() => T.clear());
    out[name] = await where.evaluate(scene, { lib: name, argument });
  }
  return { ours: out.tfpersist, theirs: out['tf.io'] };
}

test('row 1: an IndexedDB save over quota rejects, leaves the old model, no ghost and no open connection', async () => {
  const small = await open({ quota: 8 * MB });
  const { ours, theirs } = await both(async ({ lib }) => {
    const { save, load, listModels } = await T.library(lib);
    const [old, huge] = [T.plain('old', 1, 2 ** 20), T.plain('huge', 2, 30 * 2 ** 20)];
    await save(old, 'indexeddb://m');
    const before = await T.dumpHash();
    const overwrite = await T.attempt(async () => (await save(huge, 'indexeddb://m')).modelArtifactsInfo);
    const fresh = await T.attempt(async () => (await save(huge, 'indexeddb://new')).modelArtifactsInfo);
    return {
      overwrite,
      fresh,
      untouched: await T.dumpHash() === before,
      old: await T.print(await load('indexeddb://m')) === await T.print(old),
      listed: Object.keys(await listModels()),
      ghost: await T.attempt(async () => T.print(await load('indexeddb://new'))),
      closed: await T.attempt(() => T.deleteDatabase('tensorflowjs', 3000)),
    };
  }, null, small);
  for (const { error } of [ours.overwrite, ours.fresh]) {
    assert.equal(error?.code, 'ERR_QUOTA_EXCEEDED');
    assert.equal(error.name, 'QuotaExceededError');
    assert.ok(error.needed >= 30 * MB && error.needed < 31 * MB, `needed: ${error.needed}`);
  }
  assert.ok(ours.untouched && ours.old);
  assert.deepEqual(ours.listed, ['indexeddb://m']);
  assert.equal(ours.ghost.error?.code, 'ERR_NOT_FOUND');
  assert.equal(ours.closed.error, undefined);

  assert.equal(theirs.fresh.value?.weightDataBytes, 30 * MB, 'control: it says that all is well');
  assert.deepEqual(theirs.listed.sort(), ['indexeddb://m', 'indexeddb://new'], 'control: a ghost');
  assert.ok(theirs.ghost.error);
  assert.match(theirs.closed.error?.message ?? '', /held open/, 'control: an open connection');
  await small.close();
});

test('row 2: a Local Storage save that fails leaves the old model byte for byte', async () => {
  const { ours, theirs } = await both(async ({ lib }) => {
    const { save, load } = await T.library(lib);
    const old = T.plain('old', 1, 40000);
    await save(old, 'localstorage://m');
    T.fillLocalStorage(100000);
    const before = await T.dumpHash();
    const { error } = await T.attempt(() => save(T.plain('new', 2, 400000), 'localstorage://m'));
    const { value } = await T.attempt(async () => T.print(await load('localstorage://m')));
    return { error, untouched: await T.dumpHash() === before, loads: value === await T.print(old) };
  });
  assert.equal(ours.error?.code, 'ERR_QUOTA_EXCEEDED');
  assert.ok(ours.error.needed >= 400000 && ours.error.cause, JSON.stringify(ours.error));
  assert.ok(ours.untouched && ours.loads);
  assert.ok(theirs.error);
  assert.ok(!theirs.untouched && !theirs.loads, 'control: the old model is gone');
});

test('row 3: a move that fails leaves the source', async () => {
  const { ours, theirs } = await both(async ({ lib }) => {
    const { save, load, moveModel, listModels } = await T.library(lib);
    const model = T.plain('m', 1, 6 * 2 ** 20); // more than Local Storage can hold
    await save(model, 'indexeddb://m');
    const { error } = await T.attempt(() => moveModel('indexeddb://m', 'localstorage://m'));
    const { value } = await T.attempt(async () => T.print(await load('indexeddb://m')));
    return { error, loads: value === await T.print(model), listed: Object.keys(await listModels()) };
  });
  assert.equal(ours.error?.code, 'ERR_QUOTA_EXCEEDED');
  assert.ok(ours.loads);
  assert.deepEqual(ours.listed, ['indexeddb://m']);
  assert.ok(theirs.error && !theirs.loads, 'control: the model is nowhere');
  assert.deepEqual(theirs.listed, []);
});

test('row 4: weights that come as a stream are stored', async () => {
  const { ours, theirs } = await both(async ({ lib }) => {
    const { save, load } = await T.library(lib);
    const out = {};
    for (const store of ['localstorage', 'indexeddb']) {
      const model = T.streamed(T.plain('m', 1, 40000));
      out[store] = await T.attempt(async () => {
        const { modelArtifactsInfo } = await save(model, `${store}://m`);
        const { weightData } = await load(`${store}://m`);
        return [modelArtifactsInfo.weightDataBytes, T.join(weightData).byteLength];
      });
    }
    return out;
  });
  assert.deepEqual(ours, { localstorage: { value: [40000, 40000] }, indexeddb: { value: [40000, 40000] } });
  assert.deepEqual(theirs.localstorage, { value: [0, 0] }, 'control: it says that all is well');
  assert.equal(theirs.indexeddb.error?.name, 'DataCloneError');
});

test('row 6: the object of the caller is not changed', async () => {
  const { ours, theirs } = await both(async ({ lib }) => {
    const { save } = await T.library(lib);
    const artifacts = await T.CASES['weights in pieces'].make();
    const pieces = artifacts.weightData;
    await save(artifacts, 'indexeddb://m');
    return artifacts.weightData === pieces && pieces.length === 4;
  });
  assert.equal(ours, true);
  assert.equal(theirs, false, 'control: it puts its own buffer there');
});

test('row 8: damaged entries are marked and do not hide the others', async () => {
  const { ours, theirs } = await both(async ({ lib }) => {
    const { save, listModels, removeModel } = await T.library(lib);
    for (const store of ['localstorage', 'indexeddb']) await save(T.plain('good', 1, 400), `${store}://good`);
    const bad = { cut: '{"dateSaved":"2026-', empty: '', null: 'null', text: '"text"', undated: '{"modelTopologyType":"JSON"}' };
    for (const [path, text] of Object.entries(bad)) localStorage.setItem(`tensorflowjs_models/${path}/info`, text);
    localStorage.setItem('tensorflowjs_models/info', 'stray');
    localStorage.setItem('tensorflowjs_models/stray', 'stray');
    const db = await T.done(indexedDB.open('tensorflowjs'));
    const sizes = { modelTopologyBytes: 9, weightSpecsBytes: 9, weightDataBytes: 9 };
    await T.done(db.transaction('model_info_store', 'readwrite').objectStore('model_info_store').put(
      { modelPath: 'ghost', modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: 'JSON', ...sizes } }));
    db.close();
    const list = await T.attempt(async () => Object.fromEntries(Object.entries(await listModels())
      .map(([url, { damage }]) => [url, damage ? T.tell(damage).code : 'good'])));
    if (list.error) return { list };
    const remove = Object.keys(list.value).filter((url) => list.value[url] !== 'good');
    const removed = await T.attempt(() => Promise.all(remove.map((url) => removeModel(url))).then((infos) => infos.length));
    return { list, removed, left: Object.keys(await listModels()).sort() };
  });
  const damaged = ['cut', 'empty', 'null', 'text', 'undated'].map((path) => [`localstorage://${path}`, 'ERR_CORRUPT']);
  assert.deepEqual(ours.list.value, {
    'localstorage://good': 'good', 'indexeddb://good': 'good', 'indexeddb://ghost': 'ERR_CORRUPT', ...Object.fromEntries(damaged),
  });
  assert.deepEqual(ours.removed, { value: 6 });
  assert.deepEqual(ours.left, ['indexeddb://good', 'localstorage://good']);
  assert.ok(theirs.list.error, 'control: no list at all');
});

test('row 9: a path with :// can be removed; dateSaved is a Date everywhere', async () => {
  const { ours, theirs } = await both(async ({ lib }) => {
    const { save, removeModel, listModels } = await T.library(lib);
    const dates = [];
    const removed = [];
    for (const store of ['localstorage', 'indexeddb']) {
      const url = `${store}://a://b`;
      const { modelArtifactsInfo } = await save(T.plain('m', 1, 400), url);
      dates.push(modelArtifactsInfo.dateSaved instanceof Date, (await listModels())[url].dateSaved instanceof Date);
      removed.push((await T.attempt(async () => (await removeModel(url)).dateSaved instanceof Date)).value ?? 'fails');
    }
    return { dates, removed };
  });
  assert.deepEqual(ours, { dates: [true, true, true, true], removed: [true, true] });
  assert.deepEqual(theirs, { dates: [true, false, true, true], removed: ['fails', 'fails'] }, 'control');
});

/** Saves that cannot succeed: what they reject with. */
const REFUSED = {
  'too few bytes': 'ERR_SIZE_MISMATCH',
  'too many bytes': 'ERR_SIZE_MISMATCH',
  'a stream that ends early': 'ERR_SIZE_MISMATCH',
  'a stream that breaks': undefined,
  'an unknown dtype': 'ERR_MANIFEST',
  'a negative shape': 'ERR_MANIFEST',
  'two weights of one name': 'ERR_MANIFEST',
  'a topology in a circle': undefined,
  'a signal that has fired': 'reason',
  'a signal that fires meanwhile': 'reason',
  'an option that does not exist': 'ERR_INVALID_ARGUMENT',
  'overwrite: false': 'ERR_ALREADY_EXISTS',
};

describe('whatever makes a save fail, the old model stays byte for byte, and TF.js loads it', () => {
  for (const store of ['localstorage', 'indexeddb']) {
    test(store, async () => {
      const result = await page.evaluate((at) => T.refusedSaves(at), `${store}://m`);
      assert.deepEqual(result.map((r) => r.name), Object.keys(REFUSED));
      for (const { name, error, code, untouched, loads } of result) {
        assert.ok(error, `${name}: was not refused`);
        assert.equal(code, REFUSED[name] ?? code, `${name}: ${JSON.stringify(error)}`);
        assert.ok(untouched && loads, `${name}: the old model suffered`);
      }
    });
  }
});
