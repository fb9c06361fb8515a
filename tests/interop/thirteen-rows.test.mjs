// Where TF.js loses models or hides the truth: thirteen ways, each shown in one page (the eleventh in one process): first tfpersist,
// then TF.js's own tf.io as the control, which must fail as described, or the test shows nothing.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { plain } from '../lib/artifacts.mjs';
import { both } from '../lib/both.mjs';
import { dropper } from '../lib/counterparts.mjs';
import { arrived, newFolder } from '../lib/disk.mjs';
import { openIn } from '../lib/engines.mjs';
import { graphArtifacts } from '../lib/models.mjs';
import { publish, publishPlain } from '../lib/published.mjs';
import { rowOfFiles } from '../lib/row-of-files.mjs';
import { open } from '../lib/suite.mjs';

const MB = 2 ** 20;
const page = await open();

test('row 1: an IndexedDB save over quota rejects, leaves the old model, no ghost and no open connection', async () => {
  const small = await open({ quota: 8 * MB });
  const { ours, theirs } = await both(small, async ({ lib }) => {
    const { save, load, listModels } = await T.library(lib);
    const [old, huge] = [T.plain('old', 1, 2 ** 20), T.plain('huge', 2, 30 * 2 ** 20)];
    await save(old, 'indexeddb://m');
    const before = await T.dumpHash();
    const overwrite = await T.attempt(async () => (await save(huge, 'indexeddb://m')).modelArtifactsInfo);
    // TF.js resolves before its transaction is over: what is then on its way to the disk counts as used, and the info of the next save would not fit either.
    const between = await T.dumpHash();
    const fresh = await T.attempt(async () => (await save(huge, 'indexeddb://new')).modelArtifactsInfo);
    return {
      overwrite,
      fresh,
      untouched: between === before && await T.dumpHash() === before,
      old: await T.print(await load('indexeddb://m')) === await T.print(old),
      listed: Object.keys(await listModels()),
      ghost: await T.attempt(async () => T.print(await load('indexeddb://new'))),
      closed: await T.attempt(() => T.deleteDatabase('tensorflowjs', 3000)),
    };
  });
  for (const { error } of [ours.overwrite, ours.fresh]) {
    assert.equal(error?.code, 'ERR_QUOTA_EXCEEDED');
    assert.equal(error.name, 'QuotaExceededError');
    assert.ok(error.needed >= 30 * MB && error.needed < 31 * MB, `needed: ${error.needed}`);
  }
  assert.ok(ours.untouched && ours.old);
  assert.deepEqual(ours.listed, ['indexeddb://m']);
  assert.equal(ours.ghost.error?.code, 'ERR_NOT_FOUND');
  assert.equal(ours.closed.error, undefined);
  for (const { value } of [theirs.overwrite, theirs.fresh]) assert.equal(value?.weightDataBytes, 30 * MB, 'control: it says that all is well');
  assert.deepEqual(theirs.listed.sort(), ['indexeddb://m', 'indexeddb://new'], 'control: a ghost');
  assert.ok(theirs.ghost.error, 'control: nothing is stored');
  assert.match(theirs.closed.error?.message ?? '', /held open/, 'control: an open connection');
  await small.close();
});

test('row 2: a Local Storage save that fails leaves the old model byte for byte', async () => {
  const { ours, theirs } = await both(page, async ({ lib }) => {
    const { save, load } = await T.library(lib);
    const old = T.plain('old', 1, 40000);
    await save(old, 'localstorage://m');
    T.fillLocalStorage(100000);
    const before = await T.dumpHash();
    const { error } = await T.attempt(() => save(T.plain('new', 2, 400000), 'localstorage://m'));
    const { value } = await T.attempt(async () => T.print(await load('localstorage://m')));
    return { error, untouched: await T.dumpHash() === before, loads: value === await T.print(old) };
  });
  assert.equal(ours.error?.code, 'ERR_QUOTA_EXCEEDED');
  assert.ok(ours.error.needed >= 400000 && ours.error.cause, JSON.stringify(ours.error));
  assert.ok(ours.untouched && ours.loads);
  assert.ok(theirs.error && !theirs.untouched && !theirs.loads, 'control: the old model is gone');
});

