// Mistakes that a first-time user of the README made: each is told, and nothing is stored. In Node; it is the same code everywhere.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { plain, print } from '../lib/artifacts.mjs';
import { publishPlain } from '../lib/published.mjs';
import * as tfpersist from '../../pkg/node.js';

const { browserFiles, browserHTTPRequest, copyModel, handler, load, loadModel, moveModel, objectStore, registerLoadRouter, save, listModels, withSaveHandler } = tfpersist;
const refusal = (promise) => promise.then(() => assert.fail('it was accepted'), (error) => error);

test('a model JSON without the weights that it names: load gives the topology and the specs, nothing else takes it for a model', async () => {
  const { files: [[, json]] } = publishPlain(400, 200);
  const file = new File([json], 'model.json');
  const modelJSON = JSON.parse(json);
  await save(plain('good', 1, 400), 'memory://good');
  for (const source of [[file], { modelJSON }]) {
    const { modelTopology, weightData, weightSpecs, ...rest } = await load(source, { stream: source.length === 1 });
    assert.ok(modelTopology && weightData === undefined && !rest.getWeightStream);
    assert.deepEqual(weightSpecs, modelJSON.weightsManifest.flatMap(({ weights }) => weights));
    for (const verb of [(model) => save(model, 'memory://good'), (model) => handler('memory://good').save(model), (model) => copyModel(model, 'memory://good')]) {
      const { code, expected, received } = await refusal(verb({ ...rest, modelTopology, weightSpecs }));
      assert.deepEqual([code, expected, received], ['ERR_SIZE_MISMATCH', 400, 0]);
    }
  }
  const tf = { loadLayersModel: () => assert.fail('TF.js would make up weights') };
  const refusals = [[file], { modelJSON }].flatMap((source) => [loadModel(tf, source), copyModel(source, 'memory://good')]);
  for (const refused of refusals.map(refusal)) {
    const { code, problems } = await refused;
    assert.equal(code, 'ERR_MANIFEST');
    assert.deepEqual(problems.map(({ file: name, problem }) => [name, problem]), [1, 2].map((i) => [`group1-shard${i}of2.bin`, 'missing']));
  }
  assert.equal(await print(await load('memory://good')), await print(plain('good', 1, 400)));
});

test('what is no model, such as a promise that nobody awaited: nothing is stored', async () => {
  await save(plain('good', 1, 400), 'memory://good');
  for (const none of [Promise.resolve(plain('m', 1, 4)), {}, [], [plain('m', 1, 4)], { userDefinedMetadata: {} }, { weightData: null }, 'memory://good', 1, null, undefined]) {
    for (const verb of [() => save(none, 'memory://good'), () => handler('memory://good').save(none)]) {
      const { code, argument } = await refusal(verb());
      assert.deepEqual([code, argument], ['ERR_INVALID_ARGUMENT', 'model']);
    }
  }
  assert.equal(await print(await load('memory://good')), await print(plain('good', 1, 400)));
});

test('weights without specs, which nobody could load: the old model stays', async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tfpersist-specs-'));
  try {
    const url = `file://${folder}/m`;
    await save(plain('good', 1, 400), url);
    const { weightSpecs, ...rest } = plain('m', 2, 400);
    await save(plain('good', 1, 400), 'memory://good');
    const stream = { ...rest, weightData: new Blob([rest.weightData]).stream() };
    const verbs = [url, 'memory://good', 'http://127.0.0.1:9/'].flatMap((to) => [() => save(rest, to), () => copyModel(rest, to)]);
    for (const verb of [...verbs, () => save(stream, 'memory://good')]) {
      const { code, argument } = await refusal(verb());
      assert.deepEqual([code, argument], ['ERR_INVALID_ARGUMENT', 'weightSpecs']);
    }
    for (const stored of [url, 'memory://good']) assert.equal(await print(await load(stored)), await print(plain('good', 1, 400)));
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
});

test('a listing of where nothing stays says so', async () => {
  for (const url of ['https://host/', 'http://host/models', 'downloads://m']) {
    const { code, argument } = await refusal(listModels(url));
    assert.deepEqual([code, argument], ['ERR_INVALID_ARGUMENT', 'url'], url);
  }
});

