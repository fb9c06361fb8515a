// file:// in Node when things go wrong: a failed save leaves the folder as it was, byte for byte, and nothing outside it is
// ever read, written or removed.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import fsp from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { plain, print, streamed } from '../lib/artifacts.mjs';
import { contents, folder, PACKAGE, rejection } from '../lib/node.mjs';

const { load, removeModel, save } = await import(PACKAGE);
const MB = 2 ** 20;
const old = plain('old', 1, 400000);
const manifest = (at) => JSON.parse(fs.readFileSync(`${at}/model.json`, 'utf8')).weightsManifest;

/** A folder with the old model and a file of somebody else's; `check` says that nothing has changed. */
async function prepared() {
  const at = folder();
  fs.writeFileSync(`${at}/labels.txt`, 'cat\ndog');
  await save(old, `file://${at}`);
  const before = contents(at);
  return { at, url: `file://${at}`, check: () => assert.deepEqual(contents(at), before) };
}

test('an overwrite: other files stay, the old weights go, nothing else is left behind', async () => {
  const { at, url } = await prepared();
  fs.mkdirSync(`${at}/assets`);
  fs.writeFileSync(`${at}/assets/weights.bin`, 'not ours');
  fs.writeFileSync(`${at}/weights.0123456789abcdef.bin`, 'not ours either');
  const others = ['assets', 'assets/weights.bin', 'labels.txt', 'weights.0123456789abcdef.bin'];
  const kept = Object.fromEntries(others.map((name) => [name, contents(at)[name]]));
  for (const [i, options] of [{}, { shardBytes: 100000 }, { shardBytes: 100000 }, {}, { durability: 'relaxed' }, {}].entries()) {
    const model = plain(`m${i}`, i >> 1, 400000); // twice the same weights, too
    await save(model, url, options);
    const found = contents(at);
    const ours = ['model.json', ...manifest(at)[0].paths];
    assert.deepEqual(Object.keys(found).sort(), [...others, ...ours].sort(), `save ${i}`);
    for (const name of others) assert.equal(found[name], kept[name]);
    assert.equal(await print(await load(url)), await print(model));
  }
});

test('saves at once leave the weights of the one that stands, and of no other; removed, nothing', async () => {
  const { at, url } = await prepared();
  for (let round = 0; round < 8; round++) {
    const options = [{}, {}, { shardBytes: 100000 }, { durability: 'relaxed' }, {}];
    await Promise.all(options.map((option, i) => save(plain(`m${i}`, i, 400000), url, option)));
    const left = fs.readdirSync(at).filter((name) => name !== 'labels.txt').sort();
    assert.deepEqual(left, ['model.json', ...manifest(at)[0].paths].sort(), `round ${round}`);
  }
  await removeModel(url);
  assert.deepEqual(fs.readdirSync(at), ['labels.txt']);
});

test('overwrite: false, a file in the way, a file as a parent: typed errors, nothing is touched', async () => {
  const { at, url, check } = await prepared();
  assert.equal((await rejection(save(plain('new', 2, 400), url, { overwrite: false }))).code, 'ERR_ALREADY_EXISTS');
  for (const name of ['labels.txt', 'labels.txt/below', 'labels.txt/far/below']) {
    const error = await rejection(save(plain('new', 2, 400), `${url}/${name}`));
    assert.match(error.code, /^ERR_/, name);
    assert.ok(error.cause instanceof Error || error.code !== 'ERR_STORAGE', name);
    assert.equal((await rejection(load(`${url}/${name}`))).code, 'ERR_NOT_FOUND', name);
  }
  check();
  const fresh = { ...plain('new', 2, 400), weightSpecs: [{ name: 'w', shape: [99], dtype: 'float32' }] };
  assert.equal((await rejection(save(fresh, `${url}/some/new/folder`))).code, 'ERR_SIZE_MISMATCH');
  check();
});

/** In a child: overwrites the model with a larger one; prints what came of it, and what the folder then holds. */
const CHILD = `
  import { plain, print } from ${JSON.stringify(new URL('../lib/artifacts.mjs', import.meta.url).href)};
  import { contents } from ${JSON.stringify(new URL('../lib/node.mjs', import.meta.url).href)};
  import { tell } from ${JSON.stringify(new URL('../lib/libraries.mjs', import.meta.url).href)};
  const { load, save } = await import(${JSON.stringify(PACKAGE)});
  const at = process.argv[1], out = [];
  await save(plain('old', 1, 400000), 'file://' + at + '/m');
  const before = JSON.stringify(contents(at));
  for (const [to, options] of [['m'], ['m', { shardBytes: 2 ** 20 }], ['new'], ['new/deep/er'], ['m', { durability: 'relaxed' }]]) {
    const error = await save(plain('new', 2, 8 * 2 ** 20), 'file://' + at + '/' + to, options).then(() => 'saved', tell);
    out.push({ error, untouched: JSON.stringify(contents(at)) === before, print: await print(await load('file://' + at + '/m')) });
  }
  console.log(JSON.stringify(out));`;
const NODE = [process.execPath, '--input-type=module', '-e', CHILD];

