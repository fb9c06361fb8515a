// A listing is what TF.js's own is, whatever the paths, and tells more: what cannot be loaded. The small build asks for models in shards
// while it lists, and the larger one comes only when there may be some.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ENGINES, openIn } from '../lib/engines.mjs';

const PATHS = ['a', 'b/c', 'Grüße', '模型', '🦊', 'a🦊\0b', '\0', 'a b?#%20&', 'constructor', '1', ' ', 'x'.repeat(300), 'end'];

/** In the page: real TF.js saves under each of the paths in its two stores; then both list. */
const listed = async (paths) => {
  await T.clearAll();
  const { listModels } = await T.library('tfpersist');
  const model = tf.sequential({ layers: [tf.layers.dense({ units: 1, inputShape: [1] })] });
  for (const path of [...paths, '\ud83e', '\udd8a']) await model.save(`indexeddb://${path}`);
  await model.save('localstorage://a');
  // Half a surrogate pair is no text: our own URLs cannot name such a path, nor can it leave the page.
  const told = (list) => Object.entries(list).map(([url, info]) => [url, JSON.stringify(info), info.damage?.code]).filter(([url]) => !/[\ud800-\udfff\ufffd]/u.test(url));
  const theirs = told(await tf.io.listModels());
  const ours = told(await listModels());
  await model.save('indexeddb://__proto__');
  const proto = [Object.keys(await tf.io.listModels()), Object.keys(await listModels())].map((urls) => urls.includes('indexeddb://__proto__'));
  const db = await T.done(indexedDB.open('tensorflowjs'));
  const tx = db.transaction(['models_store', 'model_info_store'], 'readwrite');
  const info = await T.done(tx.objectStore('model_info_store').get('a'));
  for (const path of ['ghost', '👻', 7]) tx.objectStore('model_info_store').put({ ...info, modelPath: path });
  for (const path of ['orphan', 'ö🦊', 8]) tx.objectStore('models_store').put({ modelPath: path, modelArtifacts: {} });
  for (const [path, bad] of Object.entries({ undated: { ...info.modelArtifactsInfo, dateSaved: undefined }, none: undefined, text: 'text', negative: { ...info.modelArtifactsInfo, weightDataBytes: -1 } })) {
    tx.objectStore('model_info_store').put({ modelPath: path, modelArtifactsInfo: bad });
    tx.objectStore('models_store').put({ modelPath: path, modelArtifacts: {} });
  }
  await T.done(tx.objectStore('models_store').count());
  db.close();
  return { theirs, ours, proto, damaged: told(await listModels('indexeddb://')).filter(([, , code]) => code).map(([url, , code]) => [url, code]), all: Object.keys(await listModels()).length };
};

for (const engine of ENGINES) {
  test(`${engine}: paths of all kinds are listed as TF.js lists them; what cannot be loaded is told, and hides nothing`, async () => {
    const page = await openIn(engine, { html: 'page' });
    const { theirs, ours, proto, damaged, all } = await page.evaluate(listed, PATHS);
    const sorted = (rows) => rows.map((row) => row.slice(0, 2)).sort(([a], [b]) => (a < b ? -1 : 1));
    assert.equal(theirs.length, PATHS.length + 1);
    assert.deepEqual(sorted(ours), sorted(theirs));
    assert.deepEqual(proto, [false, true], 'TF.js makes it the prototype of its listing');
    assert.deepEqual(damaged.sort(), ['ghost', 'negative', 'none', 'orphan', 'text', 'undated', 'ö🦊', '👻'].map((path) => [`indexeddb://${path}`, 'ERR_CORRUPT']).sort());
    assert.ok(all >= PATHS.length + 1 + damaged.length);
  });
}

test('chromium: the larger build comes for a listing when there is a catalog, and not before', async () => {
  const page = await openIn('chromium');
  const found = await page.evaluate(async () => {
    await T.clearAll();
    const { save, listModels } = await T.library('tfpersist');
    const large = () => performance.getEntriesByType('resource').filter(({ name }) => name.includes('transfers_bg.wasm')).length;
    await save(T.plain('m', 1, 400), 'indexeddb://m');
    const out = [[Object.keys(await listModels()), large()], [Object.keys(await listModels('indexeddb://')), large()]];
    const db = await T.done(indexedDB.open('tfpersist-other'));
    db.close();
    out.push([Object.keys(await listModels()), large()]);
    return out;
  });
  assert.deepEqual(found, [[['indexeddb://m'], 0], [['indexeddb://m'], 0], [['indexeddb://m'], 0]]);
  const other = await page.evaluate(async () => {
    const { save } = await T.library('tfpersist');
    await save(T.plain('s', 1, 400), 'indexeddb://s', { layout: 'sharded' });
    await save(T.plain('o', 1, 400), 'opfs://o');
  });
  assert.equal(other, undefined);
  await page.reload?.();
  const after = await page.evaluate(async () => {
    const { listModels } = await T.library('tfpersist');
    const large = () => performance.getEntriesByType('resource').filter(({ name }) => name.includes('transfers_bg.wasm')).length;
    const local = [Object.keys(await listModels('localstorage://')), large()];
    const all = Object.keys(await listModels()).sort();
    return { local, all, large: large(), verified: Object.keys(await listModels({ verify: true })).length };
  });
  assert.deepEqual(after, { local: [[], 0], all: ['indexeddb://m', 'indexeddb://s', 'opfs://o'], large: 1, verified: 3 });
});
