// Hostile values in memory, and hostile records in the stores: getters and proxies that throw or change their answer, holes, lengths
// that lie, buffers that are gone or shared, what calls itself a Date, a promise or a signal. Each call settles, with a model or an error of ours.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { CODES } from '../lib/hostile.mjs';
import { open } from '../lib/suite.mjs';

let page;
before(async () => { page = await open({ html: 'bare' }); });

/** Runs the work in the page for each row; `work(row, { tools })` makes a promise; gives what came of each, and what is left afterwards. */
const outcomes = (rows, work) => page.evaluate(async ({ rows, work }) => {
  await T.clear();
  const lib = await T.library('tfpersist');
  const good = T.plain('good', 1, 400);
  const boom = () => { throw new RangeError('boom'); };
  const throwing = new Proxy({}, Object.fromEntries(Object.getOwnPropertyNames(Reflect).map((trap) => [trap, boom])));
  const revoked = (target) => { const { proxy, revoke } = Proxy.revocable(target, {}); revoke(); return proxy; };
  const detached = (bytes) => { const buffer = new ArrayBuffer(bytes); structuredClone(buffer, { transfer: [buffer] }); return buffer; };
  const detachedView = () => { const view = new Uint8Array(4); structuredClone(view.buffer, { transfer: [view.buffer] }); return view; };
  const shared = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }).buffer;
  const getters = (fields, get) => Object.defineProperties({}, Object.fromEntries(fields.map((key) => [key, { enumerable: true, get }])));
  const spec = { name: 'w', shape: [1], dtype: 'float32' };
  const flips = (key, ...answers) => { let n = 0; return Object.defineProperty({ ...spec }, key, { enumerable: true, get: () => answers[Math.min(n++, answers.length - 1)] }); };
  const model = (more) => ({ modelTopology: {}, weightSpecs: [spec], weightData: new ArrayBuffer(4), ...more });
  const json = (more) => ({ modelTopology: {}, weightsManifest: [{ paths: ['w.bin'], weights: [spec] }], ...more });
  const tools = { ...lib, good, boom, throwing, revoked, detached, detachedView, shared, getters, spec, flips, model, json };
  const own = Object.getOwnPropertyNames(Object.prototype).sort().join();
  const values = (0, eval)(rows)(tools);
  const act = (0, eval)(work);
  await lib.save(good, 'indexeddb://kept');
  const out = {};
  for (const [name, value] of Object.entries(values)) {
    const begun = performance.now();
    const { value: result, error } = await T.attempt(() => act(value, tools), 15000);
    const kept = await T.print(await lib.load('indexeddb://kept')) === await T.print(good);
    out[name] = { result, error, ms: performance.now() - begun, kept };
  }
  const polluted = Object.getOwnPropertyNames(Object.prototype).sort().join() !== own;
  const stored = Object.keys(await lib.listModels()).filter((url) => /indexeddb|localstorage|memory/.test(url)).sort();
  return { out, polluted, stored };
}, { rows: `(${rows})`, work: `(${work})` });

function check({ out, polluted }, rows) {
  assert.ok(Object.keys(out).length >= rows);
  assert.equal(polluted, false);
  for (const [name, { result, error, ms, kept }] of Object.entries(out)) {
    const said = `${name}: ${JSON.stringify(error ?? result)}`;
    // What the caller's own function threw comes back as it is.
    const isTheirs = /^a (stream|save)/.test(name) && error?.message === 'boom';
    assert.ok(!error || isTheirs || (error.isError && CODES.includes(error.code)), `${said} is no error of ours`);
    assert.ok(kept, `${name}: what was stored before is not as it was`);
    assert.ok(ms < 10_000, `${name} took ${ms} ms`);
  }
}