test('options that the target of a save does not look at', async () => {
  const model = plain('m', 1, 4);
  for (const [target, options] of [
    ['memory://m', { zip: true }],
    ['memory://m', { method: 'PUT' }],
    ['memory://m', { cache: 'memory://n' }],
    [withSaveHandler(() => assert.fail('it was asked')), { method: 'PUT' }],
    [withSaveHandler(() => assert.fail('it was asked')), { requestInit: {} }],
    [handler('memory://m'), { zip: true }],
    [objectStore({ sign: () => assert.fail('it was asked') }), { zop: true }],
    ['memory://m', { overwite: true }],
    ['memory://m', { includeOptimizer: false }],
    ['memory://m', { trainableOnly: true }],
    ['memory://m', { includeOptimizer: 'false' }],
    ['memory://m', { zip: 'no' }],
  ]) {
    const { code, argument } = await refusal(save(model, target, options));
    assert.deepEqual([code, argument], ['ERR_INVALID_ARGUMENT', `options.${Object.keys(options)[0]}`]);
  }
  assert.equal((await refusal(copyModel('memory://m', 'memory://n', { cache: 'memory://c' }))).argument, 'options.cache');
  await save(model, 'memory://whole');
  for (const options of [{ trainableOnly: true }, { includeOptimizer: false }]) {
    for (const transfer of [copyModel, moveModel]) {
      const { code, argument } = await refusal(transfer('memory://whole', 'memory://n', options));
      assert.deepEqual([code, argument], ['ERR_INVALID_ARGUMENT', `options.${Object.keys(options)[0]}`]);
    }
  }
  for (const options of [{ zip: true }, { retries: 1 }, { headers: {} }]) {
    assert.equal((await refusal(moveModel('memory://m', 'memory://n', options))).argument, `options.${Object.keys(options)[0]}`);
  }
  const served = ['http://127.0.0.1:9/model.json', { fetchFunc: () => assert.fail('it was fetched') }];
  for (const [source, options] of [
    ['memory://m', { zip: true }],
    ['memory://m', { retries: 1 }],
    ['memory://m', { method: 'PUT' }],
    [served[0], { files: true, ...served[1] }],
    [served[0], { fieldNames: { modelJSON: 'json' }, ...served[1] }],
  ]) {
    const { code, argument } = await refusal(copyModel(source, 'memory://n', options));
    assert.deepEqual([code, argument], ['ERR_INVALID_ARGUMENT', `options.${Object.keys(options)[0]}`]);
  }
  const { code, message } = await refusal(save(model, 'http://127.0.0.1:9/', { overwrite: false }));
  assert.deepEqual([code, /^what is no store cannot save with overwrite: false/.test(message)], ['ERR_NOT_SUPPORTED', true]);
  assert.deepEqual(Object.keys(await listModels('memory://m')), []);
});

test("a handler's options are those of both ways; one that goes one way refuses the other's; what cannot be read is refused", async () => {
  const model = plain('m', 1, 4);
  const { files } = publishPlain(400, 200);
  const picked = files.map(([name, bytes]) => new File([bytes], name));
  assert.equal((await refusal(browserFiles(picked, { quantize: 'uint8' }).load())).argument, 'options.quantize');
  assert.equal((await refusal(objectStore({ sign: () => assert.fail(), verify: true }).save(model))).argument, 'options.verify');
  const unreadable = Object.defineProperty({}, 'overwrite', { enumerable: true, get() { throw new RangeError('no'); } });
  for (const options of [unreadable, 'overwrite', { overwite: true }]) {
    for (const way of [() => handler('memory://h', options).save(model), () => handler('memory://h', options).load()]) {
      assert.equal((await refusal(way())).code, 'ERR_INVALID_ARGUMENT');
    }
  }
  const inherited = handler('memory://h', Object.create({ overwrite: false }));
  await inherited.save(model);
  assert.equal((await refusal(inherited.save(plain('other', 1, 4)))).code, 'ERR_ALREADY_EXISTS');
});

test('options beside a handler of ours are those of where it goes; a handler that somebody changed is asked itself', async () => {
  const model = plain('m', 1, 400);
  await save(model, 'memory://m');
  const asked = [];
  const fetchFunc = async (url, { method, body }) => { asked.push([url, method, [...body.keys()]]); return new Response('thanks'); };
  const to = browserHTTPRequest('http://127.0.0.1:9/', { fetchFunc, method: 'PUT' });
  await save(model, to);
  await save(model, to, { fieldNames: { weights: 'w' } });
  await copyModel('memory://m', to, Object.assign(Object.create(null), { fieldNames: {} }));
  assert.deepEqual(asked, [['model.json', 'model.weights.bin'], ['model.json', 'w'], ['model.json', 'model.weights.bin']].map((keys) => ['http://127.0.0.1:9/', 'PUT', keys]));
  assert.equal((await refusal(save(model, handler('memory://m', { overwrite: false })))).code, 'ERR_ALREADY_EXISTS');
  assert.equal((await refusal(copyModel('memory://m', handler('memory://m')))).argument, 'destination');
  const changed = handler('memory://changed');
  const { save: saving } = changed;
  let seen = 0;
  changed.save = (artifacts) => { seen += 1; return saving(artifacts); };
  await save(model, changed);
  assert.deepEqual([seen, await print(await load('memory://changed'))], [1, await print(model)]);
});

