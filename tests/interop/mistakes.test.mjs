// Mistakes that a first-time user of the README made: each is told, and nothing is stored. In Node; it is the same code everywhere.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { plain, print } from '../lib/artifacts.mjs';
import { publishPlain } from '../lib/published.mjs';
import * as tfpersist from '../../pkg/node.js';

const { browserFiles, browserHTTPRequest, copyModel, handler, load, loadModel, moveModel, objectStore, save, listModels, withSaveHandler } = tfpersist;
const refusal = (promise) => promise.then(() => assert.fail('it was accepted'), (error) => error);

test('a model JSON without the weights that it names: load gives the topology, nothing else takes it for a model', async () => {
  const { files: [[, json]] } = publishPlain(400, 200);
  const file = new File([json], 'model.json');
  const modelJSON = JSON.parse(json);
  await save(plain('good', 1, 400), 'memory://good');
  for (const source of [[file], { modelJSON }]) {
    const { modelTopology, weightData } = await load(source);
    assert.ok(modelTopology && weightData === undefined);
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

test('weights without specs, which files cannot hold: the old folder stays', async () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tfpersist-specs-'));
  try {
    const url = `file://${folder}/m`;
    await save(plain('good', 1, 400), url);
    const { weightSpecs, ...rest } = plain('m', 2, 400);
    await save(rest, 'memory://specs');
    for (const verb of [() => save(rest, url), () => copyModel('memory://specs', url), () => save(rest, 'http://127.0.0.1:9/')]) {
      const { code, argument } = await refusal(verb());
      assert.deepEqual([code, argument], ['ERR_INVALID_ARGUMENT', 'weightSpecs']);
    }
    assert.equal(await print(await load(url)), await print(plain('good', 1, 400)));
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

test('options beside a handler of ours are those of where it goes, and count more than its own; a handler that somebody changed is asked itself', async () => {
  const model = plain('m', 1, 400);
  await save(model, 'memory://m');
  const asked = [];
  const fetchFunc = async (url, { method, body }) => { asked.push([url, method, [...body.keys()]]); return new Response('thanks'); };
  const to = browserHTTPRequest('http://127.0.0.1:9/', { fetchFunc, method: 'PUT', fieldNames: { weights: 'w' } });
  await save(model, to);
  await save(model, to, { method: 'PATCH' });
  await copyModel('memory://m', to, Object.assign(Object.create(null), { fieldNames: {} }));
  assert.deepEqual(asked, [
    ['http://127.0.0.1:9/', 'PUT', ['model.json', 'w']], ['http://127.0.0.1:9/', 'PATCH', ['model.json', 'w']], ['http://127.0.0.1:9/', 'PUT', ['model.json', 'model.weights.bin']],
  ]);
  assert.equal((await refusal(save(model, handler('memory://m', { overwrite: false })))).code, 'ERR_ALREADY_EXISTS');
  assert.equal((await refusal(copyModel('memory://m', handler('memory://m')))).argument, 'destination');
  const changed = handler('memory://changed');
  const { save: saving } = changed;
  let seen = 0;
  changed.save = (artifacts) => { seen += 1; return saving(artifacts); };
  await save(model, changed);
  assert.deepEqual([seen, await print(await load('memory://changed'))], [1, await print(model)]);
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
