// One path of `indexeddb://` in two layouts: TF.js in the same page saves, removes and lists beside our shards, and the newer model counts,
// for every verb; nothing but TF.js's own format ever is in its database, and it goes on working there.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ENGINES, openIn } from '../lib/engines.mjs';
import { comparable, open } from '../lib/suite.mjs';

const PATIENCE = 120000;

/**
 * In the page: scenes are lists of steps such as `ours m`, `record m`, `theirs m`, `copy a b`, each followed by what stands at its
 * last path afterwards: whose model a load gives, the row of the listing, that of `verify`, and where something lies of it.
 */
async function play(scenes) {
  const lib = await T.sharded();
  const tfio = await T.library('tf.io');
  const models = Object.fromEntries(['ours', 'record', 'theirs'].map((name, i) => [name, T.plain(name, i + 1, 4000 * (i + 5))]));
  const url = (path) => `indexeddb://${path}`;
  const later = () => new Promise((resolve) => { setTimeout(resolve, 2); }); // TF.js's dates are its clock's, to the millisecond
  const options = { once: { overwrite: false }, tfjs: { layout: 'tfjs' }, sharded: { layout: 'sharded' } };
  const steps = {
    ours: (path, how) => lib.save(models.ours, url(path), { layout: 'sharded', ...options[how] }),
    record: (path, how) => lib.save(models.record, url(path), { layout: 'tfjs', ...options[how] }),
    theirs: (path) => later().then(() => tfio.save(models.theirs, url(path))),
    async ghost(path) { // TF.js's info without its model, as it leaves it when a save fails
      await tfio.save(models.theirs, url('of the ghost'));
      const db = await T.done(indexedDB.open('tensorflowjs'));
      const tx = db.transaction(['models_store', 'model_info_store'], 'readwrite');
      const info = await T.done(tx.objectStore('model_info_store').get('of the ghost'));
      info.modelArtifactsInfo.dateSaved = new Date(Date.now() + 1e6);
      tx.objectStore('model_info_store').put({ ...info, modelPath: path });
      for (const store of ['models_store', 'model_info_store']) tx.objectStore(store).delete('of the ghost');
      await T.done(tx);
      db.close();
    },
    copy: (to, from, how) => lib.copyModel(url(from), url(to), options[how]),
    move: (to, from, how) => lib.moveModel(url(from), url(to), options[how]),
    remove: (path) => lib.removeModel(url(path)),
    'theirs removes': (path) => tfio.removeModel(url(path)),
    'theirs lists': async (path) => { if (!(url(path) in await tfio.listModels())) throw new Error('it does not list it'); },
    'clock back': async () => { Date.now = () => performance.timeOrigin + performance.now() - 3600e3; },
    'clock right': async () => { delete Date.now; Date.now = now; },
  };
  /** TF.js begins to save to m, and others have to wait for that. */
  const theirsBegins = async () => {
    await later();
    await tfio.save(models.theirs, url('of the slow'));
    const stores = ['models_store', 'model_info_store'];
    const db = await T.done(indexedDB.open('tensorflowjs'));
    const tx = db.transaction(stores, 'readwrite');
    const rows = await Promise.all(stores.map((store) => T.done(tx.objectStore(store).get('of the slow'))));
    rows.forEach((row, i) => tx.objectStore(stores[i]).put({ ...row, modelPath: 'm' }));
    stores.forEach((store) => tx.objectStore(store).delete('of the slow'));
    const until = performance.now() + 300;
    const ask = () => { if (performance.now() < until) tx.objectStore(stores[0]).getKey('m').onsuccess = ask; };
    ask();
    tx.oncomplete = () => db.close();
  };
  const now = Date.now;
  const out = {};
  for (const [name, script] of Object.entries(scenes)) {
    await T.clearAll();
    out[name] = [];
    for (const step of script) {
      const [verb, path, ...rest] = step.split(': ').flatMap((part, i) => (i === 0 ? [part] : part.split(' ')));
      const before = await T.dumpHash();
      if (rest.at(-1) === 'meanwhile') await theirsBegins();
      const { error } = await T.attempt(async () => { await steps[verb](path, ...rest); });
      const untouched = error && await T.dumpHash() === before;
      const stands = path && await T.standing(path, models);
      out[name].push(`${step} -> ${error ? `${error.code ?? error.message}${untouched ? '' : ', but something changed'}` : ''}${error && stands ? '; ' : ''}${stands ?? ''}`);
    }
  }
  return out;
}

const OURS = 'ours, sharded, sharded, shards';
const RECORD = 'record, tfjs, tfjs, model+info';
const THEIRS = 'theirs, tfjs, tfjs, model+info';
const GONE = 'ERR_NOT_FOUND, not listed, ERR_NOT_FOUND, ';
const HIDDEN = '+shards'; // our older twin, until something is written
const [EXISTS, MISSING] = ['ERR_ALREADY_EXISTS; ', 'ERR_NOT_FOUND; '];