/** Artifacts that are none. Where one is no error, the bytes that are stored are those of its specs. */
const ARTIFACTS = ({ boom, throwing, revoked, detached, detachedView, shared, getters, spec, flips, model }) => ({
  'a proxy that throws at everything': throwing, 'a revoked proxy': revoked({}), 'a revoked array': revoked([]),
  'getters that throw': getters(['modelTopology', 'weightSpecs', 'weightData'], boom),
  'a getter of weights that throws': Object.defineProperty(model(), 'weightData', { enumerable: true, get: boom }),
  'specs: a proxy that throws': model({ weightSpecs: throwing }), 'specs: revoked': model({ weightSpecs: revoked([]) }),
  'specs: an array behind a proxy that throws': model({ weightSpecs: new Proxy([spec], { get: boom }) }),
  'specs: holes': model({ weightSpecs: new Array(5) }), 'specs: four billion holes': model({ weightSpecs: new Array(2 ** 32 - 1) }),
  'specs: a length that lies': model({ weightSpecs: { length: 2 ** 53, 0: spec } }),
  'specs: an iterator that throws': model({ weightSpecs: Object.assign([spec], { [Symbol.iterator]: boom }) }),
  'specs: a spec that throws': model({ weightSpecs: [throwing] }),
  'specs: a spec whose getters throw': model({ weightSpecs: [getters(['name', 'shape', 'dtype'], boom)] }),
  'specs: a shape that throws': model({ weightSpecs: [{ ...spec, shape: throwing }] }), 'specs: a shape that is revoked': model({ weightSpecs: [{ ...spec, shape: revoked([]) }] }),
  'specs: a shape of holes': model({ weightSpecs: [{ ...spec, shape: new Array(2 ** 32 - 1) }] }),
  'specs: a shape of NaN': model({ weightSpecs: [{ ...spec, shape: [NaN] }] }), 'specs: of -0.5': model({ weightSpecs: [{ ...spec, shape: [-0.5] }] }),
  'specs: a shape of a bigint': model({ weightSpecs: [{ ...spec, shape: [1n] }] }), 'specs: of a symbol': model({ weightSpecs: [{ ...spec, shape: [Symbol('1')] }] }),
  'specs: a name that is a symbol': model({ weightSpecs: [{ ...spec, name: Symbol('w') }] }), 'specs: a name that is a String': model({ weightSpecs: [{ ...spec, name: new String('w') }] }),
  'specs: half a surrogate pair': model({ weightSpecs: [{ ...spec, name: '\ud800' }] }),
  'specs: a function in them': model({ weightSpecs: [{ ...spec, more: () => 1 }] }),
  'specs: a shape that changes': model({ weightSpecs: [flips('shape', [1], [2 ** 40])] }), 'specs: one that changes later': model({ weightSpecs: [flips('shape', [1], [1], [1], [1], [9])] }),
  'specs: a dtype that changes': model({ weightSpecs: [flips('dtype', 'float32', 'string', 'bool')] }),
  'weights: detached': model({ weightData: detached(4) }), 'weights: a detached one among others': model({ weightData: [new ArrayBuffer(4), detached(4)] }),
  'weights: a view of a detached one': model({ weightData: detachedView() }),
  'weights: shared': model({ weightData: shared, weightSpecs: [{ ...spec, shape: [16384] }] }),
  'weights: a view of shared ones': model({ weightData: new Uint8Array(shared, 0, 4) }),
  'weights: a proxy of a buffer': model({ weightData: new Proxy(new ArrayBuffer(4), {}) }), 'weights: a proxy that throws': model({ weightData: throwing }),
  'weights: four billion holes': model({ weightData: new Array(2 ** 32 - 1) }), 'weights: revoked': model({ weightData: revoked([]) }),
  'weights: a length that lies': model({ weightData: Object.defineProperty(new Uint8Array(4), 'byteLength', { value: 2 ** 31 }) }),
  'weights: a length that throws': model({ weightData: Object.defineProperty(new Uint8Array(4), 'byteLength', { get: boom }) }),
  'weights: methods that throw': model({ weightData: Object.assign(new Uint8Array(4), { subarray: boom, slice: boom, set: boom }) }),
  'weights: a buffer that lies': model({ weightData: Object.defineProperty(new Uint8Array(4), 'buffer', { value: 5 }) }),
  'weights: a text': model({ weightData: 'AAAA' }), 'weights: a Blob': model({ weightData: new Blob(['AAAA']) }), 'weights: numbers': model({ weightData: [0, 0, 0, 0] }),
  'weights: an endless Blob': model({ weightData: { size: Infinity, arrayBuffer: async () => new ArrayBuffer(4), slice() { return this; } } }),
  'a stream that throws': model({ weightData: undefined, getWeightStream: boom }), 'a stream that is none': model({ weightData: undefined, getWeightStream: () => throwing }),
  'a stream whose reader lies': model({ weightData: undefined, getWeightStream: () => ({ getReader: () => ({ read: () => ({ done: false, value: 5 }) }) }) }),
  'a stream without an end': model({ weightData: undefined, getWeightStream: () => new ReadableStream({ pull: (to) => to.enqueue(new Uint8Array(1000)) }) }),
  'a stream of nothing, without an end': model({ weightData: undefined, getWeightStream: () => new ReadableStream({ start(to) { for (let i = 0; i < 1000; i++) to.enqueue(new Uint8Array(0)); to.close(); } }) }),
  'a topology that throws': model({ modelTopology: throwing }), 'a topology that is a function': model({ modelTopology: () => 1 }), 'a topology that is a bigint': model({ modelTopology: 1n }),
  'a topology whose toJSON throws': model({ modelTopology: { toJSON: boom } }), 'metadata that throw': model({ userDefinedMetadata: throwing }),
  'a topology of 100,000 levels': model({ modelTopology: Array.from({ length: 1e5 }).reduce((inner) => [inner], []) }),
  'a key __proto__': JSON.parse('{"__proto__": {"weightSpecs": [5], "polluted": 1}, "modelTopology": {}}'),
  'a save that throws': { save: boom }, 'a save that never hands over anything': { save: async () => ({}) }, 'a save that hands over nonsense': { save: (handler) => handler.save(throwing) },
});


