// How the two libraries plug into each other: handlers, routers, registered stores, strange paths, listing, copying,
// moving and removing what the other saved, and the file of what TF.js 4.22.0 stored once.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { describe, test } from 'node:test';
import { fromBase64 } from '../lib/bytes.mjs';
import { LIB, open } from '../lib/suite.mjs';

const STORES = ['localstorage', 'indexeddb'];
const page = await open();

test('handlers go both ways: fromMemory, withSaveHandler, any object with load or save', async () => {
  const prints = await page.evaluate(async (lib) => {
    const { save, load, copyModel, fromMemory, withSaveHandler, handler } = await T.library(lib);
    const model = await T.build('sequential');
    const caught = [];
    const catcher = async (artifacts) => {
      caught.push(artifacts);
      return { modelArtifactsInfo: tf.io.getModelArtifactsInfoForJSON(artifacts) };
    };
    const results = [
      await model.save(withSaveHandler(catcher)),
      await save(model, tf.io.withSaveHandler(catcher)),
      await save(model, { save: catcher }),
      await handler({ save: catcher }).save(caught[0]),
      { modelArtifactsInfo: await copyModel(fromMemory(caught[0]), { save: catcher }) },
    ];
    const expected = await T.print(caught[0]);
    const saved = await Promise.all(caught.map(T.print));
    await save(caught[0], 'indexeddb://plugs');
    const loaded = await Promise.all([
      await load(tf.io.fromMemory(caught[0])),
      await load({ load: async () => caught[0] }),
      await load(caught[0]),
      await load(fromMemory(caught[0])),
      await handler(tf.io.getLoadHandlers('indexeddb://plugs')[0]).load(),
    ].map(T.print));
    const predictions = await T.predict('sequential', model);
    const again = await T.predict('sequential', await tf.loadLayersModel(fromMemory(caught[0])));
    const sizes = results.map((r) => r.modelArtifactsInfo.weightDataBytes);
    return { expected, saved, loaded, sizes, predictions, again };
  }, LIB);
  assert.deepEqual(prints.saved, Array(5).fill(prints.expected));
  assert.deepEqual(prints.loaded, Array(5).fill(prints.expected));
  assert.deepEqual(prints.sizes, Array(5).fill(268)); // (4 * 8 + 8 + 8 * 3 + 3) * 4
  assert.deepEqual(prints.again, prints.predictions);
});

test('install(tf): memory:// and a registered store work from model.save to tf.loadLayersModel', async () => {
  const own = await open(); // routers cannot be taken back
  const result = await own.evaluate(async (lib) => {
    const { install, registerStore, listModels, removeModel, moveModel, load } = await T.library(lib);
    const shelf = new Map();
    registerStore('shelf', {
      async save(path, artifacts) {
        shelf.set(path, { artifacts: structuredClone(artifacts), info: tf.io.getModelArtifactsInfoForJSON(artifacts) });
      },
      load: async (path) => shelf.get(path)?.artifacts,
      list: () => Object.fromEntries([...shelf].map(([path, { info }]) => [path, info])),
      remove: (path) => void shelf.delete(path),
    });
    const installed = [install(tf), install(tf)]; // twice does no harm: a URL with two answers would be an error
    const model = await T.build('sequential');
    const known = { predictions: await T.predict('sequential', model), weights: await T.knowledge('sequential', model) };
    const out = { installed, weights: known.weights.weights, predictions: [known.predictions], loaded: [] };
    for (const url of ['memory://a/b', 'shelf://a/b']) {
      const { modelArtifactsInfo } = await model.save(url);
      out.loaded.push(modelArtifactsInfo.weightDataBytes);
      const back = await tf.loadLayersModel(url);
      out.predictions.push(await T.predict('sequential', back));
    }
    await moveModel('memory://a/b', 'indexeddb://moved');
    await moveModel('shelf://a/b', 'memory://moved');
    out.predictions.push(await T.predict('sequential', await tf.loadLayersModel('indexeddb://moved')));
    out.buffer = [await load('memory://moved')].map((a) => a.weightData instanceof ArrayBuffer);
    out.listed = Object.keys(await listModels()).sort();
    await removeModel('memory://moved');
    out.left = [Object.keys(await listModels()).sort(), shelf.size];
    return out;
  }, LIB);
  assert.deepEqual([...new Set(result.installed.flat())].sort(), ['memory', 'opfs', 'shelf']);
  assert.deepEqual(result.loaded, [268, 268]);
  assert.deepEqual(result.predictions, Array(4).fill(result.predictions[0]));
  assert.deepEqual(result.buffer, [true]);
  assert.deepEqual(result.listed, ['indexeddb://moved', 'memory://moved']);
  assert.deepEqual(result.left, [['indexeddb://moved'], 0]);
  await own.close();
});

const PATHS = ['m', 'a/b/c', '/leading', 'trailing/', 'a//b', 'with space', 'ünï/\u{1F600}', 'a://b', 'http://host/model.json',
  'info', 'm/info', 'm/info/info', 'weight_data', '%2F', '?q=1#h', '..', '__proto__', 'constructor', 'x'.repeat(300)];

