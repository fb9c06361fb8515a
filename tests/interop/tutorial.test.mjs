// The tutorial that the project started from: each row of its two tables, its management calls, and the way to Keras.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { before, test } from 'node:test';
import { python, upload } from '../lib/counterparts.mjs';
import { arrived, asText, newFolder } from '../lib/disk.mjs';
import { ENGINES, openIn } from '../lib/engines.mjs';

const KIND = 'sequential';
const engines = ENGINES.filter((engine) => engine !== 'webkit'); // which cannot be told where to download to

/** Trains a model in the page and saves it to `url` with our `save`, or TF.js's; gives its predictions. */
const trainAndSave = (page, url, ours) => page.evaluate(async ({ kind, url, ours }) => {
  const { save } = await T.library(ours ? 'tfpersist' : 'tf.io');
  const model = await T.build(kind);
  await save(model, url);
  return T.predict(kind, model);
}, { kind: KIND, url, ours });

/** The predictions of the model that our `loadModel`, or TF.js, finds there. */
const loadAndPredict = (page, url, ours) => page.evaluate(async ({ kind, url, ours }) => {
  const { loadModel } = await T.library('tfpersist');
  const model = ours ? await loadModel(tf, url) : await tf.loadLayersModel(url);
  return T.predict(kind, model);
}, { kind: KIND, url, ours });

/** What Keras predicts for the inputs of `predict`, from the file that TF.js's own converter makes of a model.json. */
function kerasPredicts(modelJson) {
  const h5 = path.join(newFolder(), 'my-model-1.h5');
  const converter = path.join(path.dirname(python), 'tensorflowjs_converter');
  execFileSync(converter, ['--input_format=tfjs_layers_model', '--output_format=keras', modelJson, h5], { stdio: 'pipe' });
  const script = `
import json, sys, tf_keras, numpy
inputs = numpy.array(json.load(sys.stdin), "float32").reshape(-1, 4)
print(json.dumps(tf_keras.models.load_model(sys.argv[1], compile=False).predict(inputs, verbose=0).tolist()))`;
  const { numbers } = inputs;
  const { stdout } = spawnSync(python, ['-c', script, h5], { input: JSON.stringify(numbers), encoding: 'utf8' });
  return JSON.parse(stdout.trim().split('\n').at(-1)).flat();
}
const inputs = { numbers: undefined };

function assertClose(ours, theirs) {
  assert.equal(ours.length, theirs.length);
  for (const [i, y] of ours.entries()) assert.ok(Math.abs(y - theirs[i]) < 1e-6, `${y} is not ${theirs[i]}`);
}
const floats = ([bits]) => Array.from(new Float32Array(Uint8Array.from(Buffer.from(bits, 'hex')).buffer));

let flask;
before(async () => {
  flask = await upload();
  const { numbers } = await import('../lib/bytes.mjs');
  inputs.numbers = Array.from(numbers(10, 24));
});

