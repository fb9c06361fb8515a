// Weights as streams and Blobs, in and out: what save takes, what `{ stream: true }` gives to TF.js, back-pressure, ends, and servers that
// break off or change a file in the middle.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { print } from '../lib/artifacts.mjs';
import { dropper, nginx } from '../lib/counterparts.mjs';
import { ENGINES, openIn } from '../lib/engines.mjs';
import { publishPlain } from '../lib/published.mjs';
import { open } from '../lib/suite.mjs';

const MB = 2 ** 20;
const folder = fileURLToPath(new URL('../fixtures/converter/', import.meta.url));

let page, server, files;
before(async () => {
  [page, server, files] = await Promise.all([open(), nginx(folder), dropper()]);
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

for (const to of ['memory://m', 'indexeddb://m', 'indexeddb://m sharded', 'opfs://m', 'http']) {
  test(`save to ${to} takes streams, Blobs and lists of Blobs, of every dtype, and in pieces of any size`, async () => {
    const found = await page.evaluate(async ({ to, base }) => {
      const { save, load } = await T.library('tfpersist');
      const target = to === 'http' ? `${base}/plain/saved/model.json` : to.split(' ')[0];
      const options = { ...(to === 'http' && { files: true, shardBytes: 70 }), ...(to.includes('sharded') && { layout: 'sharded' }) };
      const rows = [];
      for (const name of ['every dtype', 'quantised weights', 'weights in pieces', 'every field']) {
        const whole = await T.CASES[name].make();
        const { weightData, ...rest } = whole;
        const bytes = T.join(weightData);
        const ways = {
          stream: T.streamed(whole),
          views: T.streamed(whole, (piece) => piece),
          'weightData is a stream': { ...rest, weightData: T.streamed(whole).getWeightStream() },
          'a Blob': { ...rest, weightData: new Blob([bytes]) },
          Blobs: { ...rest, weightData: [new Blob([bytes.slice(0, 7)]), new Blob([]), new Blob([bytes.slice(7)])] },
        };
        for (const [way, artifacts] of Object.entries(ways)) {
          const { modelArtifactsInfo } = await save(artifacts, target, options);
          const same = await T.print(await load(target)) === await T.print(whole);
          rows.push([name, way, same, modelArtifactsInfo.weightDataBytes === bytes.byteLength]);
        }
      }
      return rows;
    }, { to, base: files.url });
    assert.equal(found.length, 20);
    assert.deepEqual(found.filter(([, , same, counted]) => !same || !counted), []);
  });
}

test('a stream that fails or ends early: the error is its own or typed, and the old model stays', async () => {
  const found = await page.evaluate(async (base) => {
    const { save, load } = await T.library('tfpersist');
    const old = T.plain('old', 1, 4000);
    const { weightData, ...rest } = T.plain('new', 2, 4000);
    const ends = { fails: (c) => c.error(new Error('the line went dead')), 'ends early': (c) => c.close() };
    const rows = [];
    for (const [url, options] of [['memory://m'], ['indexeddb://m'], ['indexeddb://m', { layout: 'sharded' }], ['opfs://m'], [`${base}/plain/old/model.json`, { files: true }]]) {
      await save(old, url, options);
      for (const [name, end] of Object.entries(ends)) {
        const start = (controller) => { controller.enqueue(weightData.slice(0, 1000)); end(controller); };
        const { error } = await T.attempt(() => save({ ...rest, getWeightStream: () => new ReadableStream({ start }) }, url, options));
        rows.push([name, error.code ?? error.message, await T.print(await load(url)) === await T.print(old)]);
      }
    }
    return rows;
  }, files.url);
  assert.deepEqual(found, Array(5).fill([['fails', 'the line went dead', true], ['ends early', 'ERR_SIZE_MISMATCH', true]]).flat());
});

test('`{ stream: true }` from a server, files, both layouts of indexeddb and memory: TF.js predicts the same from the stream', async () => {
  const found = await page.evaluate(async (base) => {
    const { load, loadModel, save, handler } = await T.library('tfpersist');
    const url = `${base}/plain/graph/model.json`;
    const plain = await loadModel(tf, url);
    const [{ shape }] = plain.inputs;
    const input = tf.randomNormal(shape.map((n) => (n > 0 ? n : 2)), 0, 1, 'float32', 5);
    const predict = async (model) => Array.from(await model.predict(input).data());
    const expected = await predict(plain);
    const artifacts = await load(url);
    await save(artifacts, 'indexeddb://graph', { layout: 'tfjs' });
    await save(artifacts, 'indexeddb://cut', { layout: 'sharded' });
    await save(artifacts, 'memory://graph');
    const { weightsManifest } = await (await fetch(url)).json();
    const names = ['model.json', ...weightsManifest.flatMap((group) => group.paths)];
    const picked = await Promise.all(names.map(async (name) => new File([await (await fetch(`${base}/plain/graph/${name}`)).blob()], name)));
    const rows = {};
    for (const [name, source] of Object.entries({ http: url, files: picked, indexeddb: 'indexeddb://graph', cut: 'indexeddb://cut', memory: 'memory://graph' })) {
      const { weightData, getWeightStream } = await load(source, { stream: true });
      const first = (await getWeightStream().getReader().read()).value; // numbers are made of it as it is
      rows[name] = [weightData, first instanceof ArrayBuffer,
        await T.print(await T.drained(await load(source, { stream: true }))) === await T.print(artifacts),
        await predict(await loadModel(tf, source, { stream: true })),
        await predict(await tf.loadGraphModel(handler(source, { stream: true }), { streamWeights: true }))];
    }
    return { rows, expected };
  }, server.url);
  assert.ok(found.expected.length > 0);
  for (const [name, row] of Object.entries(found.rows)) {
    assert.deepEqual(row, [undefined, true, true, found.expected, found.expected], name);
  }
});

test('a layers model, of which TF.js takes no streams, gets its weights all the same', async () => {
  const found = await page.evaluate(async (base) => {
    const { loadModel } = await T.library('tfpersist');
    const models = [await loadModel(tf, `${base}/plain/layers/model.json`), await loadModel(tf, `${base}/plain/layers/model.json`, { stream: true })];
    return Promise.all(models.map(async (model) => T.print(await T.artifactsOf?.(model) ?? await new Promise((resolve) => {
      model.save(tf.io.withSaveHandler(async (artifacts) => { resolve(artifacts); return {}; }));
    }))));
  }, server.url);
  assert.equal(found[0], found[1]);
});

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

test('handlers that are asked for streams give a layers model its weights all the same: TF.js would make up random ones', async () => {
  const found = await page.evaluate(async (base) => {
    const { browserFiles, browserHTTPRequest, copyModel, fromMemory, handler, load, save } = await T.library('tfpersist');
    const model = tf.sequential({ layers: [tf.layers.dense({ units: 2, inputShape: [3] })] });
    const predict = (one) => [...one.predict(tf.tensor2d([[1, 2, 3]])).dataSync()];
    await save(model, 'indexeddb://layers', { layout: 'sharded' });
    await copyModel('indexeddb://layers', `${base}/plain/layers/model.json`, { files: true });
    const url = `${base}/plain/layers/model.json`;
    const { weightsManifest: [{ paths }] } = await (await fetch(url)).json();
    const files = await Promise.all(['model.json', ...paths].map(async (name) => new File([await (await fetch(`${base}/plain/layers/${name}`)).blob()], name)));
    const options = { stream: true };
    const rows = {};
    for (const [name, from] of Object.entries({
      'handler of a store': handler('indexeddb://layers', options),
      'handler of a server': browserHTTPRequest(url, options),
      files: browserFiles(files, options),
      memory: fromMemory(await load(url, options)),
    })) rows[name] = predict(await tf.loadLayersModel(from));
    return { rows, expected: predict(model) };
  }, files.url);
  assert.deepEqual(Object.keys(found.rows).length, 4);
  for (const [name, values] of Object.entries(found.rows)) assert.deepEqual(values, found.expected, name);
});

test('progress of copies: as far as it says, never beyond what it says is all, and both ways of a model that is first read and then sent', async () => {
  put('far', 24 * MB, 4 * MB);
  const found = await page.evaluate(async (base) => {
    const { copyModel, handler, load, save } = await T.library('tfpersist');
    const url = `${base}/plain/far/model.json`;
    await save(await load(url), 'indexeddb://far-store', { layout: 'sharded' });
    const rows = {};
    for (const [name, from, to, options] of [
      ['server to opfs', url, 'opfs://far', {}],
      ['server to shards', url, 'indexeddb://far', { layout: 'sharded' }],
      ['server to record', url, 'indexeddb://far-record', { layout: 'tfjs' }],
      ['server to server', url, `${base}/plain/far-copy/model.json`, { files: true }],
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
