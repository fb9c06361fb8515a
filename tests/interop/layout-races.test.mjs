// Two layouts of one path of `indexeddb://` are two databases, which nobody can look at in one transaction: what another tab does between
// the looks of a load or a move hides no model, and brings no old one back.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { open } from '../lib/suite.mjs';

const PATIENCE = 120000;

test('a model that another tab commits while a move looks into both layouts is not lost', { timeout: PATIENCE }, async () => {
  const page = await open({ html: 'bare' });
  const found = await page.evaluate(async () => {
    const { save, load, moveModel, listModels } = await T.sharded();
    const model = T.plain('m', 1, 4000);
    await save(model, 'indexeddb://small', { layout: 'tfjs' });
    await save(model, 'indexeddb://spare', { layout: 'sharded' });
    const stores = ['models_store', 'model_info_store'];
    const [theirs, catalog] = [await T.done(indexedDB.open('tensorflowjs')), await T.done(indexedDB.open('tfpersist'))];
    const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
    const busy = (ms) => { // whoever reads TF.js's records has to wait so long
      const store = theirs.transaction(stores, 'readwrite').objectStore(stores[0]);
      const until = performance.now() + ms;
      const ask = () => { if (performance.now() < until) store.getKey('m').onsuccess = ask; };
      ask();
    };
    busy(200);
    const moving = T.attempt(() => moveModel('indexeddb://m', 'indexeddb://n')); // nothing is there
    await sleep(50);
    busy(700); // behind the first look: the second has to wait
    await sleep(500);
    const tx = catalog.transaction(['models', 'headers'], 'readwrite'); // what a save commits in another tab
    for (const name of ['models', 'headers']) {
      const row = await T.done(tx.objectStore(name).get('indexeddb://spare'));
      tx.objectStore(name).put({ ...row, key: 'indexeddb://m' });
    }
    await T.done(tx);
    const { error } = await moving;
    const urls = Object.keys(await listModels('indexeddb://')).sort();
    const at = error ? 'indexeddb://m' : 'indexeddb://n';
    return { moved: error?.code ?? 'moved', is: urls.includes(at), bytes: (await T.attempt(() => load(at))).value?.weightData.byteLength };
  });
  assert.ok(['moved', 'ERR_NOT_FOUND'].includes(found.moved), found.moved);
  assert.deepEqual({ is: found.is, bytes: found.bytes }, { is: true, bytes: 4000 });
  await page.close();
});

