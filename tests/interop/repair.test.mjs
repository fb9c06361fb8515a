// Every part of a stored model damaged in turn - missing, cut, of a wrong type - in every store: a load says which part, a listing shows the
// other models and marks this one, `verify` tells what a load would, and `removeModel` takes all of it away.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { test } from 'node:test';
import { plain } from '../lib/artifacts.mjs';
import { ENGINES, openIn } from '../lib/engines.mjs';
import { folder, names, PACKAGE } from '../lib/node.mjs';

/** What all damages of a store should come to: told by a load and by verify alike, seen by a listing, removed. */
function check(rows, { seenOnlyByReading }) {
  for (const { part, damage, load, verify, listed, thorough, others, removed, left } of rows) {
    const what = `${part} ${damage}: ${JSON.stringify({ load, verify, listed, thorough })}`;
    assert.equal(load?.code, 'ERR_CORRUPT', what);
    assert.ok(load.file && load.expected !== undefined && load.received !== undefined, what);
    assert.deepEqual([verify?.code, verify?.file], [load.code, load.file], what);
    assert.equal(thorough, 'ERR_CORRUPT', `${what}: a listing that reads everything`);
    assert.equal(listed, seenOnlyByReading(part, damage) ? 'sound' : 'ERR_CORRUPT', `${what}: a listing`);
    assert.deepEqual(others, ['sound', 'sound'], `${what}: the other model`);
    assert.deepEqual([removed, left], ['removed', 'nothing'], what);
  }
  return rows;
}

/** In the page or in Node: what the verbs say of the damaged model at `url`, beside a sound one at `other`. */
const look = async ({ load, verify, listModels, removeModel }, url, other, tell) => {
  const told = (error) => error && tell(error);
  const mark = (models, at) => (models[at] ? models[at].damage?.code ?? 'sound' : 'not listed');
  const prefix = url.startsWith('file') ? [other.slice(0, other.lastIndexOf('/'))] : [];
  const [plainly, thoroughly] = [await listModels(...prefix), await listModels(...prefix, { verify: true })];
  return {
    load: await load(url).then(() => 'loads', told),
    verify: told((await verify(url)).damage),
    listed: mark(plainly, url),
    thorough: mark(thoroughly, url),
    others: [mark(plainly, other), (await verify(other)).damage ? 'damaged' : 'sound'],
    removed: await removeModel(url).then(() => 'removed', (error) => `${error}`),
  };
};

/** In the page: all damages to Local Storage. */
async function damageTexts(lookText) {
  const lib = await T.library('tfpersist');
  const lookAt = new Function(`return ${lookText}`)();
  const damages = {
    missing: (key) => localStorage.removeItem(key),
    cut: (key, text) => localStorage.setItem(key, text.slice(0, -7)),
    'of a wrong type': (key) => localStorage.setItem(key, '[42]'),
  };
  const rows = [];
  for (const part of ['info', 'model_topology', 'weight_specs', 'weight_data', 'model_metadata']) {
    for (const [damage, harm] of Object.entries(damages)) {
      for (const [i, path] of ['damaged', 'other'].entries()) await lib.save(T.plain(path, i, 400), `localstorage://${path}`);
      const key = `tensorflowjs_models/damaged/${part}`;
      harm(key, localStorage.getItem(key));
      const seen = await lookAt(lib, 'localstorage://damaged', 'localstorage://other', T.tell);
      const left = Object.keys(localStorage).some((name) => name.includes('/damaged/')) ? 'something' : 'nothing';
      rows.push({ part, damage, ...seen, left });
    }
  }
  await lib.removeModel('localstorage://other');
  return rows;
}