test('row 3: a move that fails leaves the source', async () => {
  const { ours, theirs } = await both(page, async ({ lib }) => {
    const { save, load, moveModel, listModels } = await T.library(lib);
    const out = [];
    const move = async (model, from, to) => {
      const { error } = await T.attempt(() => moveModel(from, to));
      const { value } = await T.attempt(async () => T.print(await load(from)));
      out.push({ error, loads: value === await T.print(model), listed: Object.keys(await listModels()) });
      await T.clear();
    };
    const large = T.plain('m', 1, 6 * 2 ** 20); // more than Local Storage can hold
    await save(large, 'indexeddb://m');
    await move(large, 'indexeddb://m', 'localstorage://m');
    // Within one store, which holds it under the shorter path only.
    const small = T.plain('m', 1, 4000);
    await save(small, 'localstorage://m');
    T.fillLocalStorage(100);
    await move(small, 'localstorage://m', `localstorage://${'long'.repeat(100)}`);
    return out;
  });
  for (const [i, source] of ['indexeddb://m', 'localstorage://m'].entries()) {
    assert.equal(ours[i].error?.code, 'ERR_QUOTA_EXCEEDED');
    assert.ok(ours[i].loads);
    assert.deepEqual(ours[i].listed, [source]);
    assert.ok(theirs[i].error && !theirs[i].loads, 'control: it was removed first');
    assert.deepEqual(theirs[i].listed, [], 'control: the model is nowhere');
  }
});

test('row 4: weights that come as a stream are stored', async () => {
  const { ours, theirs } = await both(page, async ({ lib }) => {
    const { save, load } = await T.library(lib);
    const out = {};
    for (const store of ['localstorage', 'indexeddb']) {
      const model = T.streamed(T.plain('m', 1, 40000));
      out[store] = await T.attempt(async () => {
        const { modelArtifactsInfo } = await save(model, `${store}://m`);
        const { weightData } = await load(`${store}://m`);
        return [modelArtifactsInfo.weightDataBytes, T.join(weightData).byteLength];
      });
    }
    return out;
  });
  assert.deepEqual(ours, { localstorage: { value: [40000, 40000] }, indexeddb: { value: [40000, 40000] } });
  assert.deepEqual(theirs.localstorage, { value: [0, 0] }, 'control: it says that all is well');
  assert.equal(theirs.indexeddb.error?.name, 'DataCloneError');
});

test('row 5: a page that says 404, or a short file, does not become weights', async () => {
  const server = await dropper();
  const put = (shard, folder, model) => publish(model, shard, { folder }).forEach(([path, bytes]) => server.files.set(path, bytes));
  put(300, 'short/', plain('short', 1, 1000));
  put(48, 'bias/', graphArtifacts()); // its weights: w of 48 bytes, b of 12
  put(60, 'only/', graphArtifacts());
  server.files.set('short/group1-shard4of4.bin', Buffer.alloc(60));
  for (const name of ['bias/group1-shard2of2.bin', 'only/group1-shard1of1.bin']) server.files.delete(name);
  const { ours, theirs } = await both(page, async ({ lib, argument: url }) => {
    const { load } = await T.library(lib);
    const bias = async (model) => new TextDecoder().decode((await model.weights.b[0].data()).slice());
    return {
      short: await T.attempt(async () => T.join((await load(`${url}/short/model.json`)).weightData).byteLength),
      bias: await T.attempt(async () => bias(await tf.loadGraphModel({ load: () => load(`${url}/bias/model.json`) }))),
      only: await T.attempt(() => tf.loadGraphModel({ load: () => load(`${url}/only/model.json`) })),
    };
  }, `${server.url}/plain`);
  const { code, file, expected, received } = ours.short.error ?? {};
  assert.deepEqual([code, file, expected, received], ['ERR_SIZE_MISMATCH', `${server.url}/plain/short/group1-shard4of4.bin`, 100, 60]);
  for (const name of ['bias/group1-shard2of2.bin', 'only/group1-shard1of1.bin']) {
    const { error } = ours[name.split('/')[0]];
    assert.deepEqual([error?.code, error?.status, error?.why], ['ERR_HTTP_STATUS', 404, `there is no ${name}`]);
    assert.equal(error.url, `${server.url}/plain/${name}`);
  }
  assert.deepEqual(theirs.short, { value: 960 }, 'control: 40 bytes are missing, and nothing is said');
  assert.deepEqual(theirs.bias, { value: 'there is no ' }, 'control: the page is the bias');
  assert.match(theirs.only.error?.message, /byte length of Float32Array should be a multiple of 4/, 'control');
});

test('row 6: the object of the caller is not changed', async () => {
  const { ours, theirs } = await both(page, async ({ lib }) => {
    const { save } = await T.library(lib);
    const artifacts = await T.CASES['weights in pieces'].make();
    const pieces = artifacts.weightData;
    await save(artifacts, 'indexeddb://m');
    return artifacts.weightData === pieces && pieces.length === 4;
  });
  assert.equal(ours, true);
  assert.equal(theirs, false, 'control: it puts its own buffer there');
});

