// Loads by HTTP: what TF.js's converter publishes, from nginx; the options; progress; and everything that can go wrong.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { print } from '../lib/artifacts.mjs';
import { dropper, nginx } from '../lib/counterparts.mjs';
import { publish, publishPlain } from '../lib/published.mjs';
import { open } from '../lib/suite.mjs';

const folder = fileURLToPath(new URL('../fixtures/converter/', import.meta.url));
const FIXTURES = fs.readdirSync(folder).filter((name) => fs.existsSync(`${folder}${name}/model.json`));
const sizeOf = (name) => fs.readdirSync(`${folder}${name}`).filter((f) => f !== 'expected.json')
  .reduce((sum, f) => sum + fs.statSync(`${folder}${name}/${f}`).size, 0);

let page, server, files;
before(async () => {
  [page, server, files] = await Promise.all([open(), nginx(folder), dropper()]);
});

/** Puts a model on the server under `folder/`. */
function put(name, bytes, shard, options) {
  const { artifacts, files: published } = publishPlain(bytes, shard, { folder: `${name}/`, ...options });
  for (const [path, content] of published) files.files.set(path, content);
  return artifacts;
}
/** Requests for the files of `folder/`. */
const asked = (name) => files.log.filter((row) => row.name.startsWith(`${name}/`));
/** What a load of the URL fails with, as JSON; options may only be JSON. */
const failure = (url, options) => page.evaluate(async ({ url, options }) => {
  const { load } = await T.library('tfpersist');
  return (await T.attempt(() => load(url, options))).error;
}, { url, options });

test('there are fixtures of every kind', () => {
  assert.deepEqual(FIXTURES, ['graph', 'layers', 'layers-float16', 'layers-uint16', 'layers-uint8']);
});

for (const mood of ['plain', 'gzip', 'bare']) {
  for (const name of FIXTURES) {
    test(`${name}, ${mood}: the weights are TF.js's, and so are the predictions, which are Keras's`, async () => {
      const url = `${server.url}/${mood}/${name}/model.json`;
      const expected = JSON.parse(fs.readFileSync(`${folder}${name}/expected.json`, 'utf8'));
      const found = await page.evaluate(async ({ url, inputs }) => {
        const { load, loadModel, browserHTTPRequest } = await T.library('tfpersist');
        const theirs = await T.library('tf.io');
        const predict = async (model) => Array.from(await model.predict(tf.tensor(inputs)).data());
        const tfLoad = url.includes('graph') ? tf.loadGraphModel : tf.loadLayersModel;
        return {
          prints: [await T.print(await load(url)), await T.print(await theirs.load(url))],
          predictions: [await predict(await loadModel(tf, url)), await predict(await tfLoad(url)),
            await predict(await tfLoad(browserHTTPRequest(url)))],
        };
      }, { url, inputs: expected.inputs });
      assert.equal(found.prints[0], found.prints[1]);
      assert.deepEqual(found.predictions[0], found.predictions[1]);
      assert.deepEqual(found.predictions[2], found.predictions[1]);
      const most = Math.max(...expected.predictions.flat().map((y, i) => Math.abs(y - found.predictions[0][i])));
      assert.ok(most < (name.includes('uint8') ? 0.02 : name.includes('16') ? 1e-3 : 1e-6), `off by ${most}`);
    });
  }
}

