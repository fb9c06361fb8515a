// Databases stay open for who needs them next: not so long that it would matter, in nobody's way, and never after something has failed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ENGINES, openIn } from '../lib/engines.mjs';

const work = async () => {
  const { save, load, copyModel, moveModel, removeModel, listModels } = await T.sharded();
  await T.clearAll();
  const model = T.plain('m', 1, 4000);
  await save(model, 'indexeddb://shards', { layout: 'sharded' });
  await save(model, 'indexeddb://record');
  await listModels();

  const open = new Set(); // databases that the library has opened and not closed
  let opens = 0;
  const { open: opening } = IDBFactory.prototype;
  const { close, transaction } = IDBDatabase.prototype;
  IDBFactory.prototype.open = function count(...args) {
    opens += 1;
    const request = opening.apply(this, args);
    request.addEventListener('success', () => open.add(request.result));
    return request;
  };
  IDBDatabase.prototype.close = function count() {
    open.delete(this);
    close.call(this);
  };
  const counted = async (act) => {
    opens = 0;
    await act();
    return opens;
  };
  const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
  const all = async () => {
    await load('indexeddb://shards');
    await load('indexeddb://record');
    await copyModel('indexeddb://shards', 'indexeddb://copy');
    await moveModel('indexeddb://copy', 'indexeddb://moved');
    await removeModel('indexeddb://moved');
    await listModels();
  };
  const out = { again: await counted(all) };

  // Somebody deletes both: nobody stands in the way, and what comes next opens what there is then.
  const deleted = (name) => new Promise((resolve) => {
    const request = indexedDB.deleteDatabase(name);
    Object.assign(request, { onblocked: () => resolve('blocked'), onsuccess: () => resolve('deleted'), onerror: () => resolve('error') });
  });
  await sleep(200); // no sweep is under way
  out.deleted = [await deleted('tensorflowjs'), await deleted('tfpersist')];
  out.empty = Object.keys(await listModels('indexeddb://'));
  await save(model, 'indexeddb://shards', { layout: 'sharded' });
  await save(model, 'indexeddb://record');
  await all();

  // One that has failed is not used again.
  IDBDatabase.prototype.transaction = function fail() {
    throw new DOMException('closing', 'InvalidStateError');
  };
  out.anew = await counted(async () => {
    out.failed = (await T.attempt(() => copyModel('indexeddb://shards', 'indexeddb://copy'))).error?.code;
    IDBDatabase.prototype.transaction = transaction;
    await all();
  }) > 0;
  // Nor is one that the engine has closed, as it does when a disk fails or the site's data are cleared.
  for (const db of open) {
    close.call(db);
    db.dispatchEvent(new Event('close'));
  }
  out.closedByTheEngine = (await T.attempt(all)).error?.code ?? 'as if nothing had been';
  out.named = Object.keys(await listModels('indexeddb://')).sort();

  out.before = open.size > 0;
  for (let i = 0; i < 100 && open.size > 0; i++) await sleep(100);
  out.left = open.size;
  out.closed = await counted(listModels) > 0;
  return out;
};

for (const engine of ENGINES) {
  test(`${engine}: databases are left open for a while`, async () => {
    const page = await openIn(engine);
    try {
      assert.deepEqual(await page.evaluate(work), {
        again: 0, deleted: ['deleted', 'deleted'], empty: [], failed: 'ERR_STORAGE', anew: true, closedByTheEngine: 'as if nothing had been',
        named: ['indexeddb://record', 'indexeddb://shards'], before: true, left: 0, closed: true,
      });
    } finally {
      await page.close();
    }
  });
}
