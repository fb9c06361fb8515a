// HTTP in Node, with its own fetch: uploads that a real multipart parser takes apart, loads from a server that fails; and the
// package as npm installs it, imported without side effects.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { after, before, test } from 'node:test';
import vm from 'node:vm';
import { startDropper } from '../counterparts/dropper.mjs';
import { plain, print, streamed } from '../lib/artifacts.mjs';
import { contents, folder, PACKAGE, realFileSystem, rejection, root } from '../lib/node.mjs';
import { publishPlain } from '../lib/published.mjs';
import { startReceiver } from '../lib/receiver.mjs';

const { browserHTTPRequest, copyModel, http, load, loadModel, objectStore, save } = await import(PACKAGE);
const MB = 2 ** 20;
realFileSystem(); // sets `tf`
let server, receiver;
before(async () => { [server, receiver] = await Promise.all([startDropper(), startReceiver()]); });
after(() => { server.close(); receiver.close(); });

function put(name, bytes, shard) {
  const { artifacts, files } = publishPlain(bytes, shard, { folder: `${name}/` });
  for (const [path, content] of files) server.files.set(path, content);
  return artifacts;
}
const asked = (name) => server.log.filter((row) => row.name.startsWith(`${name}/`));

test('an upload has the fields, names, types and bytes of TF.js, and the status and headers that are asked for', async () => {
  const model = plain('m', 1, 3 * MB);
  const url = `${receiver.url}/upload?to=here`;
  const theirs = tf.io.getSaveHandlers(url)[0] ?? tf.io.browserHTTPRequest(url);
  await theirs.save({ ...model });
  const [control] = receiver.posts.splice(0);
  const { modelArtifactsInfo, responses } = await save(model, url);
  assert.equal(await responses[0].text(), 'thanks');
  assert.equal(modelArtifactsInfo.weightDataBytes, 3 * MB);
  const told = ({ fields, method, path }) => [method, path, fields.map(({ bytes, ...field }) => ({ ...field, text: bytes.toString('latin1') }))];
  const [ours] = receiver.posts.splice(0);
  assert.deepEqual(ours.fields.map(({ field, name, type }) => [field, name, type]), [
    ['model.json', 'model.json', 'application/json'],
    ['model.weights.bin', 'model.weights.bin', 'application/octet-stream'],
  ]);
  assert.deepEqual(told(ours), told(control));
  const requestInit = { method: 'PUT', headers: { authorization: 'Bearer x' } };
  for (const work of [
    () => save(streamed(model), url, { requestInit }),
    () => save(model, browserHTTPRequest(url, requestInit)),
    () => http(url, { requestInit }).save({ ...model, weightData: [model.weightData.slice(0, 9), model.weightData.slice(9)] }),
  ]) {
    await work();
    const [post] = receiver.posts.splice(0);
    assert.deepEqual([post.method, post.headers.authorization], ['PUT', 'Bearer x']);
    assert.deepEqual(told(post)[2], told(control)[2]);
  }
  await save(model, url, { fieldNames: { modelJSON: 'json', weights: 'bytes' } });
  assert.deepEqual(receiver.posts.splice(0)[0].fields.map(({ field }) => field), ['json', 'bytes']);
  const { weightData, weightSpecs, ...topology } = model;
  await save(topology, url);
  assert.deepEqual(receiver.posts.splice(0)[0].fields.map(({ field }) => field), ['model.json']);
});

