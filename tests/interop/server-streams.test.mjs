// Streams and copies of what servers have: back-pressure, ends, whose turn it is, files that break off or change in the middle, progress.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { print } from '../lib/artifacts.mjs';
import { dropper } from '../lib/counterparts.mjs';
import { ENGINES, openIn } from '../lib/engines.mjs';
import { publishPlain } from '../lib/published.mjs';
import { open } from '../lib/suite.mjs';

const MB = 2 ** 20;

let page, files;
before(async () => {
  [page, files] = await Promise.all([open(), dropper()]);
  await page.evaluate(async () => (await T.library('tfpersist')).default({ transfers: true }));
});

/** Puts a model on the server under `folder/`. */
function put(name, bytes, shard = bytes, options) {
  const { artifacts, files: published } = publishPlain(bytes, shard, { folder: `${name}/`, ...options });
  for (const [path, content] of published) files.files.set(path, content);
  return artifacts;
}
const weightsOf = (name) => files.log.filter((row) => row.name.startsWith(`${name}/group1`));

/** Waits until it is so. */
async function until(what, is) {
  for (let i = 0; i < 100; i++) {
    if (is()) return;
    await sleep(50);
  }
  assert.fail(`it is never so that ${what}`);
}

/** Loads with `{ stream: true }`, a JSON that comes at once and weights in that mood; gives what the stream gave, and what it failed with. */
const streamed = (name, mood, options) => page.evaluate(async ({ base, name, mood, options }) => {
  const { load } = await T.library('tfpersist');
  const { getWeightStream, weightData, ...rest } = await load(`${base}/plain/${name}/model.json`, {
    ...options, stream: true, weightPathPrefix: `${base}/${mood}/${name}/`,
  });
  const pieces = [];
  const { error } = await T.attempt(async () => {
    const reader = getWeightStream().getReader();
    for (let read = await reader.read(); !read.done; read = await reader.read()) pieces.push(read.value);
  });
  const whole = T.join(pieces);
  return { error, bytes: whole.byteLength, hash: await T.sha256(whole), value: await T.print({ ...rest, weightData: whole }), had: weightData };
}, { base: files.url, name, mood, options });

test('several files are one ArrayBuffer each, with `joined` one in all; a stream can be opened again; wrong options are refused', async () => {
  const artifacts = put('pieces', 1000, 300);
  const found = await page.evaluate(async (base) => {
    const { load, save } = await T.library('tfpersist');
    const url = `${base}/plain/pieces/model.json`;
    const lengths = (data) => (Array.isArray(data) ? data.map((b) => [b instanceof ArrayBuffer, b.byteLength]) : [data instanceof ArrayBuffer, data.byteLength]);
    const { getWeightStream, ...rest } = await load(url, { stream: true });
    const twice = [await T.drained({ ...rest, getWeightStream }), await T.drained({ ...rest, getWeightStream })];
    const code = async (work) => (await T.attempt(work)).error?.argument;
    return {
      plain: lengths((await load(url)).weightData), joined: lengths((await load(url, { joined: true })).weightData),
      prints: await Promise.all([...twice, await load(url), await load(url, { joined: true })].map(T.print)),
      refused: [
        await code(() => load(url, { stream: 'yes' })), await code(() => load(url, { joined: 1 })),
        await code(() => save(twice[0], 'memory://m', { stream: true })), await code(() => save(twice[0], 'memory://m', { joined: true })),
      ],
    };
  }, files.url);
  assert.deepEqual(found.plain, [[true, 300], [true, 300], [true, 300], [true, 100]]);
  assert.deepEqual(found.joined, [true, 1000]);
  assert.deepEqual(found.prints, Array(4).fill(await print(artifacts)));
  assert.deepEqual(found.refused, ['options.stream', 'options.joined', 'options.stream', 'options.joined']);
});