/** Scene -> step -> what must stand there; a space at its end makes a step another key. Of `copy: b a` and `move: b a`, b is where to. */
const SCENES = {
  'TF.js saves over ours': {
    'ours: m': OURS, 'theirs: m': THEIRS + HIDDEN, 'theirs lists: m': THEIRS + HIDDEN,
    'copy: c m': THEIRS, 'move: d m': THEIRS, 'theirs lists: d': THEIRS, 'remove: d': GONE, 'remove: m': MISSING + GONE,
  },
  'removed by us, both go': { 'ours: m': OURS, 'theirs: m': THEIRS + HIDDEN, 'remove: m': GONE },
  'what TF.js removes is its own': { 'ours: m': OURS, 'theirs: m': THEIRS + HIDDEN, 'theirs removes: m': OURS },
  'we save over TF.js\'s': { 'theirs: m': THEIRS, 'ours: m': OURS, 'remove: m': GONE },
  'in turn': { 'theirs: m': THEIRS, 'ours: m': OURS, 'record: m': RECORD, 'ours: m sharded': OURS, 'theirs: m ': THEIRS + HIDDEN, 'record: m tfjs': RECORD },
  'not over the other layout': {
    'ours: m': OURS, 'record: m once': EXISTS + OURS, 'theirs: t': THEIRS, 'ours: t once': EXISTS + THEIRS, 'copy: m t once': EXISTS + OURS,
    'move: m t once': EXISTS + OURS, 'copy: t m once': EXISTS + THEIRS, 'move: t m once': EXISTS + THEIRS,
    'ours: n once': OURS, 'record: o once': RECORD, 'copy: p m once': OURS, 'move: q t once': THEIRS,
  },
  'copies over the other layout': { 'ours: s': OURS, 'record: r': RECORD, 'theirs: t': THEIRS, 'copy: r s': OURS, 'copy: s t': THEIRS, 'copy: t s': THEIRS },
  'copies into the other layout': {
    'ours: s': OURS, 'record: r': RECORD, 'copy: a s tfjs': 'ours, tfjs, tfjs, model+info', 'copy: b r sharded': 'record, sharded, sharded, shards',
  },
  'moves over the other layout': {
    'ours: s': OURS, 'theirs: t': THEIRS, 'move: t s': OURS, 'remove: s': MISSING + GONE, 'record: r': RECORD, 'move: t r': RECORD, 'remove: r': MISSING + GONE,
  },
  'a move takes the older twin with it': {
    'ours: m': OURS, 'theirs: m': THEIRS + HIDDEN, 'move: n m': THEIRS, 'theirs removes: n': GONE, 'ours: m ': OURS, 'remove: m': GONE,
  },
  'onto a path with both': { 'ours: m': OURS, 'theirs: m': THEIRS + HIDDEN, 'ours: s': OURS, 'move: m s': OURS, 'theirs: m ': THEIRS + HIDDEN, 'record: r': RECORD, 'copy: m r': RECORD },
  'a ghost beside ours': {
    'ours: m': OURS, 'ghost: m': 'ours, sharded, sharded, info+shards', 'theirs lists: m': 'ours, sharded, sharded, info+shards', 'ours: m sharded': OURS,
    'ghost: m ': 'ours, sharded, sharded, info+shards', 'copy: n m': OURS, 'move: o m': OURS, 'ghost: o': 'ours, sharded, sharded, info+shards', 'remove: o': GONE,
  },
  'a ghost alone': { 'ghost: m': 'ERR_CORRUPT, ERR_CORRUPT, ERR_CORRUPT, info', 'ours: m': OURS, 'remove: m': GONE },
  'the clock is set back': {
    'theirs: t': THEIRS, 'ours: s': OURS, 'record: r': RECORD, 'clock back': '', 'ours: t': OURS, 'record: s': RECORD, 'ours: r': OURS,
    'copy: t s': RECORD, 'move: s r': OURS, 'clock right': '',
  },
  'a record that TF.js is still writing': {
    'ours: m': OURS, 'copy: n m meanwhile': THEIRS, 'ours: m ': OURS, 'move: o m meanwhile': THEIRS,
    'ours: m  ': OURS, 'ours: p': OURS, 'copy: m p meanwhile': OURS, 'remove: m meanwhile': GONE,
  },
  'a twin of TF.js\'s with the clock set back': { 'ours: m': OURS, 'theirs: m': THEIRS + HIDDEN, 'clock back': '', 'ours: m sharded': OURS, 'clock right': '' },
};

for (const engine of ENGINES.filter((name) => name !== 'webkit')) {
  describe(engine, () => {
    test('newest wins, for every verb', { timeout: PATIENCE }, async () => {
      const page = await openIn(engine, { html: 'page' });
      const scenes = Object.fromEntries(Object.entries(SCENES).map(([name, steps]) => [name, Object.keys(steps).map((step) => step.trim())]));
      const found = await page.evaluate(play, scenes);
      for (const [name, steps] of Object.entries(SCENES)) {
        assert.deepEqual(found[name], Object.entries(steps).map(([step, stands]) => `${step.trim()} -> ${stands}`), name);
      }
      await page.close();
    });
  });
}