test('what is given to a handler and to the call: both signals and listeners are heard, options of requests are refused', async (t) => {
  const model = plain('m', 1, 400);
  const unasked = { fetchFunc: () => assert.fail('it was asked') };
  const url = 'http://127.0.0.1:9/';
  const reason = new Error('enough');
  const to = browserHTTPRequest(url, { ...unasked, signal: AbortSignal.abort(reason) });
  assert.equal(await refusal(save(model, to, { signal: new AbortController().signal })), reason);
  for (const [own, call, named] of [
    [{ headers: { a: '1' } }, { headers: { b: '2' } }, 'headers'],
    [{ requestInit: { headers: { a: '1' } } }, { headers: { b: '2' } }, 'headers'],
    [{ method: 'PATCH' }, { requestInit: { method: 'PUT' } }, 'requestInit'],
  ]) {
    for (const given of [browserHTTPRequest(url, { ...unasked, ...own }), objectStore({ sign: () => assert.fail('it was asked'), ...own })]) {
      const { code, argument, message } = await refusal(save(model, given, call));
      assert.deepEqual([code, argument], ['ERR_INVALID_ARGUMENT', `options.${named}`]);
      assert.match(message, /to the handler/);
    }
  }
  const { code, argument } = await refusal(save(model, url, { ...unasked, requestInit: { headers: { a: '1' } }, headers: { b: '2' } }));
  assert.deepEqual([code, argument], ['ERR_INVALID_ARGUMENT', 'options.headers']);
  // What is undefined is not given.
  await save(model, 'memory://kept');
  assert.equal((await refusal(save(model, handler('memory://kept', { overwrite: false }), { overwrite: undefined }))).code, 'ERR_ALREADY_EXISTS');
  for (const own of [{ signal: AbortSignal.abort(reason) }, { requestInit: { signal: AbortSignal.abort(reason) } }]) {
    for (const call of [{ signal: null }, { signal: new AbortController().signal }]) {
      assert.equal(await refusal(save(model, browserHTTPRequest(url, { ...unasked, ...own }), call)), reason);
    }
  }
  const heard = { handler: [], call: [] };
  const listened = browserHTTPRequest(url, { fetchFunc: async () => new Response(''), onProgress: (part) => { heard.handler.push(part); throw new Error('of a listener'); } });
  t.mock.method(console, 'error', () => {});
  await save(model, listened, { onProgress: (part) => heard.call.push(part) });
  assert.deepEqual([heard.handler.at(-1), heard.call.at(-1)], [1, 1]);
});

