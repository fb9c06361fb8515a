// What others do at one certain moment of a call of file://, found by a reviewer: each of these lost something, or told a lie. The hooks of
// `before` run once, before the first call of Node's fs that fits.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import fsp from 'node:fs/promises';
import { afterEach, test } from 'node:test';
import { plain, print } from '../lib/artifacts.mjs';
import { contents, folder, PACKAGE, rejection } from '../lib/node.mjs';

const { copyModel, listModels, load, moveModel, removeModel, save, verify } = await import(PACKAGE);
const models = [1, 2, 3].map((seed) => plain(`m${seed}`, seed, 4000));
const [A, B, C] = models;
const prints = new Map(await Promise.all(models.map(async (model, i) => [await print(model), 'ABC'[i]])));
const which = (url) => load(url).then(async (found) => prints.get(await print(found)) ?? 'a mixture', (error) => error.code);
const failure = (code) => Object.assign(new Error(`${code}: by a test`), { code });

const real = { ...fsp };
const hooks = [];
for (const name of ['mkdir', 'stat', 'readFile', 'link', 'rename', 'unlink', 'open', 'readdir']) {
  fsp[name] = async (...args) => {
    const at = hooks.findIndex((hook) => hook.name === name && hook.fits(...args.map(String)));
    if (at >= 0) await hooks.splice(at, 1)[0].act();
    return real[name].apply(fsp, args);
  };
}
const before = (name, fits, act) => hooks.push({ name, fits, act });
afterEach(() => assert.deepEqual(hooks.splice(0), [], 'each moment has come'));

test('a listing tells of no damage where somebody saves, and lists nothing that goes away meanwhile', async () => {
  const at = folder();
  for (const name of ['a', 'b', 'c']) await save(A, `file://${at}/${name}`);
  before('stat', (file) => file.endsWith('/a/weights.bin'), () => save(B, `file://${at}/a`));
  before('readFile', (file) => file.endsWith('/b/model.json'), () => removeModel(`file://${at}/b`));
  const list = await listModels(`file://${at}`);
  assert.deepEqual(Object.entries(list).map(([url, { damage, weightDataBytes }]) => [url.slice(-1), damage?.message, weightDataBytes]), [['a', undefined, 4000], ['c', undefined, 4000]]);
  assert.equal(list[`file://${at}/a`].dateSaved.getTime(), Math.floor(fs.statSync(`${at}/a/model.json`).mtimeMs));
});

test('a folder that goes away, or that cannot be read, hides no other; of those in which they are, links are not followed', async () => {
  const at = folder();
  for (const name of ['a', 'b/c', 'd']) await save(A, `file://${at}/${name}`);
  for (const link of ['self', 'again', 'b/up']) fs.symlinkSync(at, `${at}/${link}`);
  fs.symlinkSync(`${at}/a`, `${at}/latest`);
  fs.symlinkSync(`${at}/gone`, `${at}/dangling`);
  for (const [one, other] of [['x', 'y'], ['y', 'x']]) {
    fs.mkdirSync(`${at}/${one}`, { recursive: true });
    fs.symlinkSync(`../${other}`, `${at}/${one}/to`);
  }
  before('readdir', (path) => path.endsWith('/b/c/'), () => removeModel(`file://${at}/b/c`));
  before('readdir', (path) => path.endsWith('/d/'), () => { throw failure('EACCES'); });
  const told = Object.entries(await listModels(`file://${at}`)).map(([url, { damage }]) => [url.slice(`file://${at}/`.length), damage?.code]);
  assert.deepEqual(told.sort(), [['a', undefined], ['d', 'ERR_STORAGE'], ['latest', undefined]]);
  assert.deepEqual(await listModels(`file://${at}/none`), {});
});

test('folders with links to each other are not listed in every order', { timeout: 60_000 }, async () => {
  const at = folder();
  const names = [...'abcdefghi'];
  for (const name of names) await save(A, `file://${at}/${name}`, { durability: 'relaxed' });
  for (const one of names) for (const other of names) if (one !== other) fs.symlinkSync(`../${other}`, `${at}/${one}/${other}`);
  let calls = 0;
  for (const name of names) before('readdir', (path) => path === `${at}/${name}/`, () => calls++);
  const told = Object.keys(await listModels(`file://${at}`)).map((url) => url.slice(`file://${at}/`.length));
  assert.equal(calls, names.length);
  for (const name of names) assert.ok(told.includes(name), name);
  assert.ok(told.includes('a/b') && told.includes('b/a'));
  assert.ok(told.length <= 200, `${told.length}`);
});