/** A disk of 4 MB of its own namespace, which goes with the process; or `undefined` where that is not allowed. */
function smallDisk(at) {
  const mount = 'mount -t tmpfs -o size=4m tmpfs "$0" && exec "$@"';
  for (const how of [['--mount'], ['--mount', '--map-root-user']]) {
    if (spawnSync('unshare', [...how, 'sh', '-c', mount, at, 'true']).status === 0) return ['unshare', ...how, 'sh', '-c', mount, at];
  }
}

test('a full disk: ERR_QUOTA_EXCEEDED, the folder is as before, the old model loads', async (t) => {
  const at = folder();
  const disk = smallDisk(at);
  if (!disk) return t.diagnostic('unshare can mount nothing here: only node-steps.test.mjs shows what a full disk does');
  const [program, ...args] = [...disk, ...NODE, at];
  const rows = JSON.parse(execFileSync(program, args, { encoding: 'utf8' }));
  for (const [i, { error, untouched, print: found }] of rows.entries()) {
    assert.equal(error.code, 'ERR_QUOTA_EXCEEDED', `save ${i}: ${JSON.stringify(error)}`);
    assert.ok(error.needed > 0 && error.cause, JSON.stringify(error));
    assert.equal(found, await print(old));
    assert.ok(untouched, `save ${i} leaves something behind`);
  }
});

test('a limit on the size of files: a typed error, the folder is as before', async () => {
  const [program, ...args] = ['prlimit', `--fsize=${MB / 2}`, ...NODE, folder()];
  const rows = JSON.parse(execFileSync(program, args, { encoding: 'utf8' }));
  for (const [i, { error, untouched, print: found }] of rows.entries()) {
    assert.match(String(error.code), /^ERR_(STORAGE|QUOTA_EXCEEDED)$/, `save ${i}: ${JSON.stringify(error)}`);
    assert.match(error.cause.message, /EFBIG/);
    assert.equal(found, await print(old));
    assert.ok(untouched, `save ${i} leaves something behind`);
  }
});

test('abort: before, at any moment of 64 MB, between shards, in a stream: the very reason, within a second, nothing left', async () => {
  const { at, url } = await prepared();
  const large = plain('large', 2, 64 * MB);
  const reason = { enough: true };
  let [during, before] = [0, contents(at)];
  const aborted = async (model, to, options, delay) => {
    const controller = new AbortController();
    let moment;
    const abort = () => { moment = performance.now(); controller.abort(reason); };
    if (delay === 'before') abort();
    const saving = save(model, to, { ...options(abort), signal: controller.signal }).then(() => 'saved', (error) => error);
    if (typeof delay === 'number') await sleep(delay).then(abort);
    const outcome = await saving;
    assert.ok(performance.now() - moment < 1000, `${performance.now() - moment} ms`);
    if (outcome === 'saved') {
      assert.ok(delay > 10, 'it was aborted long before the end');
      await save(old, to); // this moment came too late
      before = contents(at);
      return;
    }
    assert.equal(outcome, reason);
    during++;
    assert.deepEqual(contents(at), before, `aborted at ${delay}`);
    assert.equal(await print(await load(url)), await print(old));
    if (to !== url) assert.ok(!fs.existsSync(to.slice(7)), 'a new folder is left');
  };
  await aborted(large, url, () => ({}), 'before');
  for (const delay of [0, 1, 5, 10, 20, 40, 80]) await aborted(large, url, () => ({}), delay);
  const nth = (n) => (abort) => ({ shardBytes: 8 * MB, onProgress: () => { if (--n === 0) abort(); } });
  for (const n of [1, 3, 7]) await aborted(large, url, nth(n), 'progress');
  await aborted(large, `${url}-new`, nth(3), 'progress');
  let pulls = 0;
  const stream = streamed(large);
  let stop;
  const counted = { ...stream, getWeightStream: () => stream.getWeightStream().pipeThrough(new TransformStream({
    transform(chunk, out) { if (++pulls === 20) stop(); out.enqueue(chunk); },
  })) };
  await aborted(counted, url, (abort) => { stop = abort; return {}; }, 'stream');
  assert.ok(during >= 10, `${during} aborts came in time`);
  for (const when of ['before', 'during']) {
    await save(large, `${url}/large`);
    const controller = new AbortController();
    if (when === 'before') controller.abort(reason);
    const loading = load(`${url}/large`, { signal: controller.signal, onProgress: () => controller.abort(reason) });
    assert.equal(await rejection(loading), reason);
  }
});

