// The hostile model JSONs through the loaders of Node, whose memory is measured; and folders: no name and no path, whoever chose it, reaches
// a file outside, which the tree around the folder shows.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { startDropper } from '../counterparts/dropper.mjs';
import { plain, print } from '../lib/artifacts.mjs';
import { CODES, isLarge, JSONS } from '../lib/hostile.mjs';
import { contents, folder, PACKAGE, rejection } from '../lib/node.mjs';
import { zipOf } from '../lib/zips.mjs';

const { copyModel, listModels, load, removeModel, save } = await import(PACKAGE);
const MB = 2 ** 20;
let server;
before(async () => { server = await startDropper(new Map([['case/w.bin', Buffer.alloc(4)]])); });
after(() => server.close());

/** Loads the JSON in every way of Node; gives what came of each. */
async function attempts(bytes) {
  const at = folder();
  fs.writeFileSync(`${at}/model.json`, bytes);
  fs.writeFileSync(`${at}/w.bin`, Buffer.alloc(4));
  server.files.set('case/model.json', bytes);
  const weights = new ArrayBuffer(4);
  const url = `${server.url}/plain/case/model.json`;
  const ways = {
    'file://': () => load(`file://${at}`), 'file://model.json': () => load(`file://${at}/model.json`), http: () => load(url, { retries: 2 }),
    memory: () => load({ modelJSON: bytes, weights }), files: () => load([new File([bytes], 'model.json'), new File([weights], 'w.bin')]),
    'copied to a folder': async () => {
      await copyModel(url, `file://${at}/copy`, { retries: 2 });
      return load(`file://${at}/copy`);
    },
  };
  const rows = {};
  for (const [way, work] of Object.entries(ways)) {
    const begun = performance.now();
    const { value, error } = await work().then((artifacts) => ({ value: artifacts }), (reason) => ({ error: reason }));
    rows[way] = { value, error, ms: performance.now() - begun };
  }
  const listed = await listModels(`file://${at}`);
  return { rows, listed: Object.keys(listed), copied: fs.existsSync(`${at}/copy`) };
}

test('every hostile JSON, by every loader: the model or an error of ours, soon, and no copy of what is none', async (t) => {
  const start = process.memoryUsage().rss;
  let most = 0;
  for (const [name, { make, expected }] of Object.entries(JSONS)) {
    const bytes = make();
    const { rows, listed, copied } = await attempts(bytes);
    if (!isLarge(bytes)) most = Math.max(most, process.memoryUsage().rss - start);
    for (const [way, { value, error, ms }] of Object.entries(rows)) {
      const said = `${name}, ${way}: ${value ? 'loads' : error.message?.slice(0, 300)}`;
      assert.ok(value || (error instanceof Error && CODES.includes(error.code)), `${said} is no error of ours`);
      const stored = way.startsWith('file') ? ['ERR_CORRUPT'] : way.startsWith('copied') ? ['ERR_CORRUPT', 'ERR_INVALID_ARGUMENT'] : [];
      assert.ok([...expected, ...stored].includes(value ? 'loads' : error.code), said);
      if (value) assert.deepEqual([value.weightData.byteLength, Object.getPrototypeOf(value) === Object.prototype, 'polluted' in {}], [4, true, false], said);
      assert.ok(ms < (isLarge(bytes) ? 60_000 : 10_000), `${said} took ${ms} ms`);
    }
    assert.equal(copied, Boolean(rows['copied to a folder'].value), name);
    assert.ok(listed.length >= 1, name);
  }
  t.diagnostic(`memory grew by at most ${Math.round(most / MB)} MB`);
});