test('the options of TF.js do what they do there', async () => {
  const artifacts = put('options', 1000, 300);
  const base = files.url;
  const found = await page.evaluate(async ({ base, origin }) => {
    const { load, browserHTTPRequest, http } = await T.library('tfpersist');
    const url = `${base}/plain/options/model.json`;
    const prints = {};
    const seen = [];
    const keep = async (name, promise) => { prints[name] = await T.print(await promise); };
    await keep('plain', load(url));
    await keep('query', load(`${url}?token=a/b&x=1`));
    await keep('http is browserHTTPRequest', http(url).load());
    await keep('prefix', load(url, { weightPathPrefix: `${base}/busy/options/` }));
    await keep('converter', load(url, { async weightUrlConverter(path, { index }) { seen.push([path, index]); return `${base}/plain/options/${path}?i=${index}`; } }));
    await keep('table', load(url, { weightUrlConverter: { 'group1-shard2of4.bin': `${base}/plain/options/group1-shard2of4.bin?table` } }));
    await keep('fetchFunc', load(url, {
      requestInit: { headers: { 'x-key': 'k' } },
      fetchFunc(...args) { seen.push([this === undefined || this === globalThis, args[0].split('/').at(-1), args[1].headers, args[2]]); return fetch(...args); },
    }));
    const whole = async (url) => ({ ok: true, status: 200, arrayBuffer: async () => (await fetch(url)).arrayBuffer() });
    await keep('a response without a body', load(url, { fetchFunc: whole }));
    // It ends as such streams mostly do, which is no end for who reads them into a buffer of his.
    const stream = async (url) => {
      const left = [new Uint8Array(await (await fetch(url)).arrayBuffer())];
      const pull = (controller) => { if (left.length) controller.enqueue(left.pop()); else controller.close(); };
      return new Response(new ReadableStream({ type: 'bytes', pull }));
    };
    await keep('a stream of bytes', load(url, { fetchFunc: stream }));
    const relative = new URL(url).href.replace(base, '');
    await keep('relative', load(relative, { fetchFunc: (path, init) => { seen.push(path); return fetch(base + path, init); } }));
    return { prints, seen, equal: http === browserHTTPRequest, origin };
  }, { base, origin: page.origin });
  const expected = await print({ ...artifacts });
  for (const [name, found_] of Object.entries(found.prints)) assert.equal(found_, expected, name);
  assert.ok(found.equal);
  assert.deepEqual(found.seen.filter(([path, index]) => typeof index === 'number' && path.includes('shard')).length, 4);
  const calls = found.seen.filter(([first]) => first === true);
  assert.equal(calls.length, 5);
  assert.deepEqual(calls.map(([, name, headers, details]) => [name, headers, details]).sort((a, b) => (a[0] < b[0] ? -1 : 1)), [
    ...[1, 2, 3, 4].map((i) => [`group1-shard${i}of4.bin`, { 'x-key': 'k' }, { isBinary: true }]),
    ['model.json', { 'x-key': 'k' }, undefined],
  ]);
  const withQuery = asked('options').filter((row) => row.search === '?token=a/b&x=1').map((row) => row.name.split('/')[1]);
  assert.equal(withQuery.length, 5);
});

test('progress: never falls, per file and in all, ends at exactly 1, and counts what was transferred', async () => {
  for (const name of ['layers', 'graph']) {
    const rows = await page.evaluate(async (url) => {
      const { load } = await T.library('tfpersist');
      const rows = [];
      await load(url, { onProgress: (fraction, detail) => rows.push([fraction, structuredClone(detail)]) });
      return rows;
    }, `${server.url}/plain/${name}/model.json`);
    const [last] = rows.slice(-1);
    assert.equal(last[0], 1);
    assert.equal(last[1].phase, 'done');
    assert.equal(last[1].loaded, sizeOf(name));
    assert.equal(last[1].total, sizeOf(name));
    const ends = {};
    for (const [i, [fraction, { loaded, file }]] of rows.entries()) {
      if (i > 0) assert.ok(fraction >= rows[i - 1][0] && loaded >= rows[i - 1][1].loaded, `row ${i} falls`);
      if (!file) continue;
      assert.ok(fraction < 1);
      assert.ok(file.loaded > (ends[file.name]?.loaded ?? 0));
      ends[file.name] = file;
    }
    for (const [url, { loaded, total }] of Object.entries(ends)) {
      assert.equal(loaded, fs.statSync(`${folder}${name}/${url.split('/').at(-1)}`).size);
      assert.ok(total === loaded || total === undefined, 'of another origin, only the manifest tells the size of a file');
    }
    assert.equal(Object.keys(ends).length, fs.readdirSync(`${folder}${name}`).length - 1);
  }
});