test('row 7: chosen files in any order, as a FileList, named by a second download, or the JSON alone', async () => {
  const { ours, theirs } = await both(page, async ({ lib }) => {
    const { browserFiles } = await T.library(lib);
    const { weightData, weightSpecs, ...rest } = T.CASES['every field'].make();
    const text = JSON.stringify({ ...rest, weightsManifest: [{ paths: ['./m.weights.bin'], weights: weightSpecs }] });
    const [json, bin, again] = ['m.json', 'm.weights.bin', 'm.weights (1).bin'].map((name, i) => new File([i ? weightData : text], name));
    const list = new DataTransfer();
    for (const file of [json, bin]) list.items.add(file);
    const whole = await T.print({ ...rest, weightSpecs, weightData });
    const take = (files) => T.attemptOrUncaught(async () => await T.print(await browserFiles(files).load()) === whole);
    return {
      sound: await take([json, bin]),
      turned: await take([bin, json]),
      broken: await take([new File([text.slice(0, 100)], 'm.json'), bin]),
      list: await take(list.files),
      again: await take([json, again]),
      alone: Object.keys(await browserFiles([json]).load()).sort(),
      fields: [...Object.keys(rest), 'weightSpecs'].sort(),
    };
  });
  for (const way of ['sound', 'turned', 'list', 'again']) assert.deepEqual(ours[way], { value: true }, way);
  assert.deepEqual([ours.broken.error?.code, ours.broken.error?.file], ['ERR_MANIFEST', 'm.json']);
  assert.deepEqual(ours.alone, ours.fields);
  assert.ok(ours.fields.includes('format') && ours.fields.includes('userDefinedMetadata'));
  assert.deepEqual(theirs.sound, { value: true }, 'control: it reads these files');
  for (const never of [theirs.turned, theirs.broken]) assert.deepEqual(never, { uncaught: 'SyntaxError' }, 'control: it never settles');
  assert.equal(theirs.list.error?.name, 'TypeError', 'control: it takes no FileList');
  assert.match(theirs.again.error?.message, /m\.weights\.bin' is not provided/, 'control');
  assert.deepEqual(theirs.alone, ['modelTopology'], 'control: format and metadata are gone');
});

test('row 8: damaged entries are marked and do not hide the others', async () => {
  const { ours, theirs } = await both(page, async ({ lib }) => {
    const { save, listModels, removeModel } = await T.library(lib);
    for (const store of ['localstorage', 'indexeddb']) await save(T.plain('good', 1, 400), `${store}://good`);
    await T.damageEntries();
    const list = await T.attempt(async () => Object.fromEntries(Object.entries(await listModels())
      .map(([url, { damage }]) => [url, damage ? T.tell(damage).code : 'good'])));
    if (list.error) return { list };
    const remove = Object.keys(list.value).filter((url) => list.value[url] !== 'good');
    const removed = await T.attempt(() => Promise.all(remove.map((url) => removeModel(url))).then((infos) => infos.length));
    return { list, removed, left: Object.keys(await listModels()).sort() };
  });
  const damaged = ['cut', 'empty', 'null', 'text', 'undated'].map((path) => [`localstorage://${path}`, 'ERR_CORRUPT']);
  assert.deepEqual(ours.list.value, {
    'localstorage://good': 'good', 'indexeddb://good': 'good', 'indexeddb://ghost': 'ERR_CORRUPT', ...Object.fromEntries(damaged),
  });
  assert.deepEqual(ours.removed, { value: 6 });
  assert.deepEqual(ours.left, ['indexeddb://good', 'localstorage://good']);
  // That TF.js's own purge of Local Storage skips keys cannot be shown: tf.io does not export it.
  assert.ok(theirs.list.error, 'control: no list at all');
});

test('row 9: a path with :// can be removed; dateSaved is a Date everywhere', async () => {
  const { ours, theirs } = await both(page, async ({ lib }) => {
    const { save, removeModel, listModels } = await T.library(lib);
    const dates = [];
    const removed = [];
    for (const store of ['localstorage', 'indexeddb']) {
      const url = `${store}://a://b`;
      const { modelArtifactsInfo } = await save(T.plain('m', 1, 400), url);
      dates.push(modelArtifactsInfo.dateSaved instanceof Date, (await listModels())[url].dateSaved instanceof Date);
      removed.push((await T.attempt(async () => (await removeModel(url)).dateSaved instanceof Date)).value ?? 'fails');
    }
    return { dates, removed };
  });
  assert.deepEqual(ours, { dates: [true, true, true, true], removed: [true, true] });
  assert.deepEqual(theirs, { dates: [true, false, true, true], removed: ['fails', 'fails'] }, 'control');
});

test('row 10: the object URLs of a download are revoked, but not before the download', async () => {
  const folder = newFolder();
  const own = await openIn('chromium', { html: 'page', downloads: folder });
  await own.page.clock.install();
  await own.evaluate(() => T.countObjectURLs());
  const { ours, theirs } = await both(own, async ({ lib }) => {
    const from = T.objectURLs.length;
    await (await T.library(lib)).save(T.plain(lib, 1, 4000), `downloads://${lib}`);
    return { from, made: T.objectURLs.length - from };
  });
  await arrived(folder, 4);
  const state = async () => {
    const rows = await own.evaluate(() => Promise.all(T.objectURLs.map(async ({ url, revoked }) => (
      { revoked, works: await fetch(url).then(() => true, () => false) }))));
    return [ours, theirs].map(({ from, made }) => rows.slice(from, from + made));
  };
  const [alive, gone] = [{ revoked: 0, works: true }, { revoked: 1, works: false }];
  assert.deepEqual(await state(), [[alive, alive], [alive, alive]], 'a person may have to allow the second download first');
  await own.page.clock.runFor(60 * 60 * 1000);
  assert.deepEqual(await state(), [[gone, gone], [alive, alive]], 'control: an hour later TF.js has revoked none');
  await own.close();
});

test('row 11: Node: weights in pieces, parent folders, one swap, every field', async () => {
  const { ours, theirs } = await rowOfFiles();
  assert.deepEqual(ours, { pieces: 'right', parents: true, failed: 'the old model', dropped: [] });
  assert.deepEqual(theirs, {
    pieces: 'a zero byte each', parents: 'ENOENT', failed: 'the new topology with the old weights', dropped: ['initializerSignature', 'modelInitializer'],
  }, 'control');
});

test('row 12: an unknown scheme is an error that names the known ones, and no request', async () => {
  const typos = ['indexdb://m', 'indexeddb:/m'];
  const { ours, theirs } = await both(page, async ({ lib, argument: urls }) => {
    const { loadModel } = lib === 'tf.io' ? { loadModel: (_, url) => tf.loadLayersModel(url) } : await T.library(lib);
    const { fetch } = globalThis;
    const asked = [];
    globalThis.fetch = (...args) => { asked.push(String(args[0]?.url ?? args[0])); return fetch(...args); };
    const errors = [];
    for (const url of urls) errors.push((await T.attempt(() => loadModel(tf, url))).error);
    globalThis.fetch = fetch;
    return { errors, asked };
  }, typos);
  assert.deepEqual([ours.errors.map((error) => error?.code), ours.asked], [['ERR_UNKNOWN_SCHEME', 'ERR_INVALID_URL'], []]);
  const [{ scheme, known, message }] = ours.errors;
  assert.equal(scheme, 'indexdb');
  const all = ['localstorage', 'indexeddb', 'memory', 'http', 'https', 'downloads', 'file'];
  for (const name of all) assert.ok(known.includes(name) && message.includes(`${name}://`), message);
  assert.match(ours.errors[1].message, /indexeddb:\/\//);
  assert.deepEqual(theirs.asked, typos, 'control: it takes them for the URLs of requests');
  for (const error of theirs.errors) assert.equal(error?.message, 'Failed to fetch', 'control: and says nothing of schemes');
});

test('row 13: a move from a server is refused before anything is asked for', async () => {
  const server = await dropper();
  for (const lib of ['tfpersist', 'tf.io']) {
    for (const [path, bytes] of publishPlain(1000, 300, { folder: `${lib}/` }).files) server.files.set(path, bytes);
  }
  const { ours, theirs } = await both(page, async ({ lib, argument: url }) => {
    const { moveModel, listModels } = await T.library(lib);
    const { error } = await T.attempt(() => moveModel(`${url}/${lib}/model.json`, 'indexeddb://m'));
    return { error, listed: Object.keys(await listModels()) };
  }, `${server.url}/plain`);
  const asked = (lib) => server.log.filter(({ name }) => name.startsWith(`${lib}/`)).map(({ name }) => name.slice(lib.length + 1)).sort();
  assert.deepEqual([asked('tfpersist'), ours.listed], [[], []]);
  assert.deepEqual([ours.error?.code, ours.error?.argument], ['ERR_INVALID_ARGUMENT', 'source']);
  const all = [1, 2, 3, 4].map((i) => `group1-shard${i}of4.bin`).concat('model.json');
  assert.deepEqual([asked('tf.io'), theirs.listed], [all, []], 'control: it downloads everything');
  assert.match(theirs.error?.message, /Cannot find model manager for scheme 'http'/, 'control: and then it fails');
});
