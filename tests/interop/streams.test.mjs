// Weights as streams and Blobs, in and out: what save takes, and what `{ stream: true }` gives to TF.js.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { dropper, nginx } from '../lib/counterparts.mjs';
import { open } from '../lib/suite.mjs';

const folder = fileURLToPath(new URL('../fixtures/converter/', import.meta.url));

let page, server, files;
before(async () => {
  [page, server, files] = await Promise.all([open(), nginx(folder), dropper()]);
  await page.evaluate(async () => (await T.library('tfpersist')).default({ transfers: true }));
});

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