test('after all that, the database of TF.js is as TF.js alone makes it, and it trains, saves, loads and predicts there', async () => {
  const page = await open();
  const { dumps, theirs, ours, predictions } = await page.evaluate(async () => {
    const { save, copyModel, moveModel, removeModel, loadModel } = await T.sharded();
    const model = await T.build('sequential');
    await model.save('indexeddb://m');
    const out = { dumps: [await T.dump()], predictions: await T.predict('sequential', model) };
    await T.clear();
    const big = T.plain('big', 1, 100000);
    await save(big, 'indexeddb://m', { layout: 'sharded' });
    await save(big, 'indexeddb://a', { layout: 'tfjs' });
    await copyModel('indexeddb://m', 'indexeddb://a');
    await moveModel('indexeddb://a', 'indexeddb://b');
    await removeModel('indexeddb://b');
    await model.save('indexeddb://m');
    await save(model, 'indexeddb://ours', { layout: 'sharded' });
    const all = await T.dump();
    out.dumps.push({ ...all, databases: all.databases.filter(({ name }) => name === 'tensorflowjs') });
    out.theirs = await T.predict('sequential', await tf.loadLayersModel('indexeddb://m'));
    out.ours = await T.predict('sequential', await loadModel(tf, 'indexeddb://ours'));
    return out;
  });
  const [alone, beside] = dumps.map((dump) => comparable(dump).stored);
  assert.equal(alone.databases.length, 1);
  assert.deepEqual(beside, alone);
  assert.deepEqual([theirs, ours], [predictions, predictions]);
  await page.close();
});

test('the option `layout`, and what is chosen without it', { timeout: PATIENCE }, async () => {
  const page = await open({ html: 'bare' });
  const result = await page.evaluate(async () => {
    const { save, listModels, copyModel } = await T.sharded();
    const out = { refused: {}, chosen: {} };
    const small = T.plain('small', 1, 4000);
    for (const layout of ['TFJS', 'shards', '', 1, true, {}, ['tfjs']]) {
      const { error } = await T.attempt(() => save(small, 'indexeddb://m', { layout }));
      out.refused[JSON.stringify(layout)] = [error?.code, error?.argument];
    }
    out.nothing = Object.keys(await listModels());
    const chosen = async (name, model, options) => {
      const { value, error } = await T.attempt(() => save(model, `indexeddb://${name}`, options), 60000);
      const row = (await listModels('indexeddb://'))[`indexeddb://${name}`];
      out.chosen[name] = error ? error.code : [value.modelArtifactsInfo.layout ?? 'tfjs', row.layout ?? 'tfjs', row.weightDataBytes];
    };
    const text = new Uint8Array(4000);
    new DataView(text.buffer).setUint32(0, 3996, true);
    const weightSpecs = [{ name: 's', shape: [1], dtype: 'string' }, { name: 'f', shape: [0], dtype: 'float32' }];
    const strings = { ...T.streamed({ ...small, weightData: text.buffer }), weightSpecs }; // only the bytes tell how many there are
    await chosen('small', small);
    await chosen('auto', small, { layout: 'auto' });
    await chosen('undefined', small, { layout: undefined });
    await chosen('a stream with specs', T.streamed(small));
    await chosen('a stream of unknown length', strings);
    await chosen('a stream as a record', strings, { layout: 'tfjs' });
    const limit = T.plain('limit', 2, 2 ** 26);
    await chosen('64 MiB', limit);
    await chosen('64 MiB in shards', limit, { layout: 'sharded' });
    const above = { ...limit, weightData: [limit.weightData, new ArrayBuffer(2 ** 20)], weightSpecs: [...limit.weightSpecs, { name: 'more', shape: [2 ** 18], dtype: 'float32' }] };
    await chosen('65 MiB', above);
    await chosen('65 MiB as a record', above, { layout: 'tfjs' });
    const copied = await copyModel('indexeddb://small', 'indexeddb://copied', { layout: 'sharded' });
    out.copied = copied.layout;
    return out;
  });
  for (const [layout, refused] of Object.entries(result.refused)) assert.deepEqual(refused, ['ERR_INVALID_ARGUMENT', 'options.layout'], layout);
  assert.deepEqual(result.nothing, []);
  const both = (layout, bytes) => [layout, layout, bytes];
  assert.deepEqual(result.chosen, {
    small: both('tfjs', 4000), auto: both('tfjs', 4000), undefined: both('tfjs', 4000), 'a stream with specs': both('tfjs', 4000),
    'a stream of unknown length': both('sharded', 4000), 'a stream as a record': both('tfjs', 4000),
    '64 MiB': both('tfjs', 2 ** 26), '64 MiB in shards': both('sharded', 2 ** 26),
    '65 MiB': both('sharded', 65 * 2 ** 20), '65 MiB as a record': both('tfjs', 65 * 2 ** 20),
  });
  assert.equal(result.copied, 'sharded');
  await page.close();
});
