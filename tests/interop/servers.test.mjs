// Loads from real servers in the browser, beside TF.js: relative URLs, TF Hub's, many shards at once, aborts, copies that fail.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { startNginx } from '../counterparts/nginx.mjs';
import { print } from '../lib/artifacts.mjs';
import { dropper } from '../lib/counterparts.mjs';
import { newFolder } from '../lib/disk.mjs';
import { publishPlain } from '../lib/published.mjs';
import { open } from '../lib/suite.mjs';

const MB = 2 ** 20;
let page, folder, nginx, server;
before(async () => {
  folder = newFolder();
  [page, nginx, server] = await Promise.all([open(), startNginx(folder), dropper()]);
});
after(() => nginx?.close());

/** Puts a model into nginx's folder. */
function write(name, bytes, shard) {
  const { artifacts, files } = publishPlain(bytes, shard);
  fs.mkdirSync(path.join(folder, name));
  for (const [file, content] of files) fs.writeFileSync(path.join(folder, name, file), content);
  return artifacts;
}
/** Puts a model on the dropper. */
function put(name, bytes, shard) {
  const { artifacts, files } = publishPlain(bytes, shard, { folder: `${name}/` });
  for (const [file, content] of files) server.files.set(file, content);
  return artifacts;
}
/** Loads with either library; gives the fingerprint, or the error, also that of a load that never settles. */
const loadWith = (library, where, url, patience) => where.evaluate(async ({ library, url, patience }) => {
  const { load } = await T.library(library);
  const source = library === 'tf.io' ? tf.io.browserHTTPRequest(url) : url;
  return T.attempt(async () => T.print(await load(source)), patience);
}, { library, url, patience });

test('relative URLs mean what they mean in TF.js: the page is where they start', async () => {
  for (const url of ['../fixtures/converter/layers/model.json', '/tests/fixtures/converter/layers/model.json']) {
    const [ours, theirs] = [await loadWith('tfpersist', page, url), await loadWith('tf.io', page, url)];
    assert.ok(ours.value, JSON.stringify(ours));
    assert.deepEqual(ours, theirs, url);
    const predictions = await page.evaluate(async (at) => {
      const { loadModel } = await T.library('tfpersist');
      const xs = tf.tensor(T.numbers(9, 8), [2, 4]);
      const predict = async (model) => [...await model.predict(xs).data()];
      return [await predict(await loadModel(tf, at)), await predict(await tf.loadLayersModel(at))];
    }, url);
    assert.deepEqual(predictions[0], predictions[1]);
  }
});

test('a query that holds "/" changes nothing; control: TF.js takes it for folders, and 404 pages for weights', async () => {
  const url = '../fixtures/converter/layers/model.json';
  const plain = await loadWith('tfpersist', page, url);
  assert.deepEqual(await loadWith('tfpersist', page, `${url}?v=a/b`), plain);
  assert.notDeepEqual(await loadWith('tf.io', page, `${url}?v=a/b`), plain);
});

test('fromTFHub asks for the same URLs as TF.js', async () => {
  const urls = await page.evaluate(async () => {
    const { load } = await T.library('tfpersist');
    const asked = { ours: [], theirs: [] };
    const answer = (list) => async (url) => { list.push(url); throw new TypeError('no'); };
    for (const url of ['https://hub.example/m/1', 'https://hub.example/m/1/']) {
      await load(url, { fromTFHub: true, fetchFunc: answer(asked.ours), retries: 0 }).catch(() => {});
      await tf.loadGraphModel(url, { fromTFHub: true, fetchFunc: answer(asked.theirs) }).catch(() => {});
    }
    return asked;
  });
  assert.equal(urls.ours.length, 2);
  assert.deepEqual(urls.ours, urls.theirs);
});

test('a converter hears of place and bytes; what a table lacks is looked for in the usual place', async () => {
  const artifacts = put('one', 400, 400);
  const found = await page.evaluate(async (base) => {
    const { load } = await T.library('tfpersist');
    const seen = [];
    const weightUrlConverter = (path, details) => { seen.push([path, details]); return `${base}/${path}`; };
    const prints = [await T.print(await load(`${base}/model.json`, { weightUrlConverter })),
      await T.print(await load(`${base}/model.json`, { weightUrlConverter: {} }))];
    const wrong = (await T.attempt(() => load(`${base}/model.json`, { weightUrlConverter: () => undefined }))).error;
    return { seen, prints, wrong };
  }, `${server.url}/plain/one`);
  assert.deepEqual(found.seen, [['group1-shard1of1.bin', { index: 0, bytes: 400 }]]);
  const expected = await print(artifacts);
  assert.deepEqual(found.prints, [expected, expected]);
  assert.equal(found.wrong.code, 'ERR_INVALID_ARGUMENT');
});