test('claims of gigabytes cost no memory: a process of its own stays below 400 MB', () => {
  const script = `
    const { load } = await import(${JSON.stringify(PACKAGE)});
    const weight = (shape, dtype) => JSON.stringify({ modelTopology: {}, weightsManifest: [{ paths: ['w.bin'], weights: [{ name: 'w', shape, dtype }] }] });
    const fetchFunc = async (url) => new Response(url.endsWith('.json') ? weight(...JSON.parse(decodeURIComponent(new URL(url).hash.slice(1)))) : new Uint8Array(4));
    const codes = [];
    for (const claim of [[[2 ** 52], 'bool'], [[2 ** 30], 'float32'], [[2 ** 29], 'bool'], [[2 ** 31], 'bool'], [[2 ** 50], 'string']]) {
      const json = weight(...claim);
      const files = [new File([json], 'model.json'), new File([new Uint8Array(4)], 'w.bin')];
      const sources = [{ modelJSON: json, weights: new ArrayBuffer(4) }, files];
      for (const source of sources) codes.push(await load(source).then(() => 'loads', (error) => error.code));
      codes.push(await load('http://x.invalid/model.json', { fetchFunc: async (url) => new Response(url.endsWith('.json') ? json : new Uint8Array(4)) }).then(() => 'loads', (error) => error.code));
    }
    console.log(JSON.stringify([codes, process.resourceUsage().maxRSS]));`;
  const [codes, kilobytes] = JSON.parse(execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' }));
  assert.deepEqual([...new Set(codes)].sort(), ['ERR_SIZE_MISMATCH']);
  assert.ok(kilobytes < 400 * 1024, `${kilobytes} KB`);
});

/** A folder `inner/m` with a model, beside a secret; `check` says that nothing outside of `inner/m` has changed. */
async function prepared() {
  const at = folder();
  fs.mkdirSync(`${at}/inner/m`, { recursive: true });
  fs.writeFileSync(`${at}/secret.bin`, Buffer.alloc(400, 7));
  fs.writeFileSync(`${at}/inner/secret.bin`, Buffer.alloc(400, 7));
  await save(plain('m', 1, 400), `file://${at}/inner/m`);
  const outside = () => Object.fromEntries(Object.entries(contents(at)).filter(([name]) => !name.startsWith('inner/m')));
  const before = outside();
  return { at, m: `${at}/inner/m`, check: () => assert.deepEqual(outside(), before) };
}

/** The model with another path for its weights. */
function rename(m, weights) {
  const json = JSON.parse(fs.readFileSync(`${m}/model.json`));
  json.weightsManifest[0].paths = [weights];
  fs.writeFileSync(`${m}/model.json`, JSON.stringify(json));
}

test('paths that lead out of the folder of model.json: refused, nothing outside is read; a remove and a save touch nothing outside', async (t) => {
  const { at, m, check } = await prepared();
  const ways = ['../secret.bin', '..\\secret.bin', '../../secret.bin', './../secret.bin', 'x/../../secret.bin', `${at}/secret.bin`, `//${at}/secret.bin`, 'C:\\secret.bin', 'C:secret.bin', '\\\\host\\secret.bin', '', '..',
    '%2e%2e/secret.bin', '..%2fsecret.bin', 'secret.bin\0', '../secret.bin\0', 'file:///etc/hostname', 'https://host.invalid/w.bin', '~/secret.bin', '.', '/', '/etc/hostname'];
  for (const way of ways) {
    await save(plain('m', 1, 400), `file://${m}`);
    rename(m, way);
    const read = t.mock.method(fs.promises, 'readFile');
    for (const url of [`file://${m}`, `file://${m}/model.json`]) {
      const error = await rejection(load(url));
      assert.ok(['ERR_CORRUPT', 'ERR_STORAGE'].includes(error.code), `${way}: ${error}`);
    }
    for (const call of read.mock.calls) assert.equal(path.dirname(String(call.arguments[0])), m, way);
    read.mock.restore();
    await removeModel(`file://${m}`);
    check();
  }
});

test('links: followed, as TF.js does; saves and removes change the link, never what it leads to', async () => {
  const { at, m, check } = await prepared();
  const expected = await print(await load(`file://${m}`));
  // The cache of a model hub: a folder of links.
  fs.mkdirSync(`${at}/inner/m/blobs`);
  for (const name of ['model.json', 'weights.bin']) {
    fs.renameSync(`${m}/${name}`, `${m}/blobs/${name}`);
    fs.symlinkSync(`blobs/${name}`, `${m}/${name}`);
  }
  assert.equal(await print(await load(`file://${m}`)), expected);
  const blobs = contents(`${m}/blobs`);
  await save(plain('new', 2, 400), `file://${m}`);
  assert.deepEqual(contents(`${m}/blobs`), blobs);
  assert.equal(await print(await load(`file://${m}`)), await print(plain('new', 2, 400)));
  fs.rmSync(`${m}/model.json`);
  fs.symlinkSync('../secret.bin', `${m}/weights.bin`);
  fs.symlinkSync('blobs/model.json', `${m}/model.json`);
  await removeModel(`file://${m}`);
  assert.deepEqual(contents(`${m}/blobs`), blobs);
  check();
});

test('what has no end, or is no file: refused at once', async (t) => {
  for (const what of ['a pipe', 'a folder', '/dev/null']) {
    for (const part of ['weights.bin', 'model.json']) {
      const { m, check } = await prepared();
      fs.rmSync(`${m}/${part}`);
      if (what === 'a pipe') {
        if (spawnSync('mkfifo', [`${m}/${part}`]).status !== 0) { t.diagnostic('no mkfifo here'); continue; }
      } else if (what === 'a folder') fs.mkdirSync(`${m}/${part}`);
      else fs.symlinkSync(what, `${m}/${part}`);
      const error = await rejection(load(`file://${m}`));
      assert.ok(['ERR_CORRUPT', 'ERR_STORAGE'].includes(error.code), `${what} as ${part}: ${error}`);
      const [row] = Object.values(await listModels(`file://${m}`));
      assert.ok(row.damage, `${what} as ${part}`);
      fs.rmSync(`${m}/${part}`, { recursive: true }); // `check` reads all that is there
      check();
    }
  }
});

test('a weight file far larger than its manifest says is not read', async (t) => {
  const { m } = await prepared();
  fs.truncateSync(`${m}/weights.bin`, 5e9); // it has holes
  const read = t.mock.method(fs.promises, 'readFile');
  assert.equal((await rejection(load(`file://${m}`))).code, 'ERR_CORRUPT');
  assert.ok(!read.mock.calls.some((call) => String(call.arguments[0]).endsWith('weights.bin')));
  read.mock.restore();
});

test('a byte order mark before model.json', async () => {
  const { m } = await prepared();
  fs.writeFileSync(`${m}/model.json`, `\ufeff${fs.readFileSync(`${m}/model.json`)}`);
  assert.equal(await print(await load(`file://${m}`)), await print(plain('m', 1, 400)));
});

test('whatever a model is called, a copy of it in a folder has TF.js\'s names and nothing else', async () => {
  const { at, check } = await prepared();
  const names = ['../x', '/abs', 'C:\\x', 'CON', 'nul.json', '..', 'a\u202eb'];
  for (const [i, name] of names.entries()) {
    const artifacts = { ...plain('m', 1, 400), weightSpecs: [{ name, shape: [100], dtype: 'float32' }], format: name, generatedBy: name };
    const files = [new File([JSON.stringify({ modelTopology: {}, weightsManifest: [{ paths: [name], weights: artifacts.weightSpecs }] })], 'model.json'), new File([new ArrayBuffer(400)], name)];
    const to = `${at}/inner/m/${i}`;
    await save(artifacts, `file://${to}`);
    assert.deepEqual(fs.readdirSync(to).sort(), ['model.json', 'weights.bin']);
    const copied = await copyModel(files, `file://${to}-copy`).then(() => fs.readdirSync(`${to}-copy`).sort(), (error) => error.code);
    assert.deepEqual(typeof copied === 'string' ? CODES.includes(copied) : copied, typeof copied === 'string' ? true : ['model.json', 'weights.bin'], name);
    check();
  }
});

const json = JSON.stringify({ modelTopology: {}, weightsManifest: [{ paths: ['a.bin', 'b.bin'], weights: [{ name: 'w', shape: [50], dtype: 'float32' }] }] });
const whole = zipOf([['model.json', json], ['a.bin', Buffer.alloc(100, 1)], ['b.bin', Buffer.alloc(100, 2)]]);
const honest = () => Buffer.from(whole);
/** Where the central directory's row of that file begins. */
const row = (zip, name) => zip.lastIndexOf(name) - 46;
const put = (zip, at, value, size = 4) => { zip.writeUIntLE(value, at, size); return zip; };

test('zips that lie: an error of ours, soon, whatever they say', async () => {
  const zips = {
    'files that share bytes': put(honest(), row(honest(), 'b.bin') + 42, 4), 'the same twice': (() => { const zip = honest(); return put(zip, row(zip, 'b.bin') + 42, zip.readUInt32LE(row(zip, 'a.bin') + 42)); })(),
    'stored, of more bytes': put(honest(), row(honest(), 'a.bin') + 24, 101), 'of 4 GB': put(put(honest(), row(honest(), 'a.bin') + 24, 0xfffffffe), row(honest(), 'a.bin') + 20, 0xfffffffe),
    'encrypted': put(honest(), row(honest(), 'a.bin') + 8, 1, 2), 'deflated, of a million times its bytes': put(put(honest(), row(honest(), 'a.bin') + 10, 8, 2), row(honest(), 'a.bin') + 24, 1e8),
    'a header that is nowhere': put(honest(), row(honest(), 'a.bin') + 42, 0x7fffffff), 'a directory that is nowhere': put(honest(), honest().length - 6, 0x7fffffff), 'a directory of 4 GB': put(honest(), honest().length - 10, 0xffffffff),
    'sizes of 64 bits, absurd': (() => { const zip = zipOf([['model.json', json], ['a.bin', Buffer.alloc(100)], ['b.bin', Buffer.alloc(100)]], { zip64: true }); for (let i = row(zip, 'a.bin'); i < zip.length - 70; i++) zip[i] = zip[i] === 100 ? 255 : zip[i]; return zip; })(),
    'names that are taken twice': zipOf([['model.json', json], ['a.bin', Buffer.alloc(100)], ['a.bin', Buffer.alloc(100)], ['b.bin', Buffer.alloc(100)]]),
    'two models': zipOf([['model.json', json], ['model.json', json]]), 'only a signature': Buffer.from('PK\x03\x04'), 'nothing behind it': Buffer.concat([Buffer.from('PK\x03\x04'), Buffer.alloc(MB)]),
    '30,000 files': zipOf([['model.json', json], ...Array.from({ length: 30000 }, (_, i) => [`${i}`, ''])]),
    'the end of another one within': Buffer.concat([honest(), Buffer.from('PK\x05\x06'), Buffer.alloc(18, 255)]),
  };
  const harmless = ['a directory of 4 GB']; // it is found where it begins, and read to where the end begins
  const expected = await print(await load(new File([honest()], 'm.zip')));
  for (const [name, zip] of Object.entries(zips)) {
    const begun = performance.now();
    const error = await load(new File([zip], 'm.zip')).catch((reason) => reason);
    if (harmless.includes(name)) assert.equal(await print(error), expected, name);
    else assert.ok(['ERR_MANIFEST', 'ERR_CHECKSUM', 'ERR_SIZE_MISMATCH', 'ERR_NOT_SUPPORTED'].includes(error.code), `${name}: ${error}`);
    assert.ok(performance.now() - begun < 10_000, name);
  }
  const odd = zipOf([['../../model.json', json], ['/etc/a.bin', Buffer.alloc(100)], ['C:\\b.bin', Buffer.alloc(100)]]);
  assert.equal((await load(new File([odd], 'm.zip'), { joined: true })).weightData.byteLength, 200, 'names in a zip are only names');
  for (let end = 4; end < honest().length; end += 3) {
    const error = await rejection(load(new File([honest().subarray(0, end)], 'm.zip')));
    assert.equal(error.code, 'ERR_MANIFEST', `cut at ${end}`);
  }
});