test('an upload that fails: the status and what the server says, no network, a body, an abort', async () => {
  const model = plain('m', 1, 1000);
  receiver.answer = () => [413, 'too large for us'];
  const error = await rejection(save(model, receiver.url));
  receiver.answer = () => [200, 'thanks'];
  assert.deepEqual([error.code, error.status, error.why], ['ERR_HTTP_STATUS', 413, 'too large for us']);
  assert.ok(error.url.startsWith(receiver.url));
  receiver.posts.splice(0);
  const none = await rejection(save(model, 'http://127.0.0.1:9/', { retries: 0 }));
  assert.deepEqual([none.code, none.url], ['ERR_NETWORK', 'http://127.0.0.1:9/']);
  assert.ok(none.cause instanceof Error);
  assert.equal((await rejection(save(model, receiver.url, { requestInit: { body: 'mine' } }))).code, 'ERR_INVALID_ARGUMENT');
  const reason = { enough: true };
  assert.equal(await rejection(save(model, receiver.url, { signal: AbortSignal.abort(reason) })), reason);
  assert.equal(await rejection(save(model, receiver.url, { requestInit: { signal: AbortSignal.abort(reason) } })), reason);
  const controller = new AbortController();
  const silent = (url, { signal }) => new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason));
    controller.abort(reason);
  });
  assert.equal(await rejection(save(model, receiver.url, { fetchFunc: silent, signal: controller.signal })), reason);
  assert.deepEqual(receiver.posts, []);
});

test('files of their own by PUT, and by signed URLs: model.json last, loadable, some PUTs tried again', async () => {
  const model = plain('m', 1, 3 * MB);
  server.failures.set('put/group1-shard2', 2);
  for (const name of ['put', 'signed']) {
    const sign = (file, bytes) => ({ url: `${server.url}/plain/signed/${file}?bytes=${bytes}`, headers: { 'x-a': 'b' } });
    const target = name === 'put' ? browserHTTPRequest(`${server.url}/plain/put/model.json`, { files: true, shardBytes: MB })
      : objectStore({ sign, shardBytes: MB });
    const { responses } = await save(model, target);
    assert.equal(responses.length, 4);
    const rows = asked(name).filter((row) => row.method === 'PUT');
    assert.equal(rows.at(-1).name, `${name}/model.json`);
    assert.equal(rows.length, name === 'put' ? 6 : 4);
    assert.equal(await print(await load(`${server.url}/plain/${name}/model.json`)), await print(model));
  }
});

test('a load of 20 shards: right, in TF.js, too, with progress; copied to a folder and to another server', async () => {
  const model = put('shards', 20 * 4096, 4096);
  const url = `${server.url}/plain/shards/model.json`;
  const rows = [];
  const found = await load(url, { onProgress: (fraction, detail) => rows.push([fraction, detail.loaded, detail.total]) });
  assert.equal(await print(found), await print(model));
  rows.forEach(([fraction, loaded], i) => assert.ok(i === 0 || (fraction >= rows[i - 1][0] && loaded >= rows[i - 1][1])));
  assert.equal(rows.at(-1)[0], 1);
  const total = server.files.get('shards/model.json').length + 20 * 4096;
  assert.deepEqual(rows.at(-1).slice(1), [total, total]);
  assert.ok(rows.length > 20);

  const at = folder();
  await copyModel(url, `file://${at}`);
  assert.deepEqual(Object.keys(contents(at)), ['model.json', 'weights.bin']);
  await copyModel(`file://${at}`, receiver.url);
  assert.equal(receiver.posts.splice(0)[0].fields[1].bytes.length, 20 * 4096);
  const real = tf.sequential({ layers: [tf.layers.dense({ units: 2, inputShape: [3] })] });
  await save(real, browserHTTPRequest(`${server.url}/plain/real/`, { files: true }));
  const again = await loadModel(tf, `${server.url}/plain/real/model.json`);
  const input = tf.ones([1, 3]);
  assert.deepEqual(again.predict(input).dataSync(), real.predict(input).dataSync());
});

test('a cache: filled once, asked about afterwards, served offline; a folder cannot be one', async () => {
  const model = put('cached', 20000, 4096);
  const [url, cache] = [`${server.url}/plain/cached/model.json`, 'memory://cache'];
  const requests = [];
  for (const state of ['empty', 'filled', 'offline']) {
    const before = asked('cached').length;
    const fetchFunc = state === 'offline' ? async () => { throw new TypeError('fetch failed'); } : undefined;
    assert.equal(await print(await load(url, { cache, fetchFunc, retries: 0 })), await print(model), state);
    requests.push(asked('cached').slice(before).filter((row) => row.method === 'GET').length);
  }
  assert.deepEqual(requests, [6, 1, 0]);
  assert.equal((await rejection(load(url, { cache: `file://${folder()}/cache` }))).code, 'ERR_NOT_SUPPORTED');
});

