// What others do in the middle: a caller's buffers go away during a save, files are cut while nobody looks, TF.js dies between its two writes, a tab
// replaces what another one is still reading. Afterwards there is the old model or the new one, whole.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { serve } from '../../scripts/serve.mjs';
import { launch, session } from '../lib/chromium.mjs';
import { dropper } from '../lib/counterparts.mjs';
import { publishPlain } from '../lib/published.mjs';
import { open } from '../lib/suite.mjs';

const MB = 2 ** 20;
/** Where to, how, and bytes of weights. */
const TARGETS = [
  ['indexeddb://m', { layout: 'sharded' }, 48 * MB], ['opfs://m', {}, 48 * MB], ['indexeddb://m', { layout: 'tfjs' }, 48 * MB],
  ['memory://m', {}, 16 * MB], ['localstorage://m', {}, MB],
];

/** Saves over a model, and `when` it is in the middle the caller's buffer is transferred away. What came of it, and what is there then. */
const savedMeanwhile = (page, { url, options, bytes, when, specs }) => page.evaluate(async ({ url, options, bytes, when, specs }) => {
  const { save, load } = await T.library('tfpersist');
  const old = T.plain('old', 1, 4000);
  await save(old, url, options);
  const model = T.plain('new', 2, bytes);
  if (!specs) { // only the bytes themselves tell how many there should be
    model.weightSpecs = [{ name: 's', shape: [1], dtype: 'string' }];
    new DataView(model.weightData).setUint32(0, bytes - 4, true);
  }
  const kept = { ...model, weightData: model.weightData.slice(0) };
  let left = when === 'progress' ? 1 : 0;
  const takeAway = () => { if (model.weightData.byteLength > 0) structuredClone(null, { transfer: [model.weightData] }); };
  const onProgress = () => { if (left-- > 0) takeAway(); };
  const saving = T.attempt(() => save(model, url, { ...options, onProgress }));
  if (typeof when === 'number') setTimeout(takeAway, when);
  const { error } = await saving;
  const loaded = await T.attempt(async () => T.print(await load(url, { verify: true })));
  const [was, is] = [await T.print(old), await T.print(kept)];
  return { code: error?.code ?? 'saved', loaded: loaded.value === was ? 'old' : loaded.value === is ? 'new' : loaded.error?.code ?? 'something else' };
}, { url, options, bytes, when, specs });

for (const [url, options, bytes] of TARGETS) {
  describe(`${url} ${options.layout ?? ''}: a buffer that is transferred away during the save`, () => {
    for (const when of ['progress', 0, 5, 20]) {
      for (const specs of [true, false]) {
        test(`${when === 'progress' ? 'in onProgress' : `after ${when} ms`}, ${specs ? 'of numbers' : 'a string'}`, async () => {
          const page = await open();
          const { code, loaded } = await savedMeanwhile(page, { url, options, bytes, when, specs });
          assert.ok(['saved', 'ERR_INVALID_ARGUMENT', 'ERR_SIZE_MISMATCH'].includes(code), code);
          assert.equal(loaded, code === 'saved' ? 'new' : 'old');
          if (when === 'progress' && options.layout !== 'tfjs' && bytes > 16 * MB) assert.notEqual(code, 'saved');
          await page.close();
        });
      }
    }
  });
}

test('opfs: a file that was cut short is not used again, also not by a page that never read it', async () => {
  const page = await open();
  const save = () => page.evaluate(async () => {
    const { save, load } = await T.library('tfpersist');
    const model = T.plain('m', 3, 9 * 2 ** 20);
    await save(model, 'opfs://m');
    return await T.print(await load('opfs://m', { verify: true })) === await T.print(model);
  });
  assert.equal(await save(), true);
  const cut = await page.evaluate(async () => {
    const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle('tfpersist');
    let count = 0;
    for await (const handle of folder.values()) {
      const stream = await handle.createWritable({ keepExistingData: true });
      await stream.truncate((await handle.getFile()).size - 4);
      await stream.close();
      count += 1;
    }
    return count;
  });
  assert.ok(cut > 0);
  await page.reload();
  assert.equal(await save(), true, 'the second save lies in the file that is too short');
  await page.close();
});