test('who reads slowly is not read ahead for: no more of the body is taken than was asked for, and a cancelled stream ends the request', async () => {
  put('large', 128 * MB);
  const found = await page.evaluate(async (base) => {
    const { load } = await T.library('tfpersist');
    let taken = 0; // out of the body: what the sockets and the browser hold is not ours
    const counting = () => new TransformStream({ transform(piece, out) { taken += piece.byteLength; out.enqueue(piece); } }, { highWaterMark: 1 }, { highWaterMark: 0 });
    const fetchFunc = async (url, init) => {
      const response = await fetch(url, init);
      return url.endsWith('.bin') ? new Response(response.body.pipeThrough(counting(), { signal: init.signal }), response) : response;
    };
    const { getWeightStream } = await load(`${base}/plain/large/model.json`, { stream: true, fetchFunc, weightPathPrefix: `${base}/flow/large/` });
    globalThis.reader = getWeightStream().getReader();
    let read = 0;
    while (read < 2 ** 20) read += (await globalThis.reader.read()).value.byteLength;
    await new Promise((resolve) => { setTimeout(resolve, 500); });
    return { read, taken };
  }, files.url);
  assert.ok(found.read >= MB);
  assert.ok(found.taken < found.read + 4 * MB, `${found.taken} bytes were taken for ${found.read}`);
  const [row] = weightsOf('large');
  assert.equal(row.ended, false);
  await page.evaluate(() => globalThis.reader.cancel());
  await until('the request has ended', () => row.ended);
  assert.equal(row.whole, false);
  files.files.delete('large/group1-shard1of1.bin');
});

test('of many files, four are read at once; a stream that is cancelled while it waits ends them all', async () => {
  put('many', 8 * MB, MB);
  const done = await page.evaluate(async (base) => {
    const { load } = await T.library('tfpersist');
    const { getWeightStream } = await load(`${base}/plain/many/model.json`, { stream: true, weightPathPrefix: `${base}/stall/many/` });
    const reader = getWeightStream().getReader();
    let bytes = 0;
    while (bytes < 2 ** 19) bytes += (await reader.read()).value.byteLength;
    const waiting = reader.read();
    await new Promise((resolve) => { setTimeout(resolve, 300); });
    await reader.cancel();
    return (await waiting).done;
  }, files.url);
  assert.equal(done, true);
  await until('all requests have ended', () => weightsOf('many').every((row) => row.ended));
  assert.deepEqual(weightsOf('many').map((row) => row.name.at(-8)).sort(), ['1', '2', '3', '4']);
});

test('what waits for its turn: an abort ends it though all of it has come; a buffer of the caller that is transferred away is an error', async () => {
  put('small', 3000, 1000);
  put('lent', 3 * MB, 3 * MB);
  const found = await page.evaluate(async (base) => {
    const { load } = await T.library('tfpersist');
    const afterOne = async (url, options, act) => {
      const reader = (await load(url, { ...options, stream: true })).getWeightStream().getReader();
      await reader.read();
      await new Promise((resolve) => { setTimeout(resolve, 300); });
      act();
      const { error } = await T.attempt(async () => { while (!(await reader.read()).done); });
      return error?.code ?? error?.message ?? String(error);
    };
    const controller = new AbortController();
    let bytes;
    const fetchFunc = async (url) => {
      bytes = await (await fetch(url)).arrayBuffer();
      return { ok: true, status: 200, arrayBuffer: async () => bytes };
    };
    return [
      await afterOne(`${base}/plain/small/model.json`, { signal: controller.signal }, () => controller.abort(new Error('enough'))),
      await afterOne(`${base}/plain/lent/model.json`, { fetchFunc }, () => structuredClone(bytes, { transfer: [bytes] })),
      (await T.attempt(() => load(`${base}/plain/small/model.json`, { stream: true, concurrency: 0 }))).error?.code,
    ];
  }, files.url);
  assert.deepEqual(found, ['enough', 'ERR_INVALID_ARGUMENT', 'ERR_INVALID_ARGUMENT']);
});

test('the file whose turn it is has the connections to itself when nothing comes of it', async () => {
  const artifacts = put('alone', 9 * MB, 3 * MB);
  const value = await page.evaluate(async (base) => {
    const { load } = await T.library('tfpersist');
    const weightUrlConverter = (path, { index }) => `${base}/${index === 0 ? 'alone' : 'stall-once'}/alone/${path}`;
    const { getWeightStream, ...rest } = await load(`${base}/plain/alone/model.json`, { stream: true, weightUrlConverter });
    return T.attempt(async () => {
      const pieces = [];
      for await (const piece of getWeightStream()) pieces.push(piece);
      return T.print({ ...rest, weightData: T.join(pieces) });
    }, 20_000);
  }, files.url);
  assert.equal(value.value, await print(artifacts), value.error?.message);
});

for (const mood of ['drop', 'once', 'dated', 'elsewhere', 'out-once']) {
  test(`${mood}: a server that breaks off is gone on with inside the stream`, async () => {
    const artifacts = put(mood, 5 * MB);
    const { value, error } = await streamed(mood, mood, { retries: 2 });
    assert.equal(error, undefined);
    assert.equal(value, await print(artifacts));
    assert.ok(weightsOf(mood).length >= 2);
  });
}

