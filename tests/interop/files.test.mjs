// Models out of files that a person picks, drops or opens: every way in, every order, every name that browsers give.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { print } from '../lib/artifacts.mjs';
import { asText, newFolder } from '../lib/disk.mjs';
import { ENGINES, openIn } from '../lib/engines.mjs';
import { WAYS } from '../lib/picked.mjs';
import { publish, publishPlain } from '../lib/published.mjs';

const base64 = (files) => files.map(([name, bytes]) => [name, Buffer.from(bytes).toString('base64')]);
const converted = path.resolve(import.meta.dirname, '../fixtures/converter');
const filesIn = (name) => fs.readdirSync(`${converted}/${name}`).filter((file) => file !== 'expected.json')
  .map((file) => `${converted}/${name}/${file}`);

const { artifacts, files } = publishPlain(1000, 300);
const [json, ...shards] = files;
const jsonText = json[1].toString();

/** Two groups of weights, each in files of its own, some in a folder, in an order that is not the alphabet's. */
function groups() {
  const weightSpecs = ['b', 'a', 'c'].map((name) => ({ name, shape: [50], dtype: 'float32' }));
  const whole = { ...artifacts, weightSpecs, weightData: artifacts.weightData.slice(0, 600) };
  const [[name, text]] = publish(whole, 1000);
  const weightsManifest = [
    { paths: ['z.bin', 'weights/a.bin'], weights: weightSpecs.slice(0, 2) },
    { paths: ['weights/m.bin'], weights: weightSpecs.slice(2) },
  ];
  const bytes = Buffer.from(whole.weightData);
  return {
    artifacts: whole,
    files: [[name, JSON.stringify({ ...JSON.parse(text), weightsManifest })], ['z.bin', bytes.subarray(0, 100)],
      ['weights/a.bin', bytes.subarray(100, 400)], ['weights/m.bin', bytes.subarray(400)]],
  };
}

/** One file of weights, whose name a second download changes. */
function renamed(names, stem = 'm') {
  const one = publish(artifacts, 1e6, { change: ([group]) => [{ ...group, paths: [`./${stem}.weights.bin`] }] });
  return [[names[0], one[0][1]], [names[1], one[1][1]]];
}

/** A weight file that begins as JSON does. */
function likeJson() {
  const weightData = artifacts.weightData.slice();
  new Uint8Array(weightData).set(Buffer.from('{"modelTopology": {'));
  return { artifacts: { ...artifacts, weightData }, files: publish({ ...artifacts, weightData }, 300) };
}

const shard = ([, bytes], name) => [name, bytes];
/** What the files are -> the files, and the model where it is another. */
const NAMES = {
  'two groups, weights in a folder': groups(),
  'a second download by Chromium': { files: renamed(['m (1).json', 'm.weights (1).bin']) },
  'a second download by Firefox': { files: renamed(['m(1).json', 'm.weights(1).bin']) },
  'only the weights are a second download': { files: renamed(['m.json', 'm.weights (12).bin']) },
  'a stem that ends like a second download': { files: renamed(['m (2).json', 'm (2).weights.bin'], 'm (2)') },
  'the second download of such a stem': { files: renamed(['m (2) (1).json', 'm (2).weights (1).bin'], 'm (2)') },
  'shards that were downloaded again': { files: [json, ...shards.map((file) => shard(file, file[0].replace('.bin', ' (3).bin')))] },
  'a JSON of another name': { files: [['whatever.txt', json[1]], ...shards] },
  'a JSON without an end to its name': { files: [['zzz', json[1]], ...shards] },
  'a JSON with a byte order mark': { files: [['model.json', `\ufeff${jsonText}`], ...shards] },
  'a JSON in many lines': { files: [['model.json', `\r\n\r\n${JSON.stringify(JSON.parse(jsonText), null, 4)}\n`], ...shards] },
  'weights that begin like a JSON': likeJson(),
};

/** WebKitGTK has no handles of files and folders. */
const has = (engine, way) => engine !== 'webkit' || !way.startsWith('FileSystem');

