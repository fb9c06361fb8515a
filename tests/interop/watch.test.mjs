// What the whole origin hears and knows: `watchModels` in this page, in another tab and in a worker; `storageEstimate`, `persistStorage`.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { plain } from '../lib/artifacts.mjs';
import { ENGINES, openIn } from '../lib/engines.mjs';
import { folder, PACKAGE } from '../lib/node.mjs';
import { open } from '../lib/suite.mjs';

const MB = 2 ** 20;
const CHANGES = [
  ['saved', 'indexeddb://a'], // save
  ['saved', 'indexeddb://b'], // copy
  ['saved', 'indexeddb://c'], ['removed', 'indexeddb://b'], // move
  ['saved', 'localstorage://c'], ['removed', 'indexeddb://c'], // move between stores
  ['saved', 'memory://m'],
  ['saved', 'indexeddb://h'], // by a handler
  ['removed', 'indexeddb://h'],
  ['saved', 'indexeddb://last'],
];

/** In the page: begins to listen; what is heard collects in `heard`. */
async function listen() {
  const { watchModels } = await T.library('tfpersist');
  T.heard = [];
  T.stop = watchModels((change) => { T.heard.push(change); });
}

/** In the page: everything that changes something, and some that does not. */
async function change() {
  const { save, load, copyModel, moveModel, removeModel, listModels, verify, handler } = await T.library('tfpersist');
  const model = T.plain('m', 1, 4000);
  await save(model, 'indexeddb://a');
  await copyModel('indexeddb://a', 'indexeddb://b');
  await moveModel('indexeddb://b', 'indexeddb://c');
  await moveModel('indexeddb://c', 'localstorage://c');
  await save(model, 'memory://m');
  await handler('indexeddb://h').save(model);
  await removeModel('indexeddb://h');
  await load('indexeddb://a');
  await listModels();
  await verify('indexeddb://a');
  // What fails changes nothing.
  const failing = [save(model, 'indexeddb://a', { overwrite: false }), removeModel('indexeddb://none'), save({ ...model, weightData: new ArrayBuffer(1) }, 'indexeddb://x')];
  await Promise.allSettled(failing);
  await save(model, 'indexeddb://last');
}