test('a link to the root leads to where it is in', async () => {
  const at = folder();
  await save(A, `file://${at}/m`);
  fs.symlinkSync('/', `${at}/m/z:`);
  const { readdir } = real;
  let calls = 0;
  real.readdir = (...args) => { if (++calls > 9) throw failure('EACCES'); return readdir(...args); };
  try {
    assert.deepEqual(Object.keys(await listModels(`file://${at}`)), [`file://${at}/m`]);
  } finally {
    real.readdir = readdir;
  }
});

test('a model.json that is no file is told, and nobody removes or renames it', async () => {
  const at = folder();
  await save(A, `file://${at}/m`);
  fs.rmSync(`${at}/m/model.json`);
  fs.mkdirSync(`${at}/m/model.json`);
  fs.writeFileSync(`${at}/m/model.json/precious.txt`, 'somebody’s');
  const before = contents(at);
  assert.equal((await verify(`file://${at}/m`)).damage?.code, 'ERR_CORRUPT');
  for (const verb of [() => removeModel(`file://${at}/m`), () => moveModel(`file://${at}/m`, `file://${at}/n`), () => save(B, `file://${at}/m`)]) {
    assert.ok(['ERR_MANIFEST', 'ERR_CORRUPT', 'ERR_STORAGE'].includes((await rejection(verb())).code));
    assert.deepEqual(contents(at), before);
  }
});

test('a folder and a link to it are one place', async () => {
  const at = folder();
  await save(A, `file://${at}/m`);
  fs.symlinkSync('m', `${at}/latest`);
  const before = contents(`${at}/m`);
  for (const verb of [copyModel, moveModel]) {
    for (const [from, to] of [['m', 'latest'], ['latest', 'm'], ['latest/model.json', 'm']]) {
      const { code, argument } = await rejection(verb(`file://${at}/${from}`, `file://${at}/${to}`));
      assert.deepEqual([code, argument], ['ERR_INVALID_ARGUMENT', 'destination']);
    }
  }
  assert.deepEqual(contents(`${at}/m`), before);
});

test('weights that neither a save nor who removes its model takes for its own are removed', async () => {
  const at = `${folder()}/m`;
  const url = `file://${at}`;
  const isLink = (file) => /weights\.bin\.[0-9a-f]{16}\.tmp$/.test(file);
  before('unlink', isLink, () => removeModel(url));
  await save(A, url);
  assert.equal(fs.existsSync(at), false);
  before('unlink', isLink, async () => { await save(B, url); await removeModel(url); });
  await save(A, url);
  assert.equal(fs.existsSync(at), false);
  before('unlink', isLink, () => save(B, url));
  await save(A, url);
  assert.equal(await which(url), 'B');
  assert.equal(Object.keys(contents(at)).length, 2);
});

test('a move that put a new model aside and back again leaves the weights of one that was replaced meanwhile to nobody', async () => {
  const url = `file://${folder()}/m`;
  await save(A, url);
  before('rename', (file) => file.endsWith('/m/model.json'), async () => {
    await save(B, url);
    before('link', (file, to) => /model\.json\.[0-9a-f]{16}\.tmp$/.test(file) && to.endsWith('/m/model.json'), () => save(C, url));
  });
  await moveModel(url, 'memory://moved');
  assert.equal(await which('memory://moved'), 'C');
  assert.equal(fs.existsSync(url.slice(7)), false);
});

test('a save makes its folder again when somebody removes the model, and the folder, at that moment', async () => {
  const url = `file://${folder()}/m`;
  await save(A, url);
  before('open', (file) => file.includes('/m/weights.bin.'), () => removeModel(url));
  await save(B, url);
  assert.equal(await which(url), 'B');
  before('mkdir', () => true, () => { throw failure('ENOENT'); }); // as Node says when the folder goes while it looks
  await save(C, url);
  assert.equal(await which(url), 'C');
});

test('a move with `overwrite: false` that begins again replaces nobody; a save to the destination is no damage', async () => {
  const at = folder();
  const [from, to] = [`file://${at}/a`, `file://${at}/b`];
  await save(A, from);
  before('rename', (file) => file.endsWith('/a/model.json'), async () => { await save(C, to); await save(B, from); });
  assert.equal((await rejection(moveModel(from, to, { overwrite: false }))).code, 'ERR_ALREADY_EXISTS');
  assert.deepEqual([await which(from), await which(to)], ['B', 'C']);
  await Promise.all([removeModel(to), save(A, from)]);
  before('rename', (file) => file.endsWith('/a/model.json'), async () => {
    await save(B, from);
    before('open', (file, flags) => flags === 'wx' && file.includes('/b/weights.bin.'), () => save(C, to)); // while it is written again
  });
  assert.equal((await rejection(moveModel(from, to, { overwrite: false }))).code, 'ERR_ALREADY_EXISTS');
  assert.deepEqual([await which(from), await which(to)], ['B', 'C']);
  await removeModel(to);
  let looks = 0;
  before('readFile', (file) => file.endsWith('/b/model.json') && ++looks === 1, () => save(C, to));
  const error = await rejection(moveModel(from, to));
  assert.deepEqual([error.code, /somebody saved/.test(error.message)], ['ERR_STORAGE', true]);
  assert.deepEqual([await which(from), await which(to)], ['B', 'C']);
});