/** In the page: all damages to IndexedDB's two records. A damage is done to a part of a record, or to the whole. */
async function damageRecords(lookText) {
  const lib = await T.library('tfpersist');
  const lookAt = new Function(`return ${lookText}`)();
  const inStore = async (name, work) => {
    const db = await T.done(indexedDB.open('tensorflowjs'));
    const answer = await T.done(work(db.transaction(name, 'readwrite').objectStore(name)));
    db.close();
    return answer;
  };
  const parts = {
    info: ['model_info_store', 'modelArtifactsInfo'], record: ['models_store', 'modelArtifacts'], 'its info': ['models_store', 'modelArtifactsInfo'],
    modelTopology: ['models_store', 'modelArtifacts', 'modelTopology'], weightSpecs: ['models_store', 'modelArtifacts', 'weightSpecs'],
    weightData: ['models_store', 'modelArtifacts', 'weightData'],
  };
  const cut = {
    info: { dateSaved: 'never' }, record: {}, 'its info': { dateSaved: 'never' }, modelTopology: { class_name: 'Test' },
    weightSpecs: [{ name: 'w', shape: [3] }], weightData: new ArrayBuffer(396),
  };
  const damages = { missing: () => undefined, cut: (part) => cut[part], 'of a wrong type': () => 42 };
  const rows = [];
  const attempt = async (part, damage, harm) => {
    for (const [i, path] of ['damaged', 'other'].entries()) await lib.save(T.plain(path, i, 400), `indexeddb://${path}`);
    await harm();
    const seen = await lookAt(lib, 'indexeddb://damaged', 'indexeddb://other', T.tell);
    const keys = await Promise.all(['model_info_store', 'models_store'].map((name) => inStore(name, (store) => store.getAllKeys())));
    rows.push({ part, damage, ...seen, left: keys.flat().includes('damaged') ? 'something' : 'nothing' });
  };
  for (const [part, [store, ...fields]] of Object.entries(parts)) {
    for (const [damage, value] of Object.entries(damages)) {
      await attempt(part, damage, async () => {
        const record = await inStore(store, (records) => records.get('damaged'));
        const last = fields.pop();
        const inside = fields.reduce((at, field) => at[field], record);
        fields.push(last);
        if (value(part) === undefined) delete inside[last]; else inside[last] = value(part);
        await inStore(store, (records) => records.put(record));
      });
    }
  }
  for (const store of ['model_info_store', 'models_store']) {
    await attempt(store, 'missing', () => inStore(store, (records) => records.delete('damaged')));
  }
  await lib.removeModel('indexeddb://other');
  return rows;
}

for (const engine of ENGINES) {
  test(`${engine}: every damage to the five texts of Local Storage`, async () => {
    const page = await openIn(engine);
    const rows = await page.evaluate(damageTexts, look.toString());
    check(rows, { seenOnlyByReading: (part) => part === 'model_metadata' }); // no length of it is kept
    assert.equal(rows.length, 15);
    await page.close();
  });

  test(`${engine}: every damage to the two records of IndexedDB`, async () => {
    const page = await openIn(engine);
    const rows = await page.evaluate(damageRecords, look.toString());
    // TF.js looks at no info when it loads, and of a topology only at what it understands; so do we, and `verify` tells.
    const isHarmless = ({ part, damage }) => ['info', 'model_info_store', 'its info'].includes(part) || (part === 'modelTopology' && damage !== 'missing');
    for (const row of rows.filter(isHarmless)) {
      const seen = row.part === 'info' || row.part === 'model_info_store' ? 'ERR_CORRUPT' : 'sound';
      assert.deepEqual([row.load, row.listed, row.thorough, row.verify?.code], ['loads', seen, 'ERR_CORRUPT', 'ERR_CORRUPT'], JSON.stringify(row));
      assert.ok(row.verify.file && row.verify.expected && row.verify.received, JSON.stringify(row));
      assert.deepEqual([row.others, row.removed, row.left], [['sound', 'sound'], 'removed', 'nothing']);
    }
    const models = rows.filter((row) => !isHarmless(row));
    check(models, { seenOnlyByReading: (part) => part !== 'models_store' });
    assert.equal(rows.length, 20);
    await page.close();
  });
}

test('Node: every damage to the files of a folder', async () => {
  const lib = await import(PACKAGE);
  const damages = {
    missing: (file) => fs.rmSync(file),
    cut: (file) => fs.truncateSync(file, fs.statSync(file).size - 7),
    empty: (file) => fs.truncateSync(file, 0),
    'of a wrong type': (file) => fs.writeFileSync(file, '[42]'),
  };
  const told = ({ code, file, expected, received }) => ({ code, file, expected, received });
  const rows = [];
  for (const part of ['model.json', 'weights.bin']) {
    for (const [damage, harm] of Object.entries(damages)) {
      if (part === 'model.json' && damage === 'missing') continue; // then there is no model
      const root = folder();
      for (const [i, name] of ['damaged', 'other'].entries()) await lib.save(plain(name, i, 400), `file://${root}/${name}`);
      harm(`${root}/damaged/${part}`);
      const seen = await look(lib, `file://${root}/damaged`, `file://${root}/other`, told);
      rows.push({ part, damage, ...seen, left: names(root).includes('damaged') ? names(`${root}/damaged`).join() : 'nothing' });
    }
  }
  // Nobody can say whose weights those are which no model JSON names.
  const [json, weights] = [true, false].map((is) => rows.filter((row) => (row.part === 'model.json') === is));
  check(json.map((row) => ({ ...row, left: row.left === 'weights.bin' ? 'nothing' : row.left })), { seenOnlyByReading: () => false });
  check(weights, { seenOnlyByReading: () => false });
  assert.equal(rows.length, 7);
});