/** Name -> how the files are changed, and what the load then says. */
const WRONG = {
  'a weight file that is not there': {
    change: (files_, at) => files_.delete(`${at}/group1-shard2of4.bin`),
    says: { code: 'ERR_HTTP_STATUS', url: 'group1-shard2of4.bin', status: 404, why: /^there is no/ },
  },
  'a truncated weight file': {
    change: (files_, at) => files_.set(`${at}/group1-shard3of4.bin`, files_.get(`${at}/group1-shard3of4.bin`).subarray(4)),
    says: { code: 'ERR_SIZE_MISMATCH', file: 'group1-shard3of4.bin', expected: 300, received: 296 },
  },
  'an oversized weight file': {
    change: (files_, at) => files_.set(`${at}/group1-shard4of4.bin`, Buffer.alloc(104)),
    says: { code: 'ERR_SIZE_MISMATCH', file: 'group1-shard4of4.bin', expected: 100, received: 104 },
  },
  'a weight file that is larger than the whole model': {
    change: (files_, at) => files_.set(`${at}/group1-shard1of4.bin`, Buffer.alloc(30e6)),
    says: { code: 'ERR_SIZE_MISMATCH', file: 'group1-shard1of4.bin', expected: 1000 },
  },
  'shards in the wrong order': {
    manifest: ([group]) => [{ ...group, paths: group.paths.toReversed() }],
    says: { code: 'ERR_MANIFEST', file: 'weightsManifest[0].paths[0]', received: /shard4of4/, url: undefined },
  },
  'groups in the wrong order': {
    manifest: ([{ paths, weights: [w] }]) => [
      { paths: [paths[3]], weights: [{ ...w, name: 'a', shape: [225] }] },
      { paths: paths.slice(0, 3), weights: [{ ...w, name: 'b', shape: [25] }] },
    ],
    says: { code: 'ERR_SIZE_MISMATCH', file: 'group1-shard' }, // whichever comes first
  },
  'a model JSON that is none': {
    change: (files_, at) => files_.set(`${at}/model.json`, Buffer.from('<!doctype html><title>app</title>')),
    says: { code: 'ERR_MANIFEST', file: 'model.json', received: /doctype/ },
  },
  'a model JSON with an impossible shape': {
    manifest: ([{ paths, weights: [w] }]) => [{ paths, weights: [{ ...w, shape: [-250] }] }],
    says: { code: 'ERR_MANIFEST', file: 'weightsManifest[0].weights[0].shape[0]' },
  },
};

for (const [name, { change = () => {}, manifest, says }] of Object.entries(WRONG)) {
  test(`${name}: the load and a copy are refused, by file and bytes; nothing is stored, no request goes on`, async () => {
    const at = name.replaceAll(' ', '-');
    put(at, 1000, 300, { change: manifest });
    change(files.files, at);
    const error = await failure(`${files.url}/plain/${at}/model.json`);
    for (const [field, wanted] of Object.entries(says)) {
      if (wanted instanceof RegExp) assert.match(String(error[field]), wanted);
      else if (typeof wanted === 'string' && field !== 'code') assert.ok(String(error[field]).includes(wanted), `${field}: ${error[field]}`);
      else assert.deepEqual(error[field], wanted, JSON.stringify(error));
    }
    const stored = await page.evaluate(async (url) => {
      const { copyModel, listModels } = await T.library('tfpersist');
      const { error } = await T.attempt(() => copyModel(url, 'indexeddb://copy'));
      return [error?.code, Object.keys(await listModels())];
    }, `${files.url}/plain/${at}/model.json`);
    assert.deepEqual(stored, [says.code, []]);
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.ok(asked(at).every((row) => row.ended), 'a request is left running');
  });
}

test('a page instead of weights, a forbidden model, a server that is not there', async () => {
  const html = await page.evaluate(async ({ spa, real }) => {
    const { load } = await T.library('tfpersist');
    const weightUrlConverter = async (path) => (path.includes('1of') ? `${spa}/nothing.bin` : `${real}/${path}`);
    return (await T.attempt(() => load(`${real}/model.json`, { weightUrlConverter }))).error;
  }, { spa: `${server.url}/spa`, real: `${server.url}/plain/layers` });
  assert.equal(html.code, 'ERR_MANIFEST');
  assert.match(html.file, /\/spa\/nothing\.bin$/);
  assert.match(html.expected, /^\d+ bytes of weights$/);
  assert.match(html.received, /^an HTML page of \d+ bytes$/);
  const forbidden = await failure(`${server.url}/forbidden/layers/model.json`);
  assert.deepEqual([forbidden.code, forbidden.status], ['ERR_HTTP_STATUS', 403]);
  const none = await failure('http://127.0.0.1:9/model.json', { retries: 0 });
  assert.deepEqual([none.code, none.url], ['ERR_NETWORK', 'http://127.0.0.1:9/model.json']);
  assert.match(none.message, /network.*CORS/);
});