/** Loads `indexeddb://m`, in shards and beside them in a record, while somebody writes between the looks of the load at both. */
const loadsMeanwhile = async () => {
  const { save, load, moveModel } = await T.sharded();
  const stores = ['models_store', 'model_info_store'];
  const [shards, record] = [T.plain('shards', 1, 4000), T.plain('record', 2, 4000)];
  const begin = IDBDatabase.prototype.transaction;
  const rows = async (db, names, key) => {
    const tx = begin.call(db, names);
    return Promise.all(names.map((name) => T.done(tx.objectStore(name).get(key))));
  };
  /** Right behind the load's first transaction on a database: nothing comes between. */
  const behind = (acts) => {
    IDBDatabase.prototype.transaction = function (...args) {
      const tx = begin.apply(this, args);
      const { [this.name]: act } = acts;
      delete acts[this.name];
      act?.((names, write) => {
        const next = begin.call(this, names, 'readwrite');
        names.forEach((name) => write(next.objectStore(name)));
        return next;
      });
      return tx;
    };
  };
  const older = (row) => ({ ...row, modelArtifactsInfo: { ...row.modelArtifactsInfo, dateSaved: new Date(0) } });
  const scenes = {
    async 'TF.js has written its info, and writes the model'(theirs, [model, info]) {
      await T.done(theirs.transaction(stores, 'readwrite').objectStore(stores[1]).put(info));
      behind({ tensorflowjs: (queue) => queue([stores[0]], (store) => store.put(model)) });
    },
    async 'both are removed'(theirs, list) {
      const tx = theirs.transaction(stores, 'readwrite');
      stores.forEach((name, i) => tx.objectStore(name).put(older(list[i])));
      await T.done(tx);
      behind({
        tensorflowjs: (queue) => queue(stores, (store) => store.delete('m')),
        tfpersist: (queue) => queue(['models', 'headers'], (store) => store.delete('indexeddb://m')),
      });
    },
    async 'TF.js died between its info and the model, over a record that is older than the shards'(theirs, [model, info]) {
      const tx = theirs.transaction(stores, 'readwrite');
      tx.objectStore(stores[0]).put(older(model));
      tx.objectStore(stores[1]).put(info);
      await T.done(tx);
    },
  };
  scenes['both are removed before the catalog is open'] = async (theirs, list) => {
    const tx = theirs.transaction(stores, 'readwrite');
    stores.forEach((name, i) => tx.objectStore(name).put(older(list[i])));
    await T.done(tx);
    const catalog = await T.done(indexedDB.open('tfpersist'));
    await new Promise((resolve) => { setTimeout(resolve, 5500); }); // nothing is kept open so long
    const { open } = IDBFactory.prototype;
    IDBFactory.prototype.open = function (name, ...rest) {
      const request = open.call(this, name, ...rest);
      if (name !== 'tfpersist') return request;
      IDBFactory.prototype.open = open;
      const late = (listener) => request.addEventListener('success', (event) => setTimeout(() => listener.call(request, event), 500));
      return Object.defineProperty(request, 'onsuccess', { set: late });
    };
    behind({
      tensorflowjs(queue) {
        const last = queue(stores, (store) => store.delete('m'));
        last.oncomplete = () => {
          const next = begin.call(catalog, ['models', 'headers'], 'readwrite');
          ['models', 'headers'].forEach((name) => next.objectStore(name).delete('indexeddb://m'));
          catalog.close();
        };
      },
    });
  };
  const found = {};
  for (const [name, prepare] of Object.entries(scenes)) {
    await T.clear();
    await save(shards, 'indexeddb://m', { layout: 'sharded' });
    await save(record, 'indexeddb://n', { layout: 'tfjs' });
    await load('indexeddb://m');
    const theirs = await T.done(indexedDB.open('tensorflowjs'));
    const later = new Date(Date.now() + 60000);
    const list = (await rows(theirs, stores, 'n')).map((row) => ({
      ...row, modelPath: 'm', modelArtifactsInfo: { ...row.modelArtifactsInfo, dateSaved: later },
    }));
    await prepare(theirs, list);
    const texts = { [await T.print(shards)]: 'shards', [await T.print(record)]: 'record' };
    const loaded = async (path) => {
      const { value, error } = await T.attempt(() => load(`indexeddb://${path}`));
      return error?.code ?? texts[await T.print(value)];
    };
    found[name] = await loaded('m');
    IDBDatabase.prototype.transaction = begin;
    if (name.startsWith('TF.js died')) {
      const { error } = await T.attempt(() => moveModel('indexeddb://m', 'indexeddb://moved'));
      found['and is moved'] = [await loaded('moved'), error ? await loaded('m') : 'moved'];
    }
    theirs.close();
  }
  return found;
};

test('a load never gives what was not the newest at any moment, and no error where a model always was', { timeout: PATIENCE }, async () => {
  const page = await open({ html: 'bare' });
  assert.deepEqual(await page.evaluate(loadsMeanwhile), {
    'TF.js has written its info, and writes the model': 'record',
    'both are removed': 'ERR_NOT_FOUND',
    'TF.js died between its info and the model, over a record that is older than the shards': 'shards',
    'and is moved': ['shards', 'shards'], // it cannot be removed, as somebody seems to have saved
    'both are removed before the catalog is open': 'ERR_NOT_FOUND',
  });
  await page.close();
});

test('a load of the small build that goes over to the larger one leaves no database open', { timeout: PATIENCE }, async () => {
  const page = await open({ html: 'bare' });
  await page.evaluate(async () => {
    const { save } = await T.sharded();
    await save(T.plain('m', 1, 4000), 'indexeddb://m', { layout: 'sharded' });
    await save(T.plain('n', 1, 4000), 'indexeddb://n', { layout: 'tfjs' });
  });
  await page.reload();
  const deleted = await page.evaluate(async () => {
    const { load } = await T.library('tfpersist');
    const { weightData } = await load('indexeddb://m');
    const request = indexedDB.deleteDatabase('tensorflowjs');
    const late = new Promise((resolve) => { setTimeout(resolve, 3000, 'it waits'); });
    return [weightData.byteLength, await Promise.race([T.done(request).then(() => 'deleted'), late])];
  });
  assert.deepEqual(deleted, [4000, 'deleted']);
  await page.close();
});