for (const engine of ENGINES) {
  describe(engine, () => {
    let page;
    before(async () => { page = await openIn(engine, { html: 'page' }); });
    const taken = (way, rows, options) => page.evaluate(({ way, rows, options }) => T.taken(way, rows, options), { way, rows: base64(rows), options });

    for (const way of WAYS.filter((name) => has(engine, name))) {
      test(`${way}: JSON and shards`, async () => {
        assert.deepEqual(await taken(way, files), { value: await print(artifacts) });
      });
    }

    for (const [name, { files: named, artifacts: model = artifacts }] of Object.entries(NAMES)) {
      test(`${name}: first to last, last to first, in a folder`, async () => {
        for (const way of ['File[]', 'File[], the last first', 'FileSystemDirectoryHandle'].filter((one) => has(engine, one))) {
          assert.deepEqual(await taken(way, named), { value: await print(model) }, way);
        }
      });
    }

    if (has(engine, 'FileSystemDirectoryHandle')) test('a folder: other files and folders do not matter', async () => {
      const others = [['README.md', '# {"modelTopology": {}}'], ['package.json', '{"name": "app"}'], ['.DS_Store', '\0\0\0\x01Bud1'],
        ['src/weights.bin', 'no'], ['tsconfig.json', '{\n  // comments are allowed in this one\n  "strict": true }'], ['empty.json', ''],
        ['list.json', '[1, 2]'], ['._model.json', '\0\x05\x16\x07']];
      assert.deepEqual(await taken('FileSystemDirectoryHandle', [...others, ...files]), { value: await print(artifacts) });
    });

    if (has(engine, 'FileSystemDirectoryHandle')) test('a folder in a folder: paths begin at the JSON, not at the folder', async () => {
      const { artifacts: model, files: named } = groups();
      const decoys = [['z.bin', Buffer.alloc(100)], ['weights/m.bin', Buffer.alloc(200)]];
      const rows = [...named.map(([name, bytes]) => [`deep/model/${name}`, bytes]), ...decoys];
      assert.deepEqual(await taken('FileSystemDirectoryHandle', rows), { value: await print(model) });
    });

    test('a JSON alone is the topology with all metadata, and the specs of what is missing; TF.js drops the metadata', async () => {
      const { found, expected, theirs } = await page.evaluate(async () => {
        const { load } = await T.library('tfpersist');
        const { weightData, ...expected } = T.CASES['every field'].make();
        const { weightSpecs, ...fields } = expected;
        const json = JSON.stringify({ ...fields, weightsManifest: [{ paths: ['w.bin'], weights: weightSpecs }] });
        const files = [new File([json], 'm.json')];
        const found = [await load(files), await load(files[0]), await load(new Blob([json]))];
        return { found, expected, theirs: await tf.io.browserFiles(files).load() };
      });
      assert.ok(Object.keys(expected).length >= 9, Object.keys(expected).join());
      for (const one of found) assert.deepEqual(one, expected);
      assert.deepEqual(theirs, { modelTopology: expected.modelTopology });
    });

    test('weights that read like a model JSON are weights, once a model has named them', async () => {
      const [found, expected] = await page.evaluate(async () => {
        const { load } = await T.library('tfpersist');
        const text = JSON.stringify({ modelTopology: {}, weightsManifest: [] });
        const weights = [{ name: 'w', shape: [text.length], dtype: 'bool' }];
        const json = JSON.stringify({ modelTopology: {}, weightsManifest: [{ paths: ['w'], weights }] });
        const { weightData } = await load([new File([text], 'w'), new File([json], 'm.json')]);
        return [await new Blob([weightData].flat()).text(), text];
      });
      assert.equal(found, expected);
    });

    test('progress: each file by its name, never falling, at the end exactly 1', async () => {
      for (const way of ['File[]', 'FileSystemDirectoryHandle'].filter((one) => has(engine, one))) {
        const rows = await page.evaluate(async ({ way, rows }) => {
          const told = [];
          await T.taken(way, rows, { onProgress: (fraction, detail) => told.push([fraction, structuredClone(detail)]) });
          return told;
        }, { way, rows: base64(files) });
        assert.ok(rows.every(([fraction], i) => i === 0 || fraction >= rows[i - 1][0]));
        const [fraction, last] = rows.at(-1);
        assert.deepEqual([fraction, last.phase, last.loaded], [1, 'done', last.total]);
        const ended = Object.fromEntries(rows.filter(([, { file }]) => file).map(([, { file }]) => [path.basename(file.name), [file.loaded, file.total]]));
        for (const [name, bytes] of shards) assert.deepEqual(ended[name], [bytes.length, bytes.length], name);
        assert.equal(rows.filter(([fraction]) => fraction === 1).length, 1);
      }
    });

    test('a signal stops it, with its own reason', async () => {
      const reasons = await page.evaluate(async (rows) => {
        const { load } = await T.library('tfpersist');
        const controller = new AbortController();
        const onProgress = () => controller.abort('enough');
        const reason = (promise) => promise.then(() => 'loaded', (error) => error);
        return [await reason(load(T.filesOf(rows), { signal: AbortSignal.abort('never') })),
          await reason(load(T.filesOf(rows), { signal: controller.signal, onProgress }))];
      }, base64(files));
      assert.deepEqual(reasons, ['never', 'enough']);
    });

    test('in a worker', async () => {
      const found = await page.evaluate(async (rows) => {
        const code = `
          import { load } from '${location.origin}/pkg/index.js';
          import { print } from '${location.origin}/tests/lib/artifacts.mjs';
          onmessage = ({ data }) => load(data).then(print).then(postMessage, (error) => postMessage(error.message));`;
        const worker = new Worker(URL.createObjectURL(new Blob([code], { type: 'text/javascript' })), { type: 'module' });
        worker.postMessage(T.filesOf(rows));
        return new Promise((resolve) => { worker.onmessage = ({ data }) => resolve(data); });
      }, base64(files));
      assert.equal(found, await print(artifacts));
    });

    for (const name of ['layers', 'layers-uint8', 'graph']) {
      test(`${name} of TF.js's converter: browserFiles gives TF.js what it predicts the same with`, async () => {
        const { theirs, ours } = await page.evaluate(async ({ rows, graph }) => {
          const { browserFiles, loadModel } = await T.library('tfpersist');
          const files = T.filesOf(rows);
          const json = files.find((file) => file.name === 'model.json');
          const bins = files.filter((file) => file !== json);
          const tfLoad = graph ? tf.loadGraphModel : tf.loadLayersModel;
          const bits = async (model) => T.hex((await model.predict(tf.tensor(T.numbers(4, 8), [2, 4])).data()).slice().buffer);
          const models = [await tfLoad(tf.io.browserFiles([json, ...bins])),
            await tfLoad(browserFiles([...bins.toReversed(), json])), await loadModel(tf, files)];
          const [theirs, ...ours] = await Promise.all(models.map(bits));
          return { theirs, ours };
        }, { rows: asText(filesIn(name)), graph: name === 'graph' });
        assert.match(theirs, /[1-9a-f]/);
        assert.deepEqual(ours, [theirs, theirs]);
      });
    }
  });
}