for (const engine of engines) {
  let page, downloads;
  before(async () => {
    downloads = newFolder();
    page = await openIn(engine, { html: 'page', downloads });
  });

  for (const [name, scheme] of [['Local Storage', 'localstorage'], ['IndexedDB', 'indexeddb']]) {
    test(`${engine}: save | ${name} | ${scheme}:// | model.save('${scheme}://my-model-1')`, async () => {
      const url = `${scheme}://my-model-1`;
      const before_ = await trainAndSave(page, url, true);
      await page.reload();
      assert.deepEqual(await loadAndPredict(page, url, false), before_);
    });

    test(`${engine}: load | ${name} | ${scheme}:// | tf.loadModel('${scheme}://my-model-1')`, async () => {
      const url = `${scheme}://my-model-1`;
      const before_ = await trainAndSave(page, url, false);
      await page.reload();
      assert.deepEqual(await loadAndPredict(page, url, true), before_);
    });
  }

  test(`${engine}: save | file download | downloads:// | model.save('downloads://my-model-1')`, async () => {
    const before_ = await trainAndSave(page, 'downloads://my-model-1', true);
    const files = await arrived(downloads, 2);
    assert.deepEqual(files.map((file) => path.basename(file)), ['my-model-1.json', 'my-model-1.weights.bin']);
    const found = await page.evaluate(async ({ kind, files }) => {
      const made = files.map(([name, text]) => new File([T.fromBase64(text)], name));
      return T.predict(kind, await tf.loadLayersModel(tf.io.browserFiles(made)));
    }, { kind: KIND, files: asText(files) });
    assert.deepEqual(found, before_);
    assertClose(kerasPredicts(files[0]), floats(before_)); // "Convert to Keras": my-model-1.json
  });

  test(`${engine}: load | files that a user chooses | tf.io.browserFiles([modelJSONFile, weightsFile])`, async () => {
    const files = await arrived(downloads, 2);
    await page.evaluate(() => { document.body.innerHTML = '<input id="json" type="file"><input id="weights" type="file">'; });
    await page.choose('#json', [files[0]]);
    await page.choose('#weights', [files[1]]);
    const found = await page.evaluate(async (kind) => {
      const { browserFiles } = await T.library('tfpersist');
      const [json, weights] = ['json', 'weights'].map((id) => document.getElementById(id).files[0]);
      const model = await tf.loadLayersModel(browserFiles([json, weights]));
      return T.predict(kind, model);
    }, KIND);
    const theirs = await page.evaluate(async (kind) => {
      const [json, weights] = ['json', 'weights'].map((id) => document.getElementById(id).files[0]);
      return T.predict(kind, await tf.loadLayersModel(tf.io.browserFiles([json, weights])));
    }, KIND);
    assert.deepEqual(found, theirs);
  });

  test(`${engine}: save | HTTP request | http:// | model.save('http://model-server.domain/upload'), rebuilt by Keras`, async () => {
    const { answers, before_ } = await page.evaluate(async ({ kind, url, numbers }) => {
      const { save, browserHTTPRequest } = await T.library('tfpersist');
      const model = await T.build(kind);
      const rows = Array.from({ length: 6 }, (_, i) => numbers.slice(4 * i, 4 * i + 4));
      const asked = `${url}?inputs=${encodeURIComponent(JSON.stringify(rows))}`;
      const results = [
        await save(model, asked),
        await save(model, browserHTTPRequest(asked, { method: 'PUT', headers: { 'x-key': 'header_value_1' } })),
        await model.save(browserHTTPRequest(asked)),
      ];
      const answers = [];
      for (const { responses } of results) answers.push(await responses[0].json());
      return { answers, before_: await T.predict(kind, model) };
    }, { kind: KIND, url: `${flask.url}/upload`, numbers: inputs.numbers });
    for (const answer of answers) assertClose(answer.predictions.flat(), floats(before_));
    assert.deepEqual(answers.map((answer) => answer.method), ['POST', 'PUT', 'POST']);
    assert.equal(answers[1].headers['X-Key'], 'header_value_1');
  });

  test(`${engine}: load | HTTP request | http:// | tf.loadModel('http://model-server.domain/download/model.json')`, async () => {
    const url = '/tests/fixtures/converter/layers/model.json'; // relative, and absolute
    const found = await page.evaluate(async (url) => {
      const { loadModel } = await T.library('tfpersist');
      const predict = async (model) => T.hex((await model.predict(tf.tensor(T.numbers(4, 8), [2, 4])).data()).slice().buffer);
      return [await predict(await loadModel(tf, url)), await predict(await loadModel(tf, new URL(url, location).href)),
        await predict(await tf.loadLayersModel(url))];
    }, url);
    assert.equal(found[0], found[2]);
    assert.equal(found[1], found[2]);
  });

  test(`${engine}: listModels, copyModel, moveModel, removeModel, as the tutorial calls them`, async () => {
    const rows = await page.evaluate(async (kind) => {
      const { save, listModels, copyModel, moveModel, removeModel, loadModel } = await T.library('tfpersist');
      await T.clear();
      const model = await T.build(kind);
      await save(model, 'localstorage://my-model');
      const rows = [];
      const list = async () => rows.push(Object.entries(await listModels()).map(([url, info]) => [url, info.weightDataBytes]));
      await copyModel('localstorage://my-model', 'indexeddb://cloned-model');
      await list();
      await removeModel('indexeddb://cloned-model');
      await moveModel('localstorage://my-model', 'indexeddb://cloned-model');
      await list();
      const same = (await T.predict(kind, await loadModel(tf, 'indexeddb://cloned-model')))[0] === (await T.predict(kind, model))[0];
      await removeModel('indexeddb://cloned-model');
      await list();
      return [...rows, same];
    }, KIND);
    const bytes = (4 * 8 + 8 + 8 * 3 + 3) * 4;
    assert.deepEqual(rows, [[['localstorage://my-model', bytes], ['indexeddb://cloned-model', bytes]],
      [['indexeddb://cloned-model', bytes]], [], true]);
  });
}

test("Node: save | file system | file:// | model.save('file:///tmp/my-model-1'), and load | tf.loadModel('file:///tmp/my-model-1/model.json')", async () => {
  globalThis.tf = (await import('@tensorflow/tfjs')).default;
  await tf.setBackend('cpu');
  const { build, predict } = await import('../lib/models.mjs');
  const { save, loadModel, install } = await import('../../pkg/node.js');
  const folder = path.join(newFolder(), 'tmp/my-model-1');
  const model = await build(KIND);
  await save(model, `file://${folder}`);
  assert.deepEqual(fs.readdirSync(folder).sort(), ['model.json', 'weights.bin']);
  const expected = await predict(KIND, model);
  assert.deepEqual(await predict(KIND, await loadModel(tf, `file://${folder}/model.json`)), expected);
  install(tf); // and now in TF.js's own words
  await model.save(`file://${folder}-2`);
  assert.deepEqual(await predict(KIND, await tf.loadLayersModel(`file://${folder}-2/model.json`)), expected);
  assertClose(kerasPredicts(path.join(folder, 'model.json')), floats(expected)); // "Convert to Keras"
});