for (const verb of ['removeModel', 'moveModel']) {
  test(`${verb}: an older record does not come back that TF.js had begun to overwrite when it died`, async () => {
    const page = await open();
    const out = await page.evaluate(async (verb) => {
      const lib = await T.library('tfpersist');
      const url = 'indexeddb://m';
      await lib.save(T.plain('first', 1, 4000), url, { layout: 'tfjs' });
      // TF.js writes its info first, and the model in another transaction.
      const db = await T.done(indexedDB.open('tensorflowjs'));
      const infos = db.transaction('model_info_store', 'readwrite').objectStore('model_info_store');
      const record = await T.done(infos.get('m'));
      record.modelArtifactsInfo.dateSaved = new Date(Date.now() + 5);
      await T.done(infos.put(record));
      db.close();
      await new Promise((resolve) => { setTimeout(resolve, 20); });
      await lib.save(T.plain('second', 2, 4000), url, { layout: 'sharded' });
      await (verb === 'removeModel' ? lib.removeModel(url) : lib.moveModel(url, 'indexeddb://n'));
      const { error } = await T.attempt(() => lib.load(url));
      return { code: error?.code ?? 'it is there', listed: Object.keys(await lib.listModels()) };
    }, verb);
    assert.deepEqual(out, { code: 'ERR_NOT_FOUND', listed: verb === 'moveModel' ? ['indexeddb://n'] : [] });
    await page.close();
  });
}

test('a stream from a cache in opfs:// goes on when another tab replaces the entry and sweeps', async () => {
  const [page, server] = await Promise.all([open(), dropper()]);
  const { files } = publishPlain(48 * MB, 12 * MB, { folder: 'cached/' });
  for (const [path, content] of files) server.files.set(path, content);
  const url = `${server.url}/plain/cached/model.json`;
  const tab = await page.another();
  const first = await page.evaluate(async (url) => {
    const { load } = await T.library('tfpersist');
    const whole = await load(url, { cache: 'opfs://cached', joined: true });
    const { getWeightStream } = await load(url, { cache: 'opfs://cached', stream: true });
    T.reader = getWeightStream().getReader();
    const { value } = await T.reader.read();
    T.seen = [value];
    return T.sha256(whole.weightData);
  }, url);
  await tab.evaluate(async () => {
    const { removeModel, sweep } = await T.library('tfpersist');
    await removeModel('opfs://cached');
    await sweep();
  });
  const rest = await page.evaluate(async () => {
    for (let read = await T.reader.read(); !read.done; read = await T.reader.read()) T.seen.push(read.value);
    return T.sha256(T.join(T.seen));
  });
  assert.equal(rest, first);
  await page.close();
});

test('opfs: the worker answers though the garbage is collected while it opens files', async () => {
  const server = await serve();
  const browser = await launch('--js-flags=--expose-gc');
  const { page } = await session(browser, `${server.url}/tests/lib/bare.html`);
  const written = await page.evaluate(async () => {
    const script = "addEventListener('message', ({ data }) => { if (data.collect) setInterval(gc, 1); }); await import(new URL('/pkg/worker.js', origin));";
    const worker = new Worker(URL.createObjectURL(new Blob([script], { type: 'text/javascript' })), { type: 'module' });
    await new Promise((there) => { worker.onmessage = there; });
    const asked = new Map();
    const outcomes = [];
    worker.onmessage = ({ data: { id, name } }) => { outcomes.push(name ?? 'written'); asked.get(id)(); };
    const many = (turn, collect) => Promise.all(Array.from({ length: 40 }, (_, i) => new Promise((answered) => {
      const id = 40 * turn + i;
      asked.set(id, answered);
      worker.postMessage({ id, collect, task: 'write', name: `file-${i}`, buffers: [new ArrayBuffer(1)], at: 0, length: 1, total: 1 });
    })));
    for (let turn = 0; turn < 100; turn++) await many(turn, false); // only code that is compiled forgets what it needs no more
    const work = (async () => { for (let turn = 100; turn < 105; turn++) await many(turn, turn === 100); })();
    await Promise.race([work, new Promise((late) => { setTimeout(late, 15000); })]);
    return outcomes.filter((outcome) => outcome === 'written').length;
  });
  await browser.close();
  server.close();
  assert.equal(written, 4200);
});
