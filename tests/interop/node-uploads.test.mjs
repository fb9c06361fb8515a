// Models that are sent as files of their own while they are read: what is larger than the memory passes through, and a reader sees all of
// the old model or all of the new one, however the source ends.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import http from 'node:http';
import { after, before, test } from 'node:test';
import { startDropper } from '../counterparts/dropper.mjs';
import { plain, print, streamed } from '../lib/artifacts.mjs';
import { folder, PACKAGE, rejection } from '../lib/node.mjs';

const { browserHTTPRequest, copyModel, load, objectStore, save } = await import(PACKAGE);
const MB = 2 ** 20;
let server;
before(async () => { server = await startDropper(); });
after(() => server.close());
const url = (name) => `${server.url}/plain/${name}/model.json`;
const puts = (name) => server.log.filter((row) => row.method === 'PUT' && row.name.startsWith(`${name}/`)).map((row) => row.name.slice(name.length + 1));
const isJson = (name) => name === 'model.json';

/** In a child: a model of `SIZE` bytes goes to a server; prints the peak of what it holds above the start, in MB, of each way. */
const SIZE = 256 * MB;
const chunk = (i) => new Uint8Array(MB).fill(i % 61);
const CHILD = `
  const { browserHTTPRequest, copyModel, objectStore, save } = await import(${JSON.stringify(PACKAGE)});
  const [url, at] = process.argv.slice(1), SIZE = ${SIZE}, MB = ${MB};
  const chunk = ${chunk};
  const model = {
    modelTopology: { node: [] }, format: 'graph-model', generatedBy: 'tests', convertedBy: null,
    weightSpecs: [{ name: 'w', shape: [SIZE / 4], dtype: 'float32' }],
    getWeightStream() {
      let i = 0;
      return new ReadableStream({ pull: (out) => (i * MB < SIZE ? out.enqueue(chunk(i++).buffer) : out.close()) }, { highWaterMark: 0 });
    },
  };
  const used = () => { const { arrayBuffers, heapUsed } = process.memoryUsage(); return arrayBuffers + heapUsed; };
  const works = {
    save: () => save(model, url + '/save/model.json', { files: true }),
    signed: () => save(model, objectStore({ sign: (name) => url + '/signed/' + name })),
    async copy() {
      await save(model, 'file://' + at + '/m');
      await copyModel('file://' + at + '/m', url + '/copy/model.json', { files: true });
    },
    handler: () => copyModel('file://' + at + '/m', browserHTTPRequest(url + '/handler/model.json', { files: true }), { concurrency: 4 }),
  };
  const peaks = {};
  for (const [name, work] of Object.entries(works)) {
    gc();
    const start = used();
    let peak = 0;
    const timer = setInterval(() => { gc(); peak = Math.max(peak, used() - start); }, 20);
    await work();
    clearInterval(timer);
    peaks[name] = Math.round(peak / MB);
  }
  console.log(JSON.stringify(peaks));`;

/** Keeps no more than the hash of all shards of a folder, in their order; they may come in any. */
function startHasher() {
  const shards = new Map();
  const hasher = http.createServer(async (request, response) => {
    const body = createHash('sha256');
    for await (const piece of request) body.update(piece);
    const [, name, number] = /^\/(\w+)\/group1-shard(\d+)of/.exec(request.url) ?? [];
    if (name) shards.set(name, [...(shards.get(name) ?? []), [Number(number), body.digest('hex')]]);
    response.end();
  });
  return new Promise((resolve) => { hasher.listen(0, '127.0.0.1', () => resolve({ shards, url: `http://127.0.0.1:${hasher.address().port}`, close: () => hasher.close() })); });
}

test(`${SIZE / MB} MB are sent, and copied from a folder, in less than 200 MB of memory`, async (t) => {
  const hasher = await startHasher();
  const child = spawn(process.execPath, ['--expose-gc', '--input-type=module', '-e', CHILD, hasher.url, folder()], { stdio: ['ignore', 'pipe', 'inherit'] });
  const peaks = JSON.parse((await child.stdout.toArray()).join(''));
  hasher.close();
  t.diagnostic(JSON.stringify(peaks));
  const expected = [];
  for (let i = 0; i * MB < SIZE; i += 4) {
    const hash = createHash('sha256');
    for (let j = i; j < i + 4; j++) hash.update(chunk(j));
    expected.push([i / 4 + 1, hash.digest('hex')]);
  }
  for (const name of ['save', 'signed', 'copy', 'handler']) assert.deepEqual(hasher.shards.get(name).sort(([a], [b]) => a - b), expected, name);
  assert.ok(Math.max(...Object.values(peaks)) < 200, JSON.stringify(peaks));
});