/** Real files in a real folder, among others. */
function onDisk() {
  const folder = newFolder();
  for (const [name, bytes] of files) fs.writeFileSync(path.join(folder, name), bytes);
  return folder;
}

for (const engine of ENGINES.filter((name) => name !== 'webkit')) {
  test(`${engine}: a real <input type=file multiple>${engine === 'chromium' ? ', and a real folder' : ''}`, async () => {
    const page = await openIn(engine, { html: 'page' });
    const folder = onDisk();
    const paths = fs.readdirSync(folder).map((name) => path.join(folder, name));
    await page.evaluate(() => { 
      document.body.innerHTML = '<input id="files" type="file" multiple><input id="folder" type="file" webkitdirectory>';
    });
    await page.choose('#files', paths.toReversed());
    const load = (id) => page.evaluate(async (id) => T.attempt(async () => {
      const { load } = await T.library('tfpersist');
      return T.print(await load(document.getElementById(id).files));
    }), id);
    assert.deepEqual(await load('files'), { value: await print(artifacts) });
    if (engine === 'chromium') { // geckodriver takes no folders
      fs.writeFileSync(path.join(folder, 'notes.txt'), 'in a folder, other files do not matter');
      await page.choose('#folder', [folder]);
      assert.deepEqual(await load('folder'), { value: await print(artifacts) });
    }
    fs.rmSync(path.join(folder, 'group1-shard2of4.bin'));
    const { error } = await load('files');
    assert.equal(error.code, 'ERR_STORAGE', JSON.stringify(error));
    assert.match(error.message, /shard2of4/);
    await page.close();
  });
}

test('chromium: a handle whose file is gone is told by its name', async () => {
  const page = await openIn('chromium', { html: 'page' });
  const error = await page.evaluate(async () => {
    const { load } = await T.library('tfpersist');
    const root = await navigator.storage.getDirectory();
    const handle = await root.getFileHandle('gone.json', { create: true });
    await root.removeEntry('gone.json');
    return (await T.attempt(() => load([handle]))).error;
  });
  assert.equal(error.code, 'ERR_STORAGE', JSON.stringify(error));
  assert.match(error.message, /gone\.json/);
  await page.close();
});

for (const [what, paths] of Object.entries({
  'files': (folder) => fs.readdirSync(folder).map((name) => path.join(folder, name)),
  'a folder': (folder) => [folder],
})) {
  test(`chromium: a real drop of ${what}`, async () => {
    const { page, evaluate, close } = await openIn('chromium', { html: 'page' });
    await evaluate(() => {
      document.body.innerHTML = '<div style="position: fixed; inset: 0"></div>';
      addEventListener('dragover', (event) => event.preventDefault());
      window.dropped = new Promise((resolve) => {
        addEventListener('drop', async (event) => {
          event.preventDefault();
          resolve(T.attempt(async () => T.print(await window.load(event.dataTransfer))));
        });
      });
      return T.library('tfpersist').then(({ load }) => { window.load = load; });
    });
    const cdp = await page.context().newCDPSession(page);
    const data = { items: [], files: paths(onDisk()), dragOperationsMask: 1 };
    for (const type of ['dragEnter', 'dragOver', 'drop']) await cdp.send('Input.dispatchDragEvent', { type, x: 50, y: 50, data });
    assert.deepEqual(await evaluate(() => window.dropped), { value: await print(artifacts) });
    await close();
  });
}