test('registered stores and memory://: what a load says, verify tells, and no model keeps the others from being checked', async () => {
  const { load, registerStore, save, verify, listModels } = await import(PACKAGE);
  const info = { dateSaved: new Date(), modelTopologyType: 'JSON', weightDataBytes: 400 };
  const models = { sound: plain('sound', 1, 400), cut: { ...plain('cut', 2, 400), weightData: new ArrayBuffer(396) }, odd: 42, gone: undefined };
  registerStore('repair', {
    save() {},
    remove() {},
    load: async (path) => (path === 'throws' ? Promise.reject(new Error('mine')) : models[path]),
    list: async () => Object.fromEntries([...Object.keys(models), 'throws'].map((path) => [path, info])),
  });
  const circle = { ...plain('circle', 1, 400) };
  circle.userDefinedMetadata = { circle };
  await save(circle, 'memory://circle');
  const progress = [];
  const all = await listModels({ verify: true, onProgress: (fraction, { loaded, total }) => progress.push([fraction, loaded, total]) });
  assert.deepEqual(Object.entries(all).map(([url, { damage }]) => [url, damage?.code]), [['memory://circle', undefined], ['repair://sound', undefined],
    ['repair://cut', 'ERR_CORRUPT'], ['repair://odd', 'ERR_CORRUPT'], ['repair://gone', 'ERR_CORRUPT'], ['repair://throws', 'ERR_STORAGE']]);
  assert.deepEqual(progress.at(-1), [1, 2400, 2400]);
  const { damage, weightDataBytes } = await verify('repair://cut');
  assert.deepEqual([damage.file, damage.expected, damage.received, weightDataBytes], ['weightData', '400 bytes', '396 bytes', 400]);
  await assert.rejects(verify('repair://nowhere'), { code: 'ERR_NOT_FOUND' });
  await assert.rejects(save(circle, 'memory://m', { verify: true }), { code: 'ERR_INVALID_ARGUMENT', argument: 'options.verify' });
  await assert.rejects(load('memory://circle', { verify: 'yes' }), { code: 'ERR_INVALID_ARGUMENT', argument: 'options.verify' });
});

test('a save between the reading and the look is no damage', async () => {
  const { registerStore, verify } = await import(PACKAGE);
  let reads = 0;
  registerStore('busy', {
    save() {},
    remove() {},
    load: async () => (++reads > 1 ? plain('new', 1, 400) : undefined), // saved just after
    list: async () => ({ m: { dateSaved: new Date(reads), modelTopologyType: 'JSON', weightDataBytes: 400 } }),
  });
  assert.equal((await verify('busy://m')).damage, undefined);
});

test('a damaged model of a store whose dates are new at each look is damaged all the same', async () => {
  const { registerStore, verify } = await import(PACKAGE);
  let looks = 0;
  registerStore('dated', {
    save() {}, remove() {}, load: async () => ({ ...plain('cut', 1, 400), weightData: new ArrayBuffer(4) }),
    list: async () => ({ m: { dateSaved: new Date(++looks * 1000), modelTopologyType: 'JSON' } }),
  });
  assert.equal((await verify('dated://m')).damage?.code, 'ERR_CORRUPT');
});

test('an info of another writer, without sizes, is no damage', async () => {
  const page = await openIn('chromium');
  const outcome = await page.evaluate(async () => {
    const { save, load, verify } = await T.library('tfpersist');
    await save(T.plain('m', 1, 400), 'indexeddb://m');
    const db = await T.done(indexedDB.open('tensorflowjs'));
    for (const name of ['models_store', 'model_info_store']) {
      const record = await T.done(db.transaction(name).objectStore(name).get('m'));
      record.modelArtifactsInfo = { dateSaved: new Date(), modelTopologyType: 'JSON' };
      await T.done(db.transaction(name, 'readwrite').objectStore(name).put(record));
    }
    db.close();
    return [(await load('indexeddb://m')).weightData.byteLength, (await verify('indexeddb://m')).damage ?? 'sound'];
  });
  assert.deepEqual(outcome, [400, 'sound']);
  await page.close();
});
