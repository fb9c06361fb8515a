// file:// in Node, piece by piece: what is larger than the memory passes through, what is read is one whole model whatever others do to the
// folder meanwhile, and no file stays open.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import fsp from 'node:fs/promises';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { drained, plain, print, streamed } from '../lib/artifacts.mjs';
import { contents, folder, PACKAGE, realFileSystem, rejection } from '../lib/node.mjs';

const { copyModel, load, moveModel, removeModel, save, verify } = await import(PACKAGE);
const MB = 2 ** 20;
const A = plain('a', 1, 40 * MB);
const B = plain('b', 2, 40 * MB);
const prints = { A: await print(A), B: await print(B) };
const name = (found) => Object.keys(prints).find((key) => prints[key] === found) ?? 'a mixture';
const read = async (artifacts) => name(await print(await drained(artifacts)));
/** The files that this process has open below a folder. */
const open = (at) => fs.readdirSync('/proc/self/fd').filter((fd) => {
  try { return fs.readlinkSync(`/proc/self/fd/${fd}`).startsWith(at); } catch { return false; }
});
/** Waits until they are closed: nobody waits for that. */
async function closed(at) {
  for (let i = 0; i < 100 && open(at).length > 0; i++) await sleep(10);
  return open(at).length === 0;
}

/** In a child: a model of `SIZE` bytes that are generated goes all ways; prints the peak of memory above the start, in MB, of each. */
const SIZE = 512 * MB;
const CHILD = `
  import { createHash } from 'node:crypto';
  const { copyModel, load, moveModel, save, verify } = await import(${JSON.stringify(PACKAGE)});
  const at = process.argv[1], SIZE = ${SIZE}, STEP = ${MB};
  const chunk = (i) => new Uint8Array(STEP).fill(i % 61);
  const model = {
    modelTopology: { node: [] }, format: 'graph-model', generatedBy: 'tests', convertedBy: null,
    weightSpecs: [{ name: 'w', shape: [SIZE / 4], dtype: 'float32' }],
    getWeightStream() {
      let i = 0;
      return new ReadableStream({ pull: (out) => (i * STEP < SIZE ? out.enqueue(chunk(i++).buffer) : out.close()) }, { highWaterMark: 0 });
    },
  };
  const hash = createHash('sha256');
  for (let i = 0; i * STEP < SIZE; i++) hash.update(chunk(i));
  const expected = hash.digest('hex');
  const used = () => { const { arrayBuffers, heapUsed } = process.memoryUsage(); return arrayBuffers + heapUsed; };
  const works = {
    save: () => save(model, 'file://' + at + '/m', { shardBytes: SIZE / 4 }),
    async stream() {
      const hash = createHash('sha256');
      for await (const piece of (await load('file://' + at + '/m', { stream: true })).getWeightStream()) hash.update(new Uint8Array(piece));
      if (hash.digest('hex') !== expected) throw new Error('other bytes');
    },
    copy: () => copyModel('file://' + at + '/m', 'file://' + at + '/n'),
    quantize: () => copyModel('file://' + at + '/m', 'file://' + at + '/q', { quantize: 'float16' }),
    move: () => moveModel('file://' + at + '/m', 'file://' + at + '/o'),
    verify: () => verify('file://' + at + '/o'),
  };
  const peaks = {};
  for (const [name, work] of Object.entries(works)) {
    gc();
    const start = used();
    let peak = 0;
    const timer = setInterval(() => { peak = Math.max(peak, used() - start); }, 2);
    await work();
    clearInterval(timer);
    peaks[name] = Math.round(Math.max(peak, used() - start) / STEP);
  }
  console.log(JSON.stringify(peaks));`;

test(`${SIZE / MB} MB are saved, read as a stream, copied, quantised, moved and verified in less than 160 MB of memory`, (t) => {
  const at = folder();
  const peaks = JSON.parse(execFileSync(process.execPath, ['--expose-gc', '--input-type=module', '-e', CHILD, at], { encoding: 'utf8' }));
  t.diagnostic(JSON.stringify(peaks));
  assert.ok(Math.max(...Object.values(peaks)) < 160, JSON.stringify(peaks));
  const files = (model) => contents(`${at}/${model}`);
  assert.equal(fs.statSync(`${at}/n/weights.bin`).size, SIZE);
  assert.equal(fs.statSync(`${at}/q/weights.bin`).size, SIZE / 2);
  assert.equal(files('o')['weights.bin'], files('n')['weights.bin']);
});