describe('paths', () => {
  for (const store of STORES) {
    test(`${store}: strange ones, all at once, saved by either and read by both`, async () => {
      const rows = await page.evaluate(async ({ lib, scheme, paths }) => {
        const { save, load, listModels, removeModel } = await T.library(lib);
        const theirs = await T.library('tf.io');
        const rows = [];
        for (const saver of [theirs, { save }]) {
          await T.clear();
          const prints = [];
          for (const [i, path] of paths.entries()) {
            const model = T.plain(`model ${i}`, i, 40);
            prints.push(await T.print(model));
            await saver.save(model, `${scheme}://${path}`);
          }
          const listed = Object.keys(await listModels()).sort();
          for (const [i, path] of paths.entries()) {
            const url = `${scheme}://${path}`;
            const found = [await T.print(await load(url)), await T.print(await theirs.load(url))];
            const info = await removeModel(url);
            const gone = [(await T.attempt(() => load(url))).error?.code, Object.hasOwn(await listModels(), url)];
            rows.push({ path, listed: listed[i], same: found.every((p) => p === prints[i]), bytes: info.weightDataBytes, gone });
          }
        }
        return rows;
      }, { lib: LIB, scheme: store, paths: PATHS });
      const sorted = PATHS.map((path) => `${store}://${path}`).sort();
      assert.deepEqual(rows.map((r) => r.listed), [...sorted, ...sorted]);
      for (const { path, same, bytes, gone } of rows) {
        assert.deepEqual({ path, same, bytes, gone }, { path, same: true, bytes: 40, gone: ['ERR_NOT_FOUND', false] });
      }
    });
  }
});

test('both list the same, and each copies, moves and removes what the other saved', async () => {
  const result = await page.evaluate(async ({ lib, stores }) => {
    const us = await T.library(lib);
    const them = await T.library('tf.io');
    const model = T.plain('m', 1, 4000);
    const expected = await T.print(model);
    const rows = [];
    const lists = [];
    for (const [saver, worker] of [[us, them], [them, us]]) {
      for (const from of stores) {
        for (const to of stores) {
          await T.clear();
          await saver.save(model, `${from}://a`);
          await worker.copyModel(`${from}://a`, `${to}://b`);
          await worker.moveModel(`${from}://a`, `${to}://c`);
          const listed = await Promise.all([us.listModels(), them.listModels()]);
          // TF.js hands out the info as it is stored, with our checksum in it; we do not.
          lists.push(listed.map((list, i) => Object.entries(list).sort().map(([url, { checksum, ...info }]) => [url,
            { ...info, dateSaved: +new Date(info.dateSaved) }, i === 0 && checksum !== undefined])));
          const prints = [];
          for (const { load } of [us, them]) {
            for (const path of ['b', 'c']) prints.push(await T.print(await load(`${to}://${path}`)));
          }
          const removed = await worker.removeModel(`${to}://b`);
          rows.push({
            same: prints.every((p) => p === expected),
            urls: Object.keys(listed[0]).sort(),
            removed: removed.weightDataBytes,
            left: Object.keys(await us.listModels()),
            wanted: [[`${to}://b`, `${to}://c`], [`${to}://c`]],
          });
        }
      }
    }
    return { rows, lists };
  }, { lib: LIB, stores: STORES });
  assert.equal(result.rows.length, 8);
  for (const { wanted, ...row } of result.rows) {
    assert.deepEqual(row, { same: true, urls: wanted[0], removed: 4000, left: wanted[1] });
  }
  for (const [ours, theirs] of result.lists) assert.deepEqual(ours, theirs);
});

/** The fixture as `restore` takes it: buffers and dates are revived in the page. */
const golden = JSON.parse(fs.readFileSync(new URL('../fixtures/tfjs-4.22.0-golden.json', import.meta.url), 'utf8'));

test('what TF.js stored and filed away: it loads, predicts, is listed, and is not written to', async () => {
  const result = await page.evaluate(async ({ lib, file, stores }) => {
    const { loadModel, load, listModels } = await T.library(lib);
    await T.clear();
    await T.restore(T.reviveGolden(file));
    const before = await T.dumpHash();
    const out = { predictions: [], theirs: [], prints: [] };
    const input = tf.tensor([[1, 2, 3], [0.5, 0, -4]]);
    for (const store of stores) {
      for (const path of ['golden/m1', 'plain']) {
        const url = `${store}://${path}`;
        out.predictions.push(Array.from(await (await loadModel(tf, url)).predict(input).data()));
        out.theirs.push(Array.from(await (await tf.loadLayersModel(url)).predict(input).data()));
        out.prints.push([await T.print(await load(url)), await T.print(await (await T.library('tf.io')).load(url))]);
      }
    }
    out.listed = Object.fromEntries(Object.entries(await listModels())
      .map(([url, info]) => [url, { ...info, dateSaved: info.dateSaved.toISOString() }]));
    out.untouched = await T.dumpHash() === before;
    return out;
  }, { lib: LIB, file: golden, stores: STORES });
  // Worked out by hand: hidden units relu(sum of inputs), twice; three small weights of (almost) 0.01.
  const [w1, w2, b] = new Float32Array(fromBase64(golden.ls['tensorflowjs_models/plain/weight_data']), 32);
  const byHand = [6 * w1 + 6 * w2 + b, b];
  for (const predictions of result.predictions) {
    for (const [i, y] of predictions.entries()) assert.ok(Math.abs(y - byHand[i]) < 1e-7, `${y} is not ${byHand[i]}`);
  }
  assert.deepEqual(result.predictions, result.theirs);
  for (const [ours, theirs] of result.prints) assert.equal(ours, theirs);
  const listed = Object.entries(golden.listModels).map(([url, { dateSavedType, ...info }]) => [url, info]);
  assert.deepEqual(result.listed, Object.fromEntries(listed));
  assert.ok(result.untouched, 'loading and listing wrote something');
});