test('a server that drops connections and takes Range, one that is busy, one without the file, one that is not there', async () => {
  const model = put('drops', 5 * MB, 3 * MB);
  const found = await load(`${server.url}/drop/drops/model.json`, { retries: 2 });
  assert.equal(await print(found), await print(model));
  assert.ok(asked('drops').some((row) => /^bytes=[1-9]/.test(row.range ?? '')));
  const busy = put('busy', 1000, 500);
  assert.equal(await print(await load(`${server.url}/busy/busy/model.json`)), await print(busy));
  server.files.delete('busy/group1-shard2of2.bin');
  const missing = await rejection(load(`${server.url}/plain/busy/model.json`));
  assert.deepEqual([missing.code, missing.status], ['ERR_HTTP_STATUS', 404]);
  assert.match(missing.url, /group1-shard2of2\.bin$/);
  assert.equal((await rejection(load(`${server.url}/plain/none/model.json`))).status, 404);
  assert.equal((await rejection(load('http://127.0.0.1:9/model.json', { retries: 0 }))).code, 'ERR_NETWORK');
});

test('an abort in the middle: the very reason, soon, and the server sees the requests end', async () => {
  put('stall', 4 * MB, MB);
  const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
  const moments = [() => sleep(0), () => sleep(20), async () => { while (asked('stall').length < 4) await sleep(5); }];
  for (const moment of moments) {
    const controller = new AbortController();
    const reason = { moment };
    const weightUrlConverter = (path) => `${server.url}/stall/stall/${path}`;
    const loading = load(`${server.url}/plain/stall/model.json`, { signal: controller.signal, weightUrlConverter });
    let at;
    moment().then(() => { at = performance.now(); controller.abort(reason); });
    assert.equal(await rejection(loading), reason);
    assert.ok(performance.now() - at < 1000);
  }
  for (let i = 0; i < 40 && asked('stall').some((row) => !row.ended); i++) await sleep(25);
  assert.ok(asked('stall').length >= 4 && asked('stall').every((row) => row.ended));
});

test('options of another realm (an iframe, a test runner\'s context) and without a prototype are as good as any', async () => {
  const artifacts = put('realm', 4000, 4000);
  const url = `${server.url}/plain/realm/model.json`;
  const to = `${server.url}/plain/realm/group1-shard1of1.bin`;
  for (const options of [
    vm.runInNewContext(`({ requestInit: { headers: { 'x-key': 'k' } }, weightUrlConverter: () => '${to}' })`),
    { requestInit: Object.create(null), weightUrlConverter: Object.assign(Object.create(null), { 'group1-shard1of1.bin': to }) },
  ]) assert.equal(await print(await load(url, options)), await print(artifacts));
});

