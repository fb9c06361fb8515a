// file:// in Node, beside tfjs-node's own handler: the same files, read by either; and what that one drops or gets wrong.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { plain, print, streamed } from '../lib/artifacts.mjs';
import { join, noise } from '../lib/bytes.mjs';
import { CASES } from '../lib/cases.mjs';
import { build, KINDS, knowledge, predict } from '../lib/models.mjs';
import { contents, folder, names, PACKAGE, realFileSystem, rejection, root } from '../lib/node.mjs';

const NodeFileSystem = realFileSystem();
const { copyModel, install, listModels, load, loadModel, moveModel, removeModel, save, verify } = await import(PACKAGE);

const inside = (at, name) => path.join(at, name);
const json = (at) => JSON.parse(fs.readFileSync(inside(at, 'model.json'), 'utf8'));
const theirs = (at) => new NodeFileSystem(inside(at, 'model.json')).load();
/** The order of formats.md, section 6; tfjs-node itself has weightsManifest second and trainingConfig before signature. */
const ORDER = ['modelTopology', 'format', 'generatedBy', 'convertedBy', 'weightsManifest', 'signature', 'userDefinedMetadata',
  'modelInitializer', 'initializerSignature', 'trainingConfig'];

for (const kind of Object.keys(KINDS)) {
  test(`${kind}: the same files as tfjs-node's, which either reads with the same predictions`, async () => {
    const [ours, real, at] = [folder(), folder(), folder()];
    const model = await build(kind);
    const options = KINDS[kind].save ?? {};
    const { modelArtifactsInfo } = await save(model, `file://${ours}`, options);
    const { modelArtifactsInfo: info } = await model.save(new NodeFileSystem(real), options);
    assert.deepEqual(names(ours), ['model.json', 'weights.bin']);
    assert.deepEqual(contents(ours)['weights.bin'], contents(real)['weights.bin']);
    const [mine, wanted] = [json(ours), json(real)];
    assert.deepEqual(mine.weightsManifest[0].paths, ['weights.bin']);
    assert.deepEqual(Object.keys(mine), ORDER.filter((key) => key in mine));
    assert.equal(JSON.stringify(mine), fs.readFileSync(inside(ours, 'model.json'), 'utf8'), 'no white space');
    const sorted = (value) => JSON.stringify(Object.entries(value).sort());
    assert.equal(sorted(mine), sorted(wanted), 'byte for byte but for the order of the outermost keys');
    assert.deepEqual({ ...modelArtifactsInfo, dateSaved: 0 }, { ...info, dateSaved: 0 });
    assert.ok(Math.abs(modelArtifactsInfo.dateSaved - Date.now()) < 60000);

    assert.equal(await print(await load(`file://${real}/model.json`)), await print(await theirs(real)));
    const known = [await knowledge(kind, model), await predict(kind, model)];
    const tfLoad = KINDS[kind].graph ? tf.loadGraphModel : tf.loadLayersModel;
    const loaded = [await loadModel(tf, `file://${real}/model.json`), await tfLoad(new NodeFileSystem(inside(ours, 'model.json')))];
    // An overwrite and shards have other file names, which tfjs-node finds in the manifest.
    await save(plain('old', 1, 1000), `file://${at}`);
    await save(model, `file://${at}`, options);
    loaded.push(await tfLoad(new NodeFileSystem(inside(at, 'model.json'))));
    await save(model, `file://${at}`, { ...options, shardBytes: 30 });
    assert.ok(json(at).weightsManifest[0].paths.length > 1);
    loaded.push(await tfLoad(new NodeFileSystem(inside(at, 'model.json'))), await loadModel(tf, `file://${at}`));
    for (const again of loaded) {
      const found = [await knowledge(kind, again), await predict(kind, again)];
      // Only TF.js's own loader restores an optimizer's state.
      if (found[0].optimizer?.length === 0) known[0].optimizer = [];
      assert.deepEqual(found, known);
    }
  });
}

test('what TF.js\'s converter wrote, and a downloaded model beside another one, by the names of their JSON', async () => {
  const fixtures = inside(root, 'tests/fixtures/converter');
  for (const name of names(fixtures)) {
    assert.equal(await print(await load(`file://${fixtures}/${name}`)), await print(await theirs(inside(fixtures, name))), name);
  }
  const [at, model] = [folder(), plain('downloaded', 1, 4000)];
  await save(plain('m', 2, 4000), `file://${at}`);
  const { weightData, weightSpecs, ...rest } = model;
  fs.writeFileSync(inside(at, 'my.weights.bin'), Buffer.from(weightData));
  fs.writeFileSync(inside(at, 'my.json'), JSON.stringify({ ...rest, weightsManifest: [{ paths: ['./my.weights.bin'], weights: weightSpecs }] }));
  assert.equal(await print(await load(`file://${at}/my.json`)), await print(model));
  await moveModel(`file://${at}/my.json`, 'memory://my');
  assert.equal(await print(await load('memory://my')), await print(model));
  await removeModel('memory://my');
  assert.deepEqual(names(at), ['model.json', 'weights.bin']);
});