test('a buffer of a stream that is changed or transferred away while it is saved: a typed error, the folder is as before', async () => {
  const { url, check } = await prepared();
  // V8's compiled code tells an old length of what was transferred away when it has seen buffers that can grow.
  const growing = { ...old, weightData: new ArrayBuffer(400000, { maxByteLength: 800000 }) };
  for (let i = 0; i < 150; i++) await save(growing, 'memory://growing').then(() => save(growing, `${url}-growing`, { durability: 'relaxed' }));
  const acts = { 'transferred away': (buffer) => structuredClone(buffer, { transfer: [buffer] }), changed: (buffer) => new Uint8Array(buffer).fill(1, 19 * MB) };
  for (const [what, act] of Object.entries(acts)) {
    for (const options of [{}, { shardBytes: 5 * MB }]) {
      const buffers = [];
      const pull = (out) => {
        if (buffers.length === 2) return out.close();
        buffers.push(new ArrayBuffer(20 * MB));
        out.enqueue(buffers.at(-1));
      };
      const model = { ...plain('new', 2, 4), weightData: undefined, weightSpecs: [{ name: 'w', shape: [10 * MB], dtype: 'float32' }],
        getWeightStream: () => new ReadableStream({ pull }, { highWaterMark: 0 }) };
      const saving = save(model, url, options).then(() => ({ code: 'saved' }), (error) => error);
      while (buffers.length === 0) await sleep(0);
      act(buffers[0]);
      const { code } = await Promise.race([saving, sleep(20000, { code: 'never settled' })]);
      assert.equal(code, 'ERR_INVALID_ARGUMENT', what);
    }
  }
  fs.rmSync(`${url.slice(7)}-growing`, { recursive: true });
  check();
});

/** How a sound folder is damaged. */
const DAMAGE = {
  'no weights': (at) => fs.unlinkSync(`${at}/weights.bin`),
  truncated: (at) => fs.truncateSync(`${at}/weights.bin`, 399996),
  'an empty file': (at) => fs.truncateSync(`${at}/weights.bin`, 0),
  oversized: (at) => fs.appendFileSync(`${at}/weights.bin`, 'more'),
  'a broken JSON': (at) => fs.truncateSync(`${at}/model.json`, 100),
  'an empty JSON': (at) => fs.truncateSync(`${at}/model.json`, 0),
  'a JSON of something else': (at) => fs.writeFileSync(`${at}/model.json`, '[1, 2]'),
  'a folder as weights': (at) => { fs.unlinkSync(`${at}/weights.bin`); fs.mkdirSync(`${at}/weights.bin`); },
};
const outside = `${folder()}/outside.bin`;
fs.writeFileSync(outside, Buffer.from(old.weightData));
const ESCAPES = ['../outside.bin', './../outside.bin', 'sub/../../outside.bin', outside, `/${outside}`, `sub/../..${outside}`, '..\\outside.bin',
  'C:\\outside.bin', 'C:outside.bin', `file://${outside}`, '..', '', '\\\\host\\share\\outside.bin'];
for (const escape of ESCAPES) {
  DAMAGE[`weights at "${escape.replace(path.dirname(outside), '')}"`] = (at) => {
    const model = JSON.parse(fs.readFileSync(`${at}/model.json`, 'utf8'));
    model.weightsManifest[0].paths = [escape];
    fs.writeFileSync(`${at}/model.json`, JSON.stringify(model));
  };
}

for (const [name, damage] of Object.entries(DAMAGE)) {
  test(`${name}: a typed error; nothing outside is read; it can be removed and saved over, which removes nothing outside`, async (t) => {
    const { at: parent } = await prepared();
    const [at, beside] = [`${parent}/m`, `${parent}/outside.bin`];
    fs.writeFileSync(beside, Buffer.from(old.weightData));
    for (const repair of [(url) => save(old, url), removeModel]) {
      await save(old, `file://${at}`);
      if (!fs.existsSync(`${at}/weights.bin`)) fs.renameSync(`${at}/${manifest(at)[0].paths[0]}`, `${at}/weights.bin`);
      fs.mkdirSync(`${at}/sub`, { recursive: true });
      damage(at);
      const read = t.mock.method(fsp, 'readFile');
      const error = await rejection(load(`file://${at}/model.json`));
      const paths = read.mock.calls.map((call) => path.resolve(String(call.arguments[0])));
      read.mock.restore();
      assert.equal(error.code, 'ERR_CORRUPT', `${error}`);
      assert.ok(paths.includes(`${at}/model.json`), 'the spy sees what is read');
      assert.deepEqual(paths.filter((file) => !file.startsWith(`${at}/`)), []);
      await repair(`file://${at}`);
      assert.ok(fs.existsSync(beside) && fs.existsSync(outside));
      if (repair === removeModel) assert.ok(!fs.existsSync(`${at}/model.json`));
      else assert.equal(await print(await load(`file://${at}`)), await print(old));
      fs.rmSync(at, { recursive: true });
    }
  });
}

test('a manifest that names model.json itself: a save over it must not remove what it has just written', async () => {
  for (const name of ['model.json', './model.json', 'sub/.././model.json', './/model.json']) {
    const { at, url } = await prepared();
    const model = JSON.parse(fs.readFileSync(`${at}/model.json`, 'utf8'));
    model.weightsManifest[0].paths = [name];
    fs.writeFileSync(`${at}/model.json`, JSON.stringify(model));
    await save(old, url);
    assert.equal(await print(await load(url)), await print(old), name);
  }
});

test('what is not there: ERR_NOT_FOUND', async () => {
  const at = folder();
  for (const name of ['', '/none', '/none/model.json', '/model.json']) {
    assert.equal((await rejection(load(`file://${at}${name}`))).code, 'ERR_NOT_FOUND', name);
  }
});