for (const target of ['indexeddb://new', 'localstorage://new', 'memory://new', 'downloads://new', 'custom://new', 'a handler', 'a server', 'indexeddb://kept']) {
  test(`hostile artifacts, saved to ${target}`, async () => {
    const work = `async (value, { save, load, removeModel, registerStore }) => {
      const target = ${JSON.stringify(target)};
      globalThis.made ??= registerStore('custom', (() => { const all = {}; return {
        save: (path, model) => void (all[path] = model), load: (path) => all[path], list: () => Object.fromEntries(Object.keys(all).map((path) => [path, { dateSaved: new Date() }])), remove: (path) => delete all[path] }; })()) ?? true;
      let seen;
      const handler = { save: async (model) => { seen = model; return {}; } };
      if (target === 'a handler') await save(value, handler);
      else if (target === 'a server') await save(value, 'http://x.invalid/m', { fetchFunc: async () => new Response('') });
      else if (target === 'downloads://new') await T.clicked(() => save(value, target));
      else await save(value, target);
      if (target === 'a handler' || !/indexeddb|localstorage|memory|custom/.test(target)) return [seen?.weightData?.byteLength];
      const { weightSpecs, weightData } = await load(target); // what was stored is sound
      if (target.endsWith('kept')) await save(T.plain('good', 1, 400), target); else await removeModel(target);
      return [weightData?.byteLength, weightSpecs?.[0]?.shape];
    }`;
    const found = await outcomes(ARTIFACTS, work);
    if (target.endsWith('kept')) for (const row of Object.values(found.out)) row.kept = row.error ? row.kept : true;
    check(found, 50);
    assert.deepEqual(found.stored, ['indexeddb://kept'], 'something is left behind');
    for (const [name, { error }] of Object.entries(found.out)) {
      if (/^(specs: (a proxy|revoked|holes|four|a length|a shape of|half|a name|of|a shape that t)|weights: (detached|shared|a view|a proxy|four|revoked|a text|an endless|numbers))/.test(name)) {
        assert.ok(error, `${name} was saved`);
      }
    }
  });
}

test('hostile artifacts, loaded, also from a handler', async () => {
  for (const work of ['(value, { load }) => load(value).then((m) => [m.weightData?.byteLength])']) check(await outcomes(ARTIFACTS, work), 50);
});