const heard = async (tab) => {
  for (let i = 0; i < 200 && !(await tab.evaluate(() => T.heard.some(({ url }) => url === 'indexeddb://last'))); i++) {
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
  return tab.evaluate(() => T.heard);
};

for (const engine of ENGINES) {
  test(`${engine}: a page hears of every committed change of its own, in order, and of nothing else`, async () => {
    const page = await openIn(engine);
    await page.evaluate(listen);
    await page.evaluate(change);
    assert.deepEqual((await heard(page)).map(({ change, url, here }) => [change, url, here]), CHANGES.map((row) => [...row, true]));
    await page.close();
  });
}

test('another tab and a worker hear it as well, but not what is only in memory; until they stop', async () => {
  const first = await open({ html: 'bare' });
  const second = await first.another();
  await second.evaluate(listen);
  await second.evaluate(() => new Promise((resolve) => {
    const program = `import { watchModels } from '${location.origin}/pkg/index.js';
      const heard = [];
      watchModels((change) => { heard.push(change); if (change.url.endsWith('last')) postMessage(heard); });
      postMessage('ready');`;
    const worker = new Worker(URL.createObjectURL(new Blob([program], { type: 'text/javascript' })), { type: 'module' });
    T.inWorker = new Promise((tell) => {
      worker.onmessage = ({ data }) => (data === 'ready' ? resolve() : tell(data));
    });
  }));
  await first.evaluate(change);
  const expected = CHANGES.filter(([, url]) => !url.startsWith('memory')).map(([change, url]) => ({ change, url, here: false }));
  const sorted = (rows) => rows.map(({ change, url, here }) => ({ change, url, here }));
  assert.deepEqual(sorted(await heard(second)), expected);
  assert.deepEqual(sorted(await second.evaluate(() => T.inWorker)), expected);
  await second.evaluate(() => T.stop());
  await first.evaluate(change);
  assert.equal((await second.evaluate(() => T.heard)).length, expected.length);
  await first.close();
});

test('a callback that throws, a channel that is refused and strange messages harm nothing', async () => {
  const page = await open({ html: 'bare' });
  const outcome = await page.evaluate(async () => {
    const { save, load, watchModels } = await T.library('tfpersist');
    const errors = [];
    const { error } = console;
    console.error = ({ message }) => errors.push(message);
    const stop = watchModels(() => { throw new Error('mine'); });
    const seen = [];
    watchModels((change) => seen.push(change));
    const channel = new BroadcastChannel('tfpersist');
    for (const message of [null, 5, 'text', {}, { url: 7 }, []]) channel.postMessage(message);
    await save(T.plain('m', 1, 400), 'indexeddb://m');
    await new Promise((resolve) => { setTimeout(resolve, 200); });
    stop();
    console.error = error;
    globalThis.BroadcastChannel = class { constructor() { throw new Error('no channels'); } };
    const alone = [];
    watchModels((change) => alone.push(change));
    const saved = await T.attempt(async () => (await save(T.plain('m', 1, 400), 'indexeddb://m')).modelArtifactsInfo.weightDataBytes);
    delete globalThis.BroadcastChannel;
    const without = await T.attempt(async () => (await save(T.plain('m', 1, 400), 'indexeddb://m')).modelArtifactsInfo.weightDataBytes);
    return { errors, alone, seen: seen.map(({ url }) => url), saved, without, loads: (await load('indexeddb://m')).weightData.byteLength, wrong: await T.attempt(() => watchModels('x')) };
  });
  assert.deepEqual([outcome.saved, outcome.without, outcome.loads], [{ value: 400 }, { value: 400 }, 400]);
  assert.deepEqual(outcome.seen, Array(3).fill('indexeddb://m'));
  assert.deepEqual(outcome.alone, Array(2).fill({ url: 'indexeddb://m', change: 'saved', here: true }));
  assert.deepEqual(outcome.errors, ['mine']);
  assert.equal(outcome.wrong.error?.code, 'ERR_INVALID_ARGUMENT');
  await page.close();
});

for (const engine of ENGINES) {
  test(`${engine}: storageEstimate tells what the engine tells, and a save shows in it; persistStorage answers`, async () => {
    const page = await openIn(engine);
    const { before, after, raw, persisted } = await page.evaluate(async () => {
      const { save, storageEstimate, persistStorage } = await T.library('tfpersist');
      const before = await storageEstimate();
      await save(T.plain('m', 1, 8 * 2 ** 20), 'indexeddb://m');
      // Firefox asks the user: in a test nobody answers.
      const persisted = /Firefox/.test(navigator.userAgent) ? false : await persistStorage();
      return { before, after: await storageEstimate(), raw: await navigator.storage?.estimate?.(), persisted };
    });
    assert.equal(typeof persisted, 'boolean');
    if (!raw) return assert.deepEqual([before, after], [{}, {}]); // WebKitGTK says nothing
    assert.equal(after.quota, raw.quota);
    assert.ok(after.usage - before.usage >= 8 * MB, `${before.usage} -> ${after.usage}`);
    assert.equal(typeof after.persisted, 'boolean');
    await page.close();
  });
}

test('Node: a worker thread hears of a save to a folder; a watcher does not keep the process alive; no estimate', async () => {
  const { save, storageEstimate, persistStorage, watchModels } = await import(PACKAGE);
  const worker = new Worker(`
    const { parentPort } = require('node:worker_threads');
    const stay = setInterval(() => {}, 1000); // a watcher alone would not keep it
    import(${JSON.stringify(PACKAGE)}).then(({ watchModels }) => {
      watchModels((change) => { parentPort.postMessage(change); clearInterval(stay); });
      parentPort.postMessage('ready');
    });`, { eval: true });
  const url = `file://${folder()}/m`;
  const messages = [];
  const ended = new Promise((resolve) => { worker.on('exit', resolve); });
  worker.on('message', (message) => {
    messages.push(message);
    if (message === 'ready') void save(plain('m', 1, 400), `${url}/model.json`); // told as a listing has it
  });
  assert.equal(await ended, 0);
  assert.deepEqual(messages, ['ready', { url, change: 'saved', here: false }]);
  assert.deepEqual([await storageEstimate(), await persistStorage()], [{}, false]);
  const { error } = console;
  const errors = [];
  console.error = ({ message }) => errors.push(message);
  const rejecting = watchModels(async () => { throw new Error('mine'); }); // unhandled it would end the process
  await save(plain('m', 1, 400), 'memory://m');
  await new Promise((resolve) => { setTimeout(resolve, 20); });
  console.error = error;
  rejecting();
  assert.deepEqual(errors, ['mine']);
  watchModels(() => {}); // this very process has to end, too
});