test('fetchFunc: fake Responses without a body, requestInit passed on, relative URLs are its business', async () => {
  const { artifacts, files } = publishPlain(1000, 300);
  const table = new Map(files);
  const calls = [];
  const bytes = (name) => { const b = table.get(name); return b.buffer.slice(b.byteOffset, b.byteOffset + b.length); };
  const answer = (url, init, more) => {
    calls.push([url, init, more]);
    return url.split('/').at(-1);
  };
  const fakes = {
    'arrayBuffer only': async (...args) => { const name = answer(...args); return { ok: true, status: 200, arrayBuffer: async () => bytes(name) }; },
    'json for the model': async (...args) => {
      const name = answer(...args);
      if (!name.endsWith('.json')) return { ok: true, status: 200, arrayBuffer: async () => bytes(name) };
      return { ok: true, status: 200, json: async () => JSON.parse(table.get(name)) };
    },
    'a real Response, not in a promise': (...args) => new Response(bytes(answer(...args))),
  };
  for (const [name, fetchFunc] of Object.entries(fakes)) {
    for (const url of ['models/model.json', 'https://nowhere.invalid/m/model.json']) {
      const requestInit = { headers: { 'x-key': 'k' }, credentials: 'include' };
      assert.equal(await print(await load(url, { fetchFunc, requestInit })), await print(artifacts), name);
      assert.equal(calls.length, 5);
      for (const [asked_, init, more] of calls.splice(0)) {
        assert.ok(asked_.startsWith(url.replace('model.json', '')), asked_);
        assert.deepEqual([init.headers, init.credentials], [{ 'x-key': 'k' }, 'include']);
        if (asked_.endsWith('.bin')) assert.equal(more?.isBinary, true);
      }
    }
  }
  const failing = await rejection(load('https://nowhere.invalid/m.json', { fetchFunc: async () => ({ ok: false, status: 401, statusText: 'No' }) }));
  assert.deepEqual([failing.code, failing.status], ['ERR_HTTP_STATUS', 401]);
});

test('a relative URL in Node, and what only browsers have: typed errors at once', async () => {
  for (const url of ['models/m.json', './m.json', '/m.json', 'm.json']) {
    const started = performance.now();
    const error = await rejection(load(url));
    assert.match(String(error.code), /^ERR_(INVALID_URL|NOT_SUPPORTED)$/, `${url}: ${error}`);
    assert.ok(performance.now() - started < 1000, 'without retries');
  }
  for (const url of ['downloads://m', 'localstorage://m', 'indexeddb://m']) {
    assert.equal((await rejection(save(plain('m', 1, 4), url))).code, 'ERR_NOT_SUPPORTED', url);
  }
});

const IMPORTED = `
  import fs from 'node:fs';
  import fsp from 'node:fs/promises';
  import { syncBuiltinESMExports } from 'node:module';
  const seen = [];
  const spy = (object, name) => { const f = object[name]; object[name] = (...args) => {
    if (!String(args[0]).endsWith('.js')) seen.push(name); // which is how the engine itself imports
    return f(...args);
  }; };
  for (const name of ['readFile', 'open', 'stat', 'readdir']) spy(fsp, name);
  for (const name of ['fetch', 'setTimeout', 'setInterval']) spy(globalThis, name);
  for (const name of ['compile', 'instantiate']) spy(WebAssembly, name);
  syncBuiltinESMExports();
  const globals = () => Object.getOwnPropertyNames(globalThis).sort().join();
  const before = globals();
  const { load, save } = await import('tfpersist');
  const quiet = [seen.join(), globals() === before];
  const model = { modelTopology: { a: 1 }, format: 'layers-model', weightSpecs: [{ name: 'w', shape: [1], dtype: 'float32' }], weightData: new ArrayBuffer(4) };
  await save(model, 'file://./m');
  console.log(JSON.stringify([quiet, seen.includes('readFile'), (await load('file://./m')).weightData.byteLength, globals() === before]));`;
const REQUIRED = `
  const { load, save, default: init } = require('tfpersist');
  init().then(() => load('file://./m')).then((m) => console.log(m.weightData.byteLength, typeof save));`;

test('as npm installs it: an import does nothing, the process ends by itself, require() works', () => {
  const at = folder();
  const npm = (...args) => execFileSync('npm', [...args, '--offline', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: at, encoding: 'utf8' });
  const tarball = npm('pack', `${root}pkg`).trim().split('\n').at(-1);
  fs.writeFileSync(`${at}/package.json`, '{"private":true}');
  npm('install', `./${tarball}`);
  const run = (type, code) => execFileSync(process.execPath, [`--input-type=${type}`, '-e', code], { cwd: at, encoding: 'utf8', timeout: 20000 });
  assert.deepEqual(JSON.parse(run('module', IMPORTED)), [['', true], true, 4, true]);
  assert.equal(run('commonjs', REQUIRED).trim(), '4 function');
});