test('shards leave while the source is still read; some are sent again', { timeout: 20000 }, async () => {
  const model = plain('m', 1, 8 * MB);
  server.failures.set('early/group1-shard2', 1);
  const early = () => puts('early').filter((name) => !isJson(name)).length;
  const { weightData, ...rest } = model;
  let i = 0;
  const pull = async (out) => {
    // The second half comes when some of the first one has arrived.
    while (i === 4 && early() < 2) await new Promise((resolve) => { setTimeout(resolve, 5); });
    if (i === 8) out.close(); else out.enqueue(weightData.slice(i * MB, (i += 1) * MB));
  };
  const events = [];
  const { modelArtifactsInfo, responses } = await save(
    { ...rest, getWeightStream: () => new ReadableStream({ pull }, { highWaterMark: 0 }) }, url('early'),
    { files: true, shardBytes: MB, concurrency: 2, onProgress: (fraction, { loaded, total }) => events.push([fraction, loaded, total]) },
  );
  assert.equal(modelArtifactsInfo.weightDataBytes, 8 * MB);
  assert.equal(responses.length, 9);
  assert.equal(puts('early').length, 10);
  assert.ok(isJson(puts('early').at(-1)));
  assert.deepEqual(JSON.parse(server.files.get('early/model.json')).weightsManifest[0].paths.map((path) => path.split('.')[0]),
    Array.from({ length: 8 }, (_, index) => `group1-shard${index + 1}of8`));
  assert.equal(await print(await load(url('early'))), await print(model));
  const [end, loaded, total] = events.at(-1);
  assert.deepEqual([end, loaded], [1, total]);
  assert.equal(total, 8 * MB + server.files.get('early/model.json').length);
  assert.ok(events.every(([fraction, before], at) => at === 0 || (fraction >= events[at - 1][0] && before <= total)));
});

test('a source that fails, ends early or does not end: the old model stays, and the new one has no model.json', async () => {
  const old = plain('old', 1, 3 * MB);
  const { weightData, ...rest } = plain('new', 2, 8 * MB);
  const ends = {
    fails: (out) => out.error(new Error('the line went dead')),
    'ends early': (out) => out.close(),
    'does not end': (out) => { for (let i = 6; i < 9; i++) out.enqueue(weightData.slice(0, MB)); out.close(); },
  };
  const found = [];
  for (const [name, end] of Object.entries(ends)) {
    for (const signed of [false, true]) {
      const to = `${name.replaceAll(' ', '-')}-${signed ? 'signed' : 'put'}`;
      await save(old, url(to), { files: true });
      const had = new Map(server.files);
      let i = 0;
      const pull = (out) => (i < 6 ? out.enqueue(weightData.slice(i * MB, (i += 1) * MB)) : end(out));
      const target = signed ? objectStore({ sign: (file) => url(to).replace('model.json', file), shardBytes: MB, concurrency: 2 }) : url(to);
      const stream = { ...rest, getWeightStream: () => new ReadableStream({ pull }, { highWaterMark: 0 }) };
      const error = await rejection(save(stream, target, signed ? undefined : { files: true, shardBytes: MB, concurrency: 2 }));
      for (const [file, bytes] of had) assert.deepEqual(server.files.get(file), bytes, file);
      found.push([name, error.code ?? error.message, await print(await load(url(to))) === await print(old), puts(to).filter(isJson).length]);
    }
  }
  const twice = (row) => [row, row];
  assert.deepEqual(found, [
    ...twice(['fails', 'the line went dead', true, 1]), ...twice(['ends early', 'ERR_SIZE_MISMATCH', true, 1]), ...twice(['does not end', 'ERR_SIZE_MISMATCH', true, 1]),
  ]);
});

test('an abort while shards leave: the very reason, the source is cancelled, no model.json', { timeout: 20000 }, async () => {
  const { weightData, ...rest } = plain('m', 1, 8 * MB);
  const [stop, reason] = [new AbortController(), new Error('enough')];
  let i = 0;
  let cancelled;
  const pull = async (out) => {
    if (i === 4) {
      while (puts('aborted').length < 2) await new Promise((resolve) => { setTimeout(resolve, 5); });
      stop.abort(reason);
    }
    out.enqueue(weightData.slice(i * MB, (i += 1) * MB));
  };
  const getWeightStream = () => new ReadableStream({ pull, cancel: () => { cancelled = true; } }, { highWaterMark: 0 });
  const error = await rejection(save({ ...rest, getWeightStream }, url('aborted'), { files: true, shardBytes: MB, concurrency: 2, signal: stop.signal }));
  assert.equal(error, reason);
  assert.equal(cancelled, true);
  assert.deepEqual(puts('aborted').filter(isJson), []);
});