test('weights in pieces, as a view and as a stream are right; tfjs-node writes a byte for each piece and each number', async () => {
  const model = plain('m', 1, 4000);
  const bytes = model.weightData;
  const forms = {
    pieces: { ...model, weightData: [bytes.slice(0, 5), new ArrayBuffer(0), bytes.slice(5)] },
    view: { ...model, weightData: new Float32Array(bytes) },
    'view of a part': { ...model, weightData: new Uint8Array(join([new ArrayBuffer(8), bytes, new ArrayBuffer(8)]), 8, 4000) },
    stream: streamed(model),
  };
  for (const [name, artifacts] of Object.entries(forms)) {
    const at = folder();
    await save(artifacts, `file://${at}/a/b`);
    assert.ok(fs.readFileSync(`${at}/a/b/weights.bin`).equals(Buffer.from(bytes)), name);
    assert.equal(await print(await theirs(`${at}/a/b`)), await print(model), name);
    if (name === 'stream') continue;
    await new NodeFileSystem(at).save(artifacts);
    const wrong = { pieces: Buffer.alloc(3), view: Buffer.from(new Float32Array(bytes)) }[name];
    if (wrong) assert.ok(fs.readFileSync(inside(at, 'weights.bin')).equals(wrong), 'control');
  }
});

for (const [name, { make }] of Object.entries(CASES)) {
  test(`${name}: nothing is dropped`, async () => {
    const at = folder();
    const model = await make();
    await save(model, `file://${at}`);
    assert.equal(await print(await load(`file://${at}`)), await print(model));
    if (name !== 'every field') return;
    assert.equal(await print(await theirs(at)), await print(model), 'TF.js reads what it does not write');
    const real = folder();
    await new NodeFileSystem(real).save(model);
    for (const key of ['modelInitializer', 'initializerSignature']) assert.ok(key in json(at) && !(key in json(real)), key);
  });
}

test('paths: spaces, other scripts, `://`, percent signs, a slash at the end, relative ones, as tfjs-node takes them', async () => {
  const base = folder();
  for (const name of ['two words', 'ünï \u{1F600} 模型', 'a://b', '100%25 #x?y=1', 'slash/', 'm.json', 'file:', '~']) {
    const url = `file://${base}/${name}`;
    const model = plain(name, name.length, 400);
    await save(model, url);
    const real = new NodeFileSystem(`${base}/${name}/model.json`);
    for (const found of [await load(url), await load(`${url.replace(/\/$/, '')}/model.json`), await real.load()]) {
      assert.equal(await print(found), await print(model), name);
    }
  }
  assert.equal(Object.keys(await listModels(`file://${base}`)).length, 8);
  const before = process.cwd();
  process.chdir(base);
  try {
    const model = plain('relative', 1, 400);
    for (const name of ['./x', 'y', '../'.concat(path.basename(base), '/z')]) {
      await save(model, `file://${name}`);
      assert.ok(fs.existsSync(path.resolve(base, name, 'weights.bin')), name);
      assert.equal(await print(await load(`file://${name}/model.json`)), await print(model));
    }
    process.chdir(`${base}/y`);
    assert.equal(await print(await load('file://model.json')), await print(model));
    assert.equal((await rejection(load('file://y'))).code, 'ERR_NOT_FOUND');
    assert.deepEqual(Object.keys(await listModels('file://../y')), ['file://../y']);
  } finally {
    process.chdir(before);
  }
  for (const verb of [(url) => save(plain('m', 1, 4), url), load, removeModel]) {
    assert.equal((await rejection(verb('file://'))).code, 'ERR_INVALID_URL');
  }
});

test('listModels: at any depth, damaged ones marked, other files ignored; nothing of file:// without a folder', async () => {
  const at = folder();
  for (const name of ['a', 'a/inner', 'b c/d', 'damaged/json', 'damaged/weights', 'damaged/outside']) {
    await save(plain('m', 1, 400), `file://${at}/${name}`);
  }
  fs.writeFileSync(`${at}/damaged/json/model.json`, '{');
  fs.unlinkSync(`${at}/damaged/weights/weights.bin`);
  fs.writeFileSync(`${at}/damaged/outside/model.json`, JSON.stringify({
    ...json(`${at}/a`), weightsManifest: [{ ...json(`${at}/a`).weightsManifest[0], paths: ['../../a/weights.bin'] }],
  }));
  fs.mkdirSync(`${at}/empty`);
  fs.mkdirSync(`${at}/folder/model.json`, { recursive: true });
  fs.writeFileSync(`${at}/other.json`, '{}');
  const rows = await listModels(`file://${at}`);
  const sound = Object.keys(rows).filter((url) => !rows[url].damage);
  assert.deepEqual(sound.sort(), ['a', 'a/inner', 'b c/d'].map((name) => `file://${at}/${name}`));
  for (const url of sound) {
    assert.equal(rows[url].weightDataBytes, 400);
    assert.ok(rows[url].dateSaved instanceof Date);
  }
  for (const name of ['json', 'weights', 'outside']) {
    assert.equal(rows[`file://${at}/damaged/${name}`]?.damage?.code, 'ERR_CORRUPT', name);
  }
  assert.deepEqual(Object.keys(await listModels(`file://${at}/a/`)).sort(), [`file://${at}/a`, `file://${at}/a/inner`]);
  assert.deepEqual(await listModels(`file://${at}/nothing`), {});
  assert.deepEqual(await listModels(), {});
});