test('a stream writes the files that bytes do, in one and in pieces', async () => {
  const at = folder();
  for (const options of [{}, { shardBytes: 3 * MB + 5 }, { shardBytes: 2 ** 40 }]) {
    await save(A, `file://${at}/bytes`, options);
    await save(streamed(A, (bytes) => bytes.slice()), `file://${at}/stream`, options);
    const [bytes, stream] = ['bytes', 'stream'].map((model) => Object.entries(contents(`${at}/${model}`)).filter(([file]) => file !== 'model.json')
      .map(([file, content]) => [file.replace(/\.[0-9a-f]{16}\./, '.'), content]));
    assert.deepEqual(stream, bytes);
    assert.equal(await read(await load(`file://${at}/stream`, { stream: true })), 'A');
    await removeModel(`file://${at}/stream`);
  }
});

test('a stream of too few or too many bytes: a typed error, the folder is as before', async () => {
  const at = folder();
  await save(A, `file://${at}/m`);
  const before = contents(at);
  for (const bytes of [39 * MB, 41 * MB]) {
    const model = { ...A, weightData: undefined, getWeightStream: () => new Blob([new Uint8Array(bytes)]).stream() };
    for (const where of ['m', 'new']) assert.equal((await rejection(save(model, `file://${at}/${where}`))).code, 'ERR_SIZE_MISMATCH');
    const unknown = { ...model, weightSpecs: undefined };
    assert.equal((await rejection(save(unknown, `file://${at}/m`))).code, 'ERR_INVALID_ARGUMENT');
  }
  assert.deepEqual(contents(at), before);
});

/** What may happen to a model while it is read, and what is under its name then. */
const MEANWHILE = {
  'is overwritten': (url) => save(B, url),
  'is overwritten twice': (url) => save(B, url).then(() => save(B, url, { shardBytes: 7 * MB })),
  'is removed': (url) => removeModel(url),
  'is moved away': (url) => moveModel(url, `${url}-moved`),
};
for (const [what, change] of Object.entries(MEANWHILE)) {
  test(`a stream of a model that ${what} gives what it was; so does a copy`, async () => {
    for (const saves of [1, 2]) {
      const at = folder();
      const url = `file://${at}/m`;
      for (let i = 0; i < saves; i++) await save(A, url, i ? { shardBytes: 7 * MB } : {});
      const artifacts = await load(url, { stream: true });
      await change(url);
      assert.equal(await read(artifacts), 'A');
      assert.ok(await closed(at), `${open(at).length} files are open`);
      // Who comes later finds what is there, or hears that it is gone.
      assert.match(await read(artifacts).catch((error) => error.code), /^(A|ERR_STORAGE)$/);

      await removeModel(url).catch(() => {});
      await save(A, url);
      let changed;
      await copyModel(url, `file://${at}/copied`, { onProgress: () => { changed ??= change(url); } });
      await changed;
      assert.equal(name(await print(await load(`file://${at}/copied`))), 'A');
    }
  });
}

test('somebody writes to the files themselves, as tfjs-node does: a stream, and a load, is the one or the other, or ERR_STORAGE', async () => {
  const handler = (at) => new (realFileSystem())(`${at}/m`);
  let seen = new Set();
  for (const stream of [true, false]) {
    for (let delay = 0; delay < 30; delay += 2) {
      const at = folder();
      await handler(at).save(A);
      await sleep(10); // file systems have clocks of some milliseconds
      const loading = load(`file://${at}/m`, { stream }).then((found) => (stream ? read(found) : print(found).then(name)), (error) => error.code)
        .catch((error) => error.code);
      await sleep(delay / 4);
      await handler(at).save(B);
      const outcome = await loading;
      seen.add(outcome);
      assert.match(outcome, /^(A|B|ERR_STORAGE|ERR_CORRUPT)$/);
    }
  }
  assert.ok(seen.has('A') || seen.has('B'), [...seen].join());
});