for (const mood of ['changed', 'changed-late', 'unversioned', 'weak', 'longer']) {
  test(`${mood}: a file that becomes another one is an error, and what was read of the first stays alone`, async () => {
    const artifacts = put(`${mood}-2`, 5 * MB);
    const { error, bytes, hash } = await streamed(`${mood}-2`, mood);
    assert.equal(error?.code, 'ERR_CHECKSUM', JSON.stringify(error));
    assert.match(error.file, /group1-shard1of1\.bin$/);
    assert.ok(bytes > 0 && bytes < 5 * MB);
    const { createHash } = await import('node:crypto');
    assert.equal(hash, createHash('sha256').update(new Uint8Array(artifacts.weightData, 0, bytes)).digest('hex'));
  });
}

for (const layout of ['tfjs', 'sharded']) {
  test(`a copy into the layout ${layout} of a file that changes midway, or is too short: typed, and the old model stays whole`, async () => {
    const name = `copied-${layout}`;
    const artifacts = put(name, 3 * MB);
    put(`${name}-short`, 3 * MB, MB);
    files.files.set(`${name}-short/group1-shard2of3.bin`, Buffer.alloc(MB - 4));
    const found = await page.evaluate(async ({ base, name, layout }) => {
      const { copyModel, load, save } = await T.library('tfpersist');
      const [url, options] = [`indexeddb://${name}`, { layout, stream: true }];
      const old = T.plain('old', 1, 4000);
      await save(old, url, { layout });
      const copy = (name, mood) => T.attempt(() => copyModel(`${base}/plain/${name}/model.json`, url, { ...options, weightPathPrefix: `${base}/${mood}/${name}/` }));
      const failures = [await copy(name, 'changed'), await copy(`${name}-short`, 'plain')];
      const same = await T.print(await load(url)) === await T.print(old);
      const copied = await copy(name, 'drop');
      return { failures: failures.map(({ error }) => [error.code, error.file.split('/').at(-1)]), same, error: copied.error, print: await T.print(await load(url)) };
    }, { base: files.url, name, layout });
    assert.deepEqual(found.failures, [['ERR_CHECKSUM', 'group1-shard1of1.bin'], ['ERR_SIZE_MISMATCH', 'group1-shard2of3.bin']]);
    assert.equal(found.same, true);
    assert.equal(found.error, undefined);
    assert.equal(found.print, await print(artifacts));
  });
}

test('files, a server and a store go to a server as streams and Blobs, in one request or as files, and arrive whole', async () => {
  const artifacts = put('source', 40 * MB, 9 * MB); // more than is fetched at once
  const found = await page.evaluate(async (base) => {
    const { copyModel, load, save } = await T.library('tfpersist');
    const url = `${base}/plain/source/model.json`;
    await copyModel(url, 'indexeddb://source', { layout: 'sharded' });
    await copyModel(url, 'opfs://source');
    const { weightsManifest } = await (await fetch(url)).json();
    const names = ['model.json', ...weightsManifest.flatMap((group) => group.paths)];
    const picked = await Promise.all(names.map(async (name) => new File([await (await fetch(`${base}/plain/source/${name}`)).blob()], name)));
    const rows = {};
    for (const [name, source] of Object.entries({ http: url, files: picked, store: 'indexeddb://source', opfs: 'opfs://source' })) {
      await copyModel(source, `${base}/plain/to-${name}/model.json`, { files: true, shardBytes: 7_000_001 });
      rows[name] = await T.print(await load(`${base}/plain/to-${name}/model.json`));
    }
    rows.zip = await new Promise((resolve, reject) => {
      const make = URL.createObjectURL;
      URL.createObjectURL = (blob) => { URL.createObjectURL = make; load(blob).then(T.print).then(resolve, reject); return make.call(URL, blob); };
      copyModel(picked, 'downloads://m', { zip: true }).catch(reject);
    });
    return rows;
  }, files.url);
  const expected = await print(artifacts);
  assert.deepEqual(found, { http: expected, files: expected, store: expected, opfs: expected, zip: expected });
  for (const name of files.files.keys()) if (/^(source|to-)/.test(name)) files.files.delete(name);
});

test('a cache in opfs: a second load takes the weights from there, whole or as a stream', async () => {
  const artifacts = put('cached', 3 * MB, MB);
  const found = await page.evaluate(async (base) => {
    const { load } = await T.library('tfpersist');
    const [url, options] = [`${base}/plain/cached/model.json`, { cache: 'opfs://cached' }];
    return Promise.all([await load(url, options), await load(url, options), await T.drained(await load(url, { ...options, stream: true }))].map(T.print));
  }, files.url);
  assert.deepEqual(found, Array(3).fill(await print(artifacts)));
  assert.equal(weightsOf('cached').filter((row) => row.method === 'GET').length, 3);
});