test('no-store over HTTP/1.1, 12 shards of 2 MB and 40 small ones: all arrive', async () => {
  for (const [name, bytes, shard] of [['large', 24 * MB, 2 * MB], ['small', 40000, 1000]]) {
    const artifacts = write(name, bytes, shard);
    assert.deepEqual(await loadWith('tfpersist', page, `${nginx.url}/no-store/${name}/model.json`), { value: await print(artifacts) });
  }
});

test('control: TF.js waits for all headers before it reads a body, and hangs there', async () => {
  const other = await open(); // its connections will be of no use any more
  const { value, error } = await loadWith('tf.io', other, `${nginx.url}/no-store/large/model.json`, 8000);
  await other.close();
  assert.equal(value, undefined, 'it does not hang any more');
  assert.equal(error.name, 'NeverSettled');
});

test('an abort in the middle of slow weights: nginx is told, and sends no more', async () => {
  const name = 'aborted';
  write(name, 8 * MB, 4 * MB);
  const found = await page.evaluate(async (url) => {
    const { load } = await T.library('tfpersist');
    const controller = new AbortController();
    let at;
    const onProgress = (fraction, { loaded }) => {
      if (at === undefined && loaded > 50000) { at = performance.now(); controller.abort('enough'); }
    };
    return load(url, { signal: controller.signal, onProgress }).then(() => 'loaded', (reason) => ({ reason, ms: performance.now() - at }));
  }, `${nginx.url}/slow/${name}/model.json`);
  assert.equal(found.reason, 'enough');
  assert.ok(found.ms < 1000, `${found.ms} ms`);
  let rows;
  for (let i = 0; i < 60; i++) { // nginx writes a line when a request has ended
    rows = (await nginx.log()).filter((row) => row.uri.includes(`/${name}/`) && row.uri.endsWith('.bin'));
    if (rows.length === 2) break;
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
  assert.equal(rows.length, 2, 'both requests end');
  for (const row of rows) assert.ok(row.bytes < 4 * MB, `${row.bytes} bytes were sent`);
});

test('a copy that fails leaves the model that is there', async () => {
  put('broken', 40000, 10000);
  server.files.set('broken/group1-shard4of4.bin', Buffer.alloc(9999));
  const found = await page.evaluate(async (url) => {
    const { save, load, copyModel, listModels } = await T.library('tfpersist');
    const kept = T.plain('kept', 4, 8000);
    await save(kept, 'indexeddb://kept');
    const { error } = await T.attempt(() => copyModel(url, 'indexeddb://kept'));
    const same = await T.print(await load('indexeddb://kept')) === await T.print(kept);
    return { code: error?.code, file: error?.file, expected: error?.expected, received: error?.received, same, listed: Object.keys(await listModels()) };
  }, `${server.url}/plain/broken/model.json`);
  assert.match(found.file, /shard4of4/);
  assert.deepEqual([found.code, found.expected, found.received, found.same, found.listed],
    ['ERR_SIZE_MISMATCH', 10000, 9999, true, ['indexeddb://kept']]);
});

test('a server that does not allow other origins: ERR_NETWORK says network or CORS', async () => {
  const { url } = await page.evaluate(() => ({ url: location.origin })); // without Access-Control-Allow-Origin
  const found = await page.evaluate(async (at) => {
    const { load } = await T.library('tfpersist');
    return (await T.attempt(() => load(at, { retries: 0 }))).error;
  }, `${url.replace('127.0.0.1', 'localhost')}/tests/fixtures/converter/layers/model.json`);
  assert.equal(found.code, 'ERR_NETWORK');
  assert.match(found.url, /layers\/model\.json$/);
  assert.match(found.message, /network.*CORS/);
});

test('a stream over HTTP/2: files that wait for their turn do not keep the window of the connection from the one that is read', async () => {
  const artifacts = write('h2', 60 * MB, 15 * MB);
  const [value, protocol] = await page.evaluate(async (url) => {
    const { load } = await T.library('tfpersist');
    const weightUrlConverter = (path, { index }) => new URL(path, index === 0 ? url.replace('plain', 'slower') : url).href;
    const { getWeightStream, ...rest } = await load(url, { stream: true, weightUrlConverter });
    const pieces = [];
    for await (const piece of getWeightStream()) pieces.push(piece);
    const [{ nextHopProtocol }] = performance.getEntriesByName(url);
    return [await T.print({ ...rest, weightData: T.join(pieces) }), nextHopProtocol];
  }, `${nginx.secure}/plain/h2/model.json`);
  assert.deepEqual([value, protocol], [await print(artifacts), 'h2']);
});