test('a weight file in a folder of its own may be that one’s model’s: it stays', async () => {
  const at = folder();
  await save(A, `file://${at}/m/sub`);
  const json = JSON.parse(fs.readFileSync(`${at}/m/sub/model.json`));
  json.weightsManifest[0].paths = ['sub/weights.bin'];
  fs.writeFileSync(`${at}/m/model.json`, JSON.stringify(json));
  assert.equal(await which(`file://${at}/m`), 'A');
  await removeModel(`file://${at}/m`);
  assert.equal(await which(`file://${at}/m/sub`), 'A');
});

test('two saves in one millisecond have two dates: a move takes away only what it copied', async (t) => {
  const url = `file://${folder()}/m`;
  await save(A, url);
  const now = Date.now() + 5;
  t.mock.method(Date, 'now', () => now);
  const arrived = Promise.withResolvers?.() ?? {};
  if (!arrived.promise) arrived.promise = new Promise((resolve) => { arrived.resolve = resolve; });
  let go;
  const gate = new Promise((resolve) => { go = resolve; });
  before('rename', (file, to) => to.endsWith('/m/model.json'), async () => { arrived.resolve(); await gate; });
  const slow = save(B, url); // dated, but not yet there
  await arrived.promise;
  await save(C, url);
  t.mock.restoreAll();
  before('rename', (file) => file.endsWith('/m/model.json'), async () => { go(); await slow; });
  await moveModel(url, 'memory://dated');
  assert.equal(await which('memory://dated'), 'B');
});

test('a save that slept for hours, and was swept away just as it committed, rejects, and what it replaced is there again', async (t) => {
  const url = `file://${folder()}/m`;
  await save(A, url);
  let weights;
  // What a sweep of somebody else’s does in that moment: the weights go, and the link to them.
  before('rename', (file, to) => to.endsWith('/m/model.json'), async () => {
    weights = fs.readdirSync(url.slice(7)).filter((name) => /^weights\..*(tmp|[0-9a-f]{16}\.bin)$/.test(name));
    before('stat', (file) => weights.some((name) => file.endsWith(name)), () => { for (const name of weights) fs.unlinkSync(`${url.slice(7)}/${name}`); });
  });
  const error = await rejection(save(B, url));
  assert.equal(error.code, 'ERR_STORAGE');
  assert.equal(weights.length, 2);
  assert.equal(await which(url), 'A');
  assert.equal((await verify(url)).damage, undefined);
  assert.equal(Object.keys(contents(url.slice(7))).length, 2);
});

test('a save that slept for hours after its commit takes back nothing of who saved meanwhile, with hard links or without', async (t) => {
  const linking = real.link;
  for (const hasLinks of [true, false]) {
    real.link = hasLinks ? linking : () => Promise.reject(failure('EPERM'));
    const url = `file://${folder()}/m`;
    await save(A, url);
    const rename = real.rename;
    real.rename = async (from, to) => {
      await rename(from, to);
      if (!to.endsWith('/m/model.json')) return;
      real.rename = rename;
      const now = Date.now() + 7200e3;
      if (hasLinks) t.mock.method(Date, 'now', () => now);
      await save(C, url);
    };
    await save(B, url); // it was there, and then it was replaced
    t.mock.restoreAll();
    assert.equal(await which(url), 'C');
    assert.equal(Object.keys(contents(url.slice(7))).length, 2);
  }
  real.link = linking;
});

test('where a backslash is a letter of a name, it is one', { skip: process.platform === 'win32' }, async () => {
  const at = folder();
  await save(A, `file://${at}/m`);
  await save(B, `file://${at}/m\\`);
  await save(C, `file://${at}/a\\b`);
  assert.deepEqual([await which(`file://${at}/m`), await which(`file://${at}/m\\`), await which(`file://${at}/a\\b`)], ['A', 'B', 'C']);
  const list = await listModels(`file://${at}`);
  assert.deepEqual(Object.keys(list).sort(), ['a\\b', 'm', 'm\\'].map((name) => `file://${at}/${name}`));
  assert.ok(Object.values(list).every(({ damage }) => damage === undefined));
});