test('{ modelJSON, weights } of hostile values', async () => {
  const rows = ({ boom, throwing, revoked, detached, shared, getters, spec, flips, json }) => {
    const of = (modelJSON, weights = new ArrayBuffer(4)) => ({ modelJSON, weights });
    const manifest = (weightsManifest) => of(json({ weightsManifest }));
    return {
      'a proxy that throws': of(throwing), 'revoked': of(revoked({})), 'a Map': of(new Map([['modelTopology', {}]])), 'a function': of(() => 1), 'a symbol': of(Symbol('x')), 'detached': of(detached(9)),
      'a text of half a pair': of('\ud800'), 'a list': of([json()]), 'a shared text': of(new Uint8Array(shared)), 'getters that throw': of(getters(['modelTopology', 'weightsManifest'], boom)),
      'manifest: throws': manifest(throwing), 'manifest: revoked': manifest(revoked([])), 'manifest: holes': manifest(new Array(3)), 'manifest: four billion holes': manifest(new Array(2 ** 32 - 1)),
      'manifest: a length': manifest({ length: 1, 0: json().weightsManifest[0] }), 'manifest: an iterator that throws': manifest(Object.assign([spec], { [Symbol.iterator]: boom })),
      'group: throws': manifest([throwing]), 'paths: throw': manifest([{ paths: throwing, weights: [spec] }]), 'paths: holes': manifest([{ paths: new Array(2 ** 32 - 1), weights: [spec] }]),
      'paths: half a pair': manifest([{ paths: ['\ud800'], weights: [spec] }]), 'paths: an item that throws': manifest([{ paths: Object.defineProperty(['a', 'b'], 1, { get: boom }), weights: [spec] }]),
      'weights: change': manifest([{ paths: ['w.bin'], weights: [flips('shape', [1], [2 ** 40])] }]), 'weights: change their name': manifest([{ paths: ['w.bin'], weights: [flips('name', 'a', 5)] }]),
      'bytes: a table that throws': of(json(), throwing), 'bytes: a table of prototypes': of(json({ weightsManifest: [{ paths: ['__proto__'], weights: [spec] }] }), {}),
      'bytes: a table without one': of(json({ weightsManifest: [{ paths: ['constructor'], weights: [spec] }] }), {}), 'bytes: a Map': of(json(), new Map()), 'bytes: a number': of(json(), 5),
      'bytes: holes': of(json(), new Array(2 ** 32 - 1)), 'bytes: shared': of(json(), shared), 'bytes: detached': of(json(), detached(4)), 'bytes: detached, in a table': of(json(), { 'w.bin': detached(4) }),
      'bytes: revoked': of(json(), revoked([])), 'a getter for the JSON': Object.defineProperty({}, 'modelJSON', { get: boom }),
    };
  };
  const found = await outcomes(rows, '(value, { load }) => load(value).then((m) => [m.weightData?.byteLength, m.weightSpecs?.[0]?.shape])');
  check(found, 30);
  for (const [name, { result }] of Object.entries(found.out)) if (result) assert.deepEqual(result, [4, [1]], name);
});

test('files that are none, options that are none', async () => {
  const files = ({ boom, throwing, revoked, getters }) => ({
    'a list that throws': [throwing], 'revoked': [revoked({})], 'a length': { length: 2 ** 53 }, 'holes': new Array(5), 'four billion holes': { files: new Array(2 ** 32 - 1) },
    'a blob that throws': [{ arrayBuffer: boom, slice: boom, size: 4, name: 'model.json' }], 'a blob that is none': [{ arrayBuffer: async () => 5, slice: () => 5, size: 1e308, name: 'model.json' }],
    'a blob that never ends': [{ arrayBuffer: async () => new ArrayBuffer(0), slice() { return this; }, size: 2 ** 52, name: 'm.zip' }],
    'a zip that says nothing': [{ arrayBuffer: async () => new TextEncoder().encode('PK\x03\x04').buffer, slice() { return this; }, size: 2 ** 52, name: 'm.zip' }],
    'a size that throws': [Object.defineProperty(new Blob(['{}']), 'size', { get: boom })], 'names that throw': [Object.assign(getters(['name', 'path', 'webkitRelativePath'], boom), { arrayBuffer: async () => new ArrayBuffer(0), slice() { return this; } })],
  });
  const code = (work) => `async (value, tools) => { try { return await (${work})(value, tools); } catch (error) {
    if (error instanceof RangeError && error.message === 'boom') throw Object.assign(new Error('the very exception'), { code: 'ERR_INVALID_ARGUMENT' }); throw error; } }`;
  check(await outcomes(files, code('(value, { load }) => load(value).then(() => 1)')), 10);
  const options = ({ boom, throwing, revoked }) => ({
    'throws': throwing, 'revoked': revoked({}), 'a list': [1], 'a function': () => 1, 'a text': 'x', 'a signal that is none': { signal: Object.create(AbortSignal.prototype) }, 'a signal that throws': { signal: throwing },
    'progress that throws': { onProgress: boom }, 'an unknown key': { __proto__: null, toString: 1 }, 'a key of the prototype': JSON.parse('{"__proto__": 1}'), 'overwrite: a Proxy': { overwrite: throwing },
    'overwrite that throws': Object.defineProperty({}, 'overwrite', { enumerable: true, get: boom }), 'shards of NaN': { shardBytes: NaN }, 'shards of -1': { shardBytes: -1 }, 'shards of 1e308': { shardBytes: 1e308 },
  });
  check(await outcomes(options, 'async (value, { save, removeModel, good }) => { await save(good, "memory://new", value); await removeModel("memory://new"); return 1; }'), 10);
});