test('whatever the shards: empty, one for all, larger than what is gathered; strings, which tell their length only at the end', async () => {
  const strings = { ...plain('s', 1, 4), weightSpecs: [{ name: 's', shape: [2], dtype: 'string' }], weightData: new Uint8Array([1, 0, 0, 0, 97, 2, 0, 0, 0, 98, 99]).buffer };
  const cases = [
    [{ ...plain('empty', 1, 4), weightSpecs: [{ name: 'w', shape: [0], dtype: 'float32' }], weightData: new ArrayBuffer(0) }, {}],
    [plain('one', 1, 20 * MB), { shardBytes: 2 ** 40 }], [plain('large', 1, 20 * MB), { shardBytes: 9 * MB + 1 }], [plain('small', 1, 4000), { shardBytes: 7 }], [strings, { shardBytes: 3 }],
  ];
  for (const [model, options] of cases) {
    await save(streamed(model), url('cut'), { files: true, ...options });
    assert.equal(await print(await load(url('cut'))), await print(model));
    const at = `file://${folder()}/m`;
    await save(model, at);
    await copyModel(at, url('cut-copy'), { files: true, ...options });
    assert.equal(await print(await load(url('cut-copy'))), await print(model));
  }
});

test('progress of a copy from what has its bytes at hand: `loaded` ends at `total`, and the fraction does not leap', async () => {
  const { weightData, ...rest } = plain('m', 1, 6 * MB);
  const source = { load: async () => ({ ...rest, weightData: new Blob([weightData]) }) };
  for (const [to, options] of [[url('leap'), { files: true, shardBytes: MB }], [`${server.url}/upload/leap`, {}]]) {
    const news = [];
    await copyModel(source, to, { ...options, fetchFunc: async () => new Response('thanks'), onProgress: (fraction, { loaded, total }) => news.push([fraction, loaded, total]) });
    const [before, last] = [news.at(-2) ?? [1], news.at(-1)];
    assert.equal(last[1], last[2]);
    assert.ok(before[0] > 0.9 && news.every(([, , total]) => total === last[2]), `${news}`);
  }
});

test('a copy from a server into a handler with headers: it streams, and an abort leaves no model.json', { timeout: 20000 }, async () => {
  await save(plain('m', 1, 40 * MB), url('from'), { files: true });
  const [stop, reason] = [new AbortController(), new Error('enough')];
  const warnings = [];
  process.on('warning', ({ message }) => warnings.push(message));
  const news = [];
  const to = (name) => browserHTTPRequest(url(name), { files: true, headers: { 'x-own': name } });
  await copyModel(url('from'), to('with-headers'), { onProgress: (_, { phase }) => news.push(phase) });
  assert.ok(news.lastIndexOf('read') > news.indexOf('write'), `${news}`);
  assert.equal(await print(await load(url('with-headers'))), await print(plain('m', 1, 40 * MB)));
  const own = (name) => new Set(server.log.filter((row) => row.name.startsWith(`${name}/`)).map((row) => `${row.method} ${row.own}`));
  assert.deepEqual([...own('with-headers')], ['PUT with-headers', 'GET undefined']);
  const copying = rejection(copyModel(url('from'), to('stopped'), { signal: stop.signal }));
  while (puts('stopped').length < 1) await new Promise((resolve) => { setTimeout(resolve, 5); });
  stop.abort(reason);
  assert.equal(await copying, reason);
  await new Promise((resolve) => { setTimeout(resolve, 1000); });
  assert.deepEqual(puts('stopped').filter(isJson), []);
  assert.deepEqual(warnings, [], 'of Node, which counts listeners');
});

test('answers that never end: their status is enough', { timeout: 20000 }, async () => {
  const open = [];
  const unending = http.createServer((request, response) => {
    request.resume().on('end', () => { response.writeHead(200, { 'x-own': 'kept' }).write('kept'); open.push(response); });
  });
  await new Promise((resolve) => { unending.listen(0, '127.0.0.1', resolve); });
  const { responses } = await save(plain('m', 1, 2 * MB), `http://127.0.0.1:${unending.address().port}/model.json`, { files: true, shardBytes: MB });
  assert.deepEqual(responses.map((response) => [response.status, response.headers.get('x-own')]), Array(3).fill([200, 'kept']));
  for (const response of open) response.end();
  unending.close();
});