test('copyModel, moveModel, removeModel: between folders and stores; identical places are refused', async () => {
  const at = folder();
  const [model, url] = [plain('m', 1, 4000), (name) => `file://${at}/${name}`];
  await save(model, url('a'));
  const info = await copyModel(url('a'), url('b/c'));
  assert.equal(info.weightDataBytes, 4000);
  assert.deepEqual(contents(`${at}/a`), contents(`${at}/b/c`));
  await moveModel(url('b/c'), 'memory://m');
  assert.ok(!fs.existsSync(`${at}/b/c`));
  await moveModel('memory://m', url('d'));
  assert.deepEqual(contents(`${at}/a`), contents(`${at}/d`));
  assert.deepEqual(await listModels('memory://'), {});
  await save(plain('old', 2, 400), url('e'));
  await moveModel(url('d'), url('e'));
  assert.equal(await print(await theirs(`${at}/e`)), await print(model));
  for (const verb of [copyModel, moveModel]) {
    assert.equal((await rejection(verb(url('a'), url('a')))).code, 'ERR_INVALID_ARGUMENT');
    assert.equal((await rejection(verb(url('none'), url('b')))).code, 'ERR_NOT_FOUND');
    // The same place by another name: refused or not, the model is there afterwards.
    for (const name of ['a/', 'a/model.json', './a', 'b/../a']) {
      await verb(url('a'), url(name)).catch(() => {});
      assert.equal(await print(await load(url('a'))), await print(model), `${verb.name} to ${name}`);
    }
  }
  assert.equal((await rejection(removeModel(url('none')))).code, 'ERR_NOT_FOUND');
  fs.writeFileSync(`${at}/a/notes.txt`, 'mine');
  assert.equal((await removeModel(url('a/model.json'))).weightDataBytes, 4000);
  assert.deepEqual(names(`${at}/a`), ['notes.txt']);
  fs.truncateSync(inside(`${at}/e`, json(`${at}/e`).weightsManifest[0].paths[0]), 7);
  await removeModel(url('e'));
  assert.ok(!fs.existsSync(`${at}/e`), 'a damaged one');
});

test('progress never falls, never passes its total, and ends at exactly 1', async () => {
  const at = folder();
  const url = `file://${at}/m`;
  const model = plain('m', 1, 4e6);
  const works = {
    save: (options) => save(model, url, { ...options, shardBytes: 1e6 }),
    overwrite: (options) => save(model, url, { ...options, shardBytes: 1e6 }),
    load: (options) => load(url, options),
    copy: (options) => copyModel(url, `file://${at}/n`, options),
    'a copy of one large file': (options) => save({ ...plain('l', 2, 4e7), weightData: new ArrayBuffer(4e7) }, `file://${at}/large`).then(() => copyModel(`file://${at}/large`, `file://${at}/n`, options)),
    'a copy to memory://': (options) => copyModel(url, 'memory://m', options),
    'a copy from memory://': (options) => copyModel('memory://m', url, options),
    'a quantised copy': (options) => copyModel(`file://${at}/large`, `file://${at}/q`, { ...options, quantize: 'uint8' }),
    move: (options) => moveModel(url, `file://${at}/o`, options),
    verify: (options) => verify(`file://${at}/o`, options),
    list: (options) => listModels(`file://${at}`, options),
    remove: (options) => removeModel(`file://${at}/o`, options),
  };
  for (const [name, work] of Object.entries(works)) {
    const rows = [];
    await work({ onProgress: (fraction, detail) => rows.push([fraction, detail.loaded, detail.total]) });
    if (!['list', 'remove'].includes(name)) assert.ok(rows.length >= 2, `${name}: ${rows.length}`);
    rows.forEach(([fraction, loaded, total], i) => {
      assert.ok(i === 0 || (fraction >= rows[i - 1][0] && loaded >= rows[i - 1][1]), name);
      assert.ok(loaded <= total, `${name}: ${loaded} of ${total}`);
      assert.ok(i === rows.length - 1 || fraction < 1, name);
    });
    assert.deepEqual([rows.at(-1)[0], rows.at(-1)[1]], [1, rows.at(-1)[2]], name);
  }
});

test('install gives TF.js file://, unless tfjs-node has', async () => {
  const at = folder();
  assert.deepEqual(install({ io: { ...tf.io, getSaveHandlers: () => [1], registerSaveRouter() {}, registerLoadRouter() {} } }), []);
  assert.ok(install(tf).includes('file'));
  const model = await build('sequential');
  await model.save(`file://${at}/m`);
  const again = await tf.loadLayersModel(`file://${at}/m/model.json`);
  assert.deepEqual(await predict('sequential', again), await predict('sequential', model));
});