test('a registered store that lies', async () => {
  const rows = ({ boom, throwing, revoked, detached, spec, model }) => {
    const date = { dateSaved: new Date() };
    const store = (more) => ({ save: () => undefined, load: () => model(), list: () => ({ m: date }), remove: () => undefined, ...more });
    const poisoned = Object.defineProperty(Promise.resolve({}), 'constructor', { get: boom });
    const lists = [undefined, null, 5, 'm', throwing, revoked({}), [], { m: throwing }, { m: 5 }, { m: null }, { m: { dateSaved: Object.create(Date.prototype) } }, { m: { dateSaved: Symbol('x') } }, { m: { dateSaved: NaN } },
      { m: { dateSaved: new Date(NaN) } }, { m: { ...date, weightDataBytes: 1e308 } }, { m: { ...date, weightDataBytes: '5' } }, JSON.parse('{"__proto__": {"dateSaved": 1}}'), { '\ud800': date }, { '': date }, poisoned, { then: boom }];
    const loads = [undefined, null, 5, 'm', throwing, revoked({}), [], model({ weightSpecs: [{ ...spec, shape: [9] }] }), model({ weightData: detached(4) }), model({ weightData: undefined }), poisoned, { then: boom }, { then: (yes) => yes(throwing) }];
    const saves = [5, throwing, revoked({}), { modelArtifactsInfo: throwing }, { dateSaved: Object.create(Date.prototype) }, poisoned, { then: boom }];
    return Object.fromEntries([
      ...lists.map((list, i) => [`list ${i}`, store({ list: () => list })]), ...loads.map((load, i) => [`load ${i}`, store({ load: () => load })]),
      ...saves.map((save, i) => [`save ${i}`, store({ save: () => save })]), ...['list', 'load', 'save', 'remove'].map((name) => [`${name} throws`, store({ [name]: () => { throw Object.assign(new Error('its own'), { code: 'ERR_STORAGE' }); } })]),
    ]);
  };
  // What the store itself threw comes back as it is: here it is known by its message.
  const work = `async (store, { registerStore, save, load, listModels, moveModel, removeModel, good }) => {
    globalThis.count = (globalThis.count ?? 0) + 1;
    const scheme = 'liar' + globalThis.count;
    registerStore(scheme, store);
    const codes = [];
    for (const act of [() => save(good, scheme + '://m'), () => save(good, scheme + '://m', { overwrite: false }), () => load(scheme + '://m'), () => listModels(scheme + '://'), () => listModels(),
      () => moveModel(scheme + '://m', 'memory://moved'), () => removeModel(scheme + '://m'), () => removeModel('memory://moved')]) {
      const { error } = await T.attempt(act, 2000);
      codes.push(error ? /^boom$|revoked/.test(error.message) ? 'ERR_STORAGE' : error.code ?? error.name : 'done');
    }
    return codes;
  }`;
  const found = await outcomes(rows, work);
  check(found, 40);
  for (const [name, { result }] of Object.entries(found.out)) for (const code of result) assert.ok(code === 'done' || CODES.includes(code), `${name}: ${result}`);
});