test('progress of copies: as far as it says, never beyond what it says is all, and both ways of a model that is first read and then sent', async () => {
  put('far', 24 * MB, 4 * MB);
  const found = await page.evaluate(async (base) => {
    const { copyModel, handler, load, save } = await T.library('tfpersist');
    const url = `${base}/plain/far/model.json`;
    await save(await load(url), 'indexeddb://far-store', { layout: 'sharded' });
    const weightData = new Float32Array(6 * 2 ** 20).map((_, i) => i % 99).buffer;
    await save({ ...T.plain('numbers', 1, weightData.byteLength), weightData }, `${base}/plain/far-numbers/model.json`, { files: true });
    const rows = {};
    for (const [name, from, to, options] of [
      ['server to opfs', url, 'opfs://far', {}],
      ['server to shards', url, 'indexeddb://far', { layout: 'sharded' }],
      ['server to record', url, 'indexeddb://far-record', { layout: 'tfjs' }],
      ['server to server', url, `${base}/plain/far-copy/model.json`, { files: true }],
      ['quantised on the way', `${base}/plain/far-numbers/model.json`, `${base}/plain/far-copy/model.json`, { files: true, quantize: 'uint8' }],
      ['store to opfs', 'indexeddb://far-store', 'opfs://far', {}],
      ['store to server', 'indexeddb://far-store', `${base}/plain/far-copy/model.json`, { files: true }],
      ['handler to server', handler('indexeddb://far-store'), `${base}/plain/far-copy/model.json`, { files: true }],
    ]) {
      const events = [];
      await copyModel(from, to, { ...options, onProgress: (fraction, { loaded, total, phase }) => events.push([fraction, loaded, total, phase]) });
      const late = events.filter(([, loaded, total]) => loaded > total);
      const off = events.slice(0, -1).filter(([fraction, loaded, total]) => Math.abs(fraction - loaded / total) > 0.01);
      const falls = events.filter(([fraction], i) => i > 0 && fraction < events[i - 1][0]);
      rows[name] = { late, off, falls, end: events.at(-1)[0], many: events.length > 2 };
    }
    return rows;
  }, files.url);
  for (const [name, row] of Object.entries(found)) assert.deepEqual(row, { late: [], off: [], falls: [], end: 1, many: true }, name);
});

for (const [shard, options] of [[MB, {}], [MB + 4, {}], [MB - 4, { concurrency: 1 }], [4000, { concurrency: 3 }]]) {
  test(`a stream of files of ${shard} bytes, ${JSON.stringify(options)}`, async () => {
    const artifacts = put('edges', 5 * shard - 8, shard);
    const { value, error } = await streamed('edges', 'plain', options);
    assert.equal(error, undefined);
    assert.equal(value, await print(artifacts));
  });
}

/** Copies from connections that drop, with and without `stream: true`; then from a server that lacks a file. */
const copies = async ({ base, to, options }) => {
  const { copyModel, load, removeModel, listModels } = await T.sharded();
  const url = `${base}/plain/broken/model.json`;
  const rows = [];
  for (const more of [{}, { stream: true }]) {
    const phases = new Set();
    await copyModel(url, to, { ...options, ...more, weightPathPrefix: `${base}/drop/broken/`, onProgress: (_, { phase }) => phases.add(phase) });
    rows.push([await T.print(await load(to)), phases.has('read')]);
    await removeModel(to);
  }
  const weightUrlConverter = (path, { index }) => `${base}/plain/broken/${index === 2 ? 'none.bin' : path}`;
  const { error } = await T.attempt(() => copyModel(url, to, { ...options, weightUrlConverter }));
  return { rows, code: error?.code, left: Object.keys(await listModels(to)) };
};

for (const engine of ENGINES) {
  test(`${engine}: a copy of many files over connections that drop is the same bit by bit, and reading is told of`, async () => {
    const expected = await print(put('broken', 12 * MB, 2 * MB));
    const other = await openIn(engine);
    try {
      const stores = [['indexeddb://broken', { layout: 'sharded' }], ['opfs://broken', {}]];
      for (const [to, options] of stores.slice(0, engine === 'webkit' ? 1 : 2)) { // WebKitGTK has no OPFS for pages over http
        const found = await other.evaluate(copies, { base: files.url, to, options });
        assert.deepEqual(found, { rows: [[expected, true], [expected, true]], code: 'ERR_HTTP_STATUS', left: [] }, to);
      }
    } finally {
      await other.close();
    }
  });
}