test('no file stays open: a stream that is cancelled, one that nobody begins to read, an abort, a failure', async () => {
  const at = folder();
  const url = `file://${at}/m`;
  await save(A, url, { shardBytes: 7 * MB });
  const reader = (await load(url, { stream: true })).getWeightStream().getReader();
  await reader.read();
  assert.ok(open(at).length > 0);
  await reader.cancel();
  assert.ok(await closed(at), 'cancelled');
  await verify(url);
  await copyModel(url, 'memory://copied');
  await copyModel(url, `file://${at}/copy`);
  const controller = new AbortController();
  const abort = { signal: controller.signal, onProgress: () => controller.abort('enough') };
  assert.equal(await rejection(copyModel(url, `file://${at}/aborted`, abort)), 'enough');
  const failing = { save: () => Promise.reject(new Error('no')) };
  await rejection(copyModel(url, failing));
  assert.ok(await closed(at), 'finished');
});

test('one file of many cannot be opened: none of the others stays open', async () => {
  const at = folder();
  const url = `file://${at}/m`;
  await save(A, url, { shardBytes: 4 * MB });
  const { open: real } = fsp;
  fsp.open = async (file, ...rest) => {
    if (String(file).includes('shard3of')) throw Object.assign(new Error('EIO'), { code: 'EIO' });
    const handle = await real.call(fsp, file, ...rest);
    if (String(file).includes('shard')) await sleep(20);
    return handle;
  };
  try {
    for (const work of [() => load(url), () => load(url, { stream: true }), () => copyModel(url, `file://${at}/n`)]) {
      assert.equal((await rejection(work())).code, 'ERR_STORAGE');
      assert.ok(await closed(at), `${open(at).length} stay open`);
    }
  } finally {
    fsp.open = real;
  }
});

test('strings whose lengths are wrong: every verb says so', async () => {
  const at = folder();
  const url = `file://${at}/m`;
  const weightData = new Uint8Array([2, 0, 0, 0, 97, 98]).buffer;
  await save({ ...A, weightSpecs: [{ name: 's', shape: [1], dtype: 'string' }], weightData }, url);
  assert.equal((await verify(url)).damage, undefined);
  const handle = await fsp.open(`${at}/m/weights.bin`, 'r+');
  await handle.write(new Uint8Array([3]), 0, 1, 0);
  await handle.close();
  assert.equal((await verify(url)).damage?.code, 'ERR_CORRUPT');
  const works = [() => load(url), () => load(url, { stream: true }), () => copyModel(url, `file://${at}/n`), () => moveModel(url, 'memory://strings')];
  for (const work of works) assert.equal((await rejection(work())).code, 'ERR_CORRUPT');
});

test('more files than can be open: they are read all the same', { skip: process.platform === 'win32' }, async () => {
  const at = folder();
  await save(A, `file://${at}/m`, { shardBytes: 2 ** 17 });
  const code = `const { copyModel, load, moveModel, verify } = await import(${JSON.stringify(PACKAGE)});
    const url = 'file://${at}/m';
    await copyModel(url, 'file://${at}/n');
    await copyModel(url, 'file://${at}/o');
    await moveModel('file://${at}/o', 'memory://o');
    if ((await verify(url)).damaged) throw new Error('damaged');
    let bytes = 0;
    for await (const piece of (await load(url, { stream: true })).getWeightStream()) bytes += piece.byteLength;
    console.log(bytes);`;
  // Node raises the soft limit to the hard one.
  const child = spawnSync('sh', ['-c', 'ulimit -n 160; exec "$@"', 'sh', process.execPath, '--input-type=module', '-e', code], { encoding: 'utf8' });
  assert.equal(child.stdout.trim(), `${40 * MB}`, child.stderr);
  assert.equal(name(await print(await load(`file://${at}/n`))), 'A');
});

test('what the caller does with the topology while the weights are written does not matter', async () => {
  const at = folder();
  for (let i = 0; i < 2; i++) {
    const model = { ...A, modelTopology: structuredClone(A.modelTopology) };
    const saving = save(model, `file://${at}`);
    await sleep(1);
    model.modelTopology.config.name = 'changed meanwhile';
    await saving;
    assert.equal(name(await print(await load(`file://${at}`))), 'A');
  }
});