test('hostile records in IndexedDB, Local Storage: a load rejects, a listing goes on, a remove removes', async () => {
  const rows = ({ spec, model }) => {
    const info = { dateSaved: new Date(), modelTopologyType: 'JSON', modelTopologyBytes: 2, weightSpecsBytes: 2, weightDataBytes: 4 };
    const deep = Array.from({ length: 1000 }).reduce((inner) => [inner], []);
    const artifacts = [null, 5, 'x', [], new Map(), new Date(), model({ weightSpecs: { length: 1, 0: spec } }), model({ weightSpecs: new Array(1e6) }), model({ weightSpecs: [new Map()] }), model({ weightData: 'AAAA' }),
      model({ weightData: new Blob(['AAAA']) }), model({ weightData: [[new ArrayBuffer(4)]] }), model({ weightSpecs: [{ ...spec, shape: [2 ** 52], dtype: 'bool' }] }), model({ weightSpecs: [{ ...spec, shape: [NaN] }] }),
      model({ modelTopology: new ArrayBuffer(9) }), model({ modelTopology: deep }), JSON.parse('{"__proto__": {"weightSpecs": [5]}, "weightData": 5}'), model({ weightSpecs: [spec, spec] }), model({ getWeightStream: 5, weightData: undefined })];
    const infos = [null, 5, { dateSaved: 'never' }, { ...info, dateSaved: new Date(NaN) }, { ...info, weightDataBytes: -1 }, { ...info, weightDataBytes: 1e308 }, { ...info, modelTopologyBytes: 'x' }, new Map()];
    const key = (part) => `tensorflowjs_models/raw/${part}`;
    const texts = (more) => ({ info: JSON.stringify(info), model_topology: '{}', weight_specs: '[]', weight_data: 'AAAAAA==', model_metadata: '{}', ...more });
    const locals = [{ info: 'null' }, { info: '5' }, { info: '{"dateSaved": {"length": 1}}' }, { info: '['.repeat(1e5) }, { info: '{"__proto__": {"dateSaved": 1}}' }, { model_topology: '['.repeat(1e5) + ']'.repeat(1e5) }, { model_topology: '{"__proto__": 1}' },
      { weight_specs: 'null' }, { weight_specs: '{"length": 1e308}' }, { weight_specs: '[null]' }, { weight_specs: '[{"name":"w","shape":[4503599627370496],"dtype":"bool"}]' }, { weight_data: '====' }, { weight_data: 'A' }, { weight_data: '\ud800' }, { weight_data: 'AAAA\0' },
      { model_metadata: 'null' }, { model_metadata: '5' }, { model_metadata: '{"__proto__": {"format": 1}}' }, { model_metadata: '{' }].map((more) => Object.fromEntries(Object.entries(texts(more)).map(([part, text]) => [key(part), text])));
    return Object.fromEntries([
      ...artifacts.map((modelArtifacts, i) => [`indexeddb artifacts ${i}`, { modelArtifacts, modelArtifactsInfo: info }]), ...infos.map((modelArtifactsInfo, i) => [`indexeddb info ${i}`, { modelArtifacts: model(), modelArtifactsInfo }]),
      ...locals.map((strings, i) => [`localstorage ${i}`, { strings }]),
    ]);
  };
  const work = `async ({ strings, ...record }, { load, listModels, moveModel, copyModel, removeModel }) => {
    const url = (strings ? 'localstorage' : 'indexeddb') + '://raw';
    if (strings) for (const [key, text] of Object.entries(strings)) localStorage.setItem(key, text);
    else {
      const db = await T.done(indexedDB.open('tensorflowjs'));
      const tx = db.transaction(['models_store', 'model_info_store'], 'readwrite');
      tx.objectStore('models_store').put({ modelPath: 'raw', ...record });
      tx.objectStore('model_info_store').put({ modelPath: 'raw', modelArtifactsInfo: record.modelArtifactsInfo });
      await T.done(tx);
      db.close();
    }
    const codes = [];
    for (const act of [() => load(url), () => copyModel(url, 'memory://raw'), () => moveModel(url, 'memory://raw'), async () => { const rows = await listModels(); if (!rows['indexeddb://kept'] ) throw new Error('hidden'); }, () => removeModel(url), () => removeModel('memory://raw')]) {
      const { error } = await T.attempt(act, 5000);
      codes.push(error ? error.code ?? error.name + error.message : 'done');
    }
    localStorage.clear();
    return codes;
  }`;
  const found = await outcomes(rows, work);
  check(found, 40);
  assert.deepEqual(found.stored, ['indexeddb://kept']);
  for (const [name, { result }] of Object.entries(found.out)) {
    for (const code of result ?? []) assert.ok(code === 'done' || CODES.includes(code), `${name}: ${result}`);
    assert.equal(result[3], 'done', `${name}: ${result}`);
  }
});