test('what is meant for one server does not go to another one, and a load replaces nothing', async () => {
  const { files } = publishPlain(400, 200);
  const served = new Map(files);
  const seen = [];
  const fetchFunc = async (url, { method = 'GET', headers, body }) => {
    const { host, pathname } = new URL(url);
    seen.push(`${host} ${body ? 'upload' : pathname} ${method} ${new Headers(headers).get('authorization')}`);
    return new Response(body ? 'thanks' : served.get(pathname.slice(1)));
  };
  const [from, to] = ['http://a/model.json', 'http://b/upload/model.json'];
  const secret = { authorization: 'for b' };
  for (const options of [{ headers: secret }, { method: 'PUT' }, { requestInit: { method: 'PUT' } }, { credentials: 'include' }]) {
    for (const target of [to, objectStore({ sign: () => assert.fail('it was asked') }), browserHTTPRequest(to)]) {
      const { code, argument, message } = await refusal(copyModel(from, target, { fetchFunc, ...options }));
      assert.deepEqual([code, argument], ['ERR_INVALID_ARGUMENT', `options.${Object.keys(options)[0]}`]);
      assert.match(message, /browserHTTPRequest/);
    }
  }
  assert.deepEqual(seen, []);
  await copyModel(from, browserHTTPRequest(to, { headers: secret, method: 'POST', weightPathPrefix: 'http://b/', cache: 'memory://c', fetchFunc }), { fetchFunc, headers: undefined });
  await copyModel(browserHTTPRequest(from, { headers: { authorization: 'for a' }, fetchFunc }), to, { headers: secret, fetchFunc });
  registerLoadRouter((name, options) => (`${name}`.startsWith('routed://') ? browserHTTPRequest(from, { ...options, fetchFunc }) : null));
  assert.equal((await refusal(copyModel('routed://m', to, { fetchFunc, headers: secret }))).argument, 'options.headers');
  const asked = [...served.keys()].sort();
  const tell = (line) => seen.filter((row) => row.endsWith(line)).sort();
  assert.deepEqual(tell(' null'), asked.map((name) => `a /${name} GET null`).sort());
  assert.deepEqual(tell(' for a'), asked.map((name) => `a /${name} GET for a`).sort());
  assert.deepEqual(tell(' for b'), ['b upload POST for b', 'b upload POST for b']);
  // TF.js sends the method of a handler's saves with its loads, too: a PUT without a body, which leaves an empty model.json.
  for (const method of ['PUT', 'PATCH', 'DELETE', 'put']) {
    seen.length = 0;
    await load(from, { method, fetchFunc });
    await browserHTTPRequest(from, { requestInit: { method }, fetchFunc }).load();
    assert.ok(seen.length === 2 * asked.length && seen.every((row) => row.endsWith(' GET null')), `${seen}`);
  }
  seen.length = 0;
  await load(from, { method: 'POST', fetchFunc });
  assert.ok(seen.length && seen.every((row) => row.endsWith(' POST null')), `${seen}`);
});

test('a copy of picked files or artifacts into a handler takes the options of the call as a save does', async () => {
  const { files } = publishPlain(400, 200);
  const sent = [];
  const fetchFunc = async (url, { method, headers }) => { sent.push([url.split('/').at(-1).split('.')[0], method, new Headers(headers).get('a')]); return new Response(''); };
  for (const source of [files.map(([name, bytes]) => new File([bytes], name)), plain('m', 1, 400), { load: async () => plain('m', 1, 400) }]) {
    sent.length = 0;
    const to = browserHTTPRequest('http://b/model.json', { headers: { a: '1' }, fetchFunc });
    assert.equal((await refusal(copyModel(source, to, { method: 'PUT' }))).argument, 'options.method');
    await copyModel(source, to, { files: true, shardBytes: 300 });
    assert.deepEqual(sent.sort(), [['group1-shard1of2', 'PUT', '1'], ['group1-shard2of2', 'PUT', '1'], ['model', 'PUT', '1']]);
  }
  await save(plain('m', 1, 400), 'memory://m');
  await copyModel('memory://m', browserHTTPRequest('http://b/', { fetchFunc, cache: 'memory://c' }));
});

test('URLs that are almost one', async () => {
  for (const url of ['indexeddb:/m', 'file:/tmp/m', 'models', '/tmp/m/model.json']) {
    assert.equal((await refusal(load(url))).code, 'ERR_INVALID_URL', url);
  }
  assert.equal((await refusal(load('indexdb://m'))).code, 'ERR_UNKNOWN_SCHEME');
  assert.match((await refusal(save(plain('m', 1, 4), 'opfs://m'))).message, /in Node file:/);
  assert.equal((await refusal(load(null))).code, 'ERR_INVALID_ARGUMENT');
  assert.throws(() => browserFiles(null), { code: 'ERR_INVALID_ARGUMENT' });
});

test("a server's model is not cached over one of somebody's own", async () => {
  const { files } = publishPlain(400, 200);
  const served = new Map(files);
  const fetchFunc = async (url) => new Response(served.get(url.split('/').at(-1)));
  const options = { cache: 'memory://own', fetchFunc };
  await save(plain('own', 1, 400), 'memory://own');
  assert.equal((await refusal(load('https://host/model.json', options))).code, 'ERR_ALREADY_EXISTS');
  assert.equal(await print(await load('memory://own')), await print(plain('own', 1, 400)));
  // What is no cache entry, whatever it says of itself, is told, and no promise is left open.
  await save({ ...plain('own', 1, 400), cachedFrom: 'https://x' }, 'memory://own');
  assert.equal((await refusal(load('https://host/model.json', options))).code, 'ERR_ALREADY_EXISTS');
});
