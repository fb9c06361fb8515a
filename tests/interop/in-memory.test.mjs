// load({ modelJSON, weights }): a model whose files are in memory already, in all forms that this takes.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { print } from '../lib/artifacts.mjs';
import { publishPlain } from '../lib/published.mjs';
import { open } from '../lib/suite.mjs';

const { artifacts, files } = publishPlain(1000, 300);

let page;
before(async () => { page = await open(); });

/** Name of each form -> what comes of it: the print of the model, or the error. `make` gets the JSON's text and a row of buffers. */
const outcomes = (make) => page.evaluate(async ({ rows, make }) => {
  const { load } = await T.library('tfpersist');
  const [json, ...shards] = rows.map(([, base64]) => T.fromBase64(base64));
  const names = rows.slice(1).map(([name]) => name);
  const forms = (0, eval)(make)({ text: new TextDecoder().decode(json), json, shards, names, whole: T.join(shards) });
  const out = {};
  for (const [name, source] of Object.entries(forms)) {
    const { value, error } = await T.attempt(async () => T.print(await load(source)));
    out[name] = value ?? error;
  }
  return out;
}, { rows: files.map(([name, bytes]) => [name, bytes.toString('base64')]), make: `(${make})` });

test('every form of both gives the same model', async () => {
  const found = await outcomes(({ text, json, shards, names, whole }) => {
    const odd = new Uint8Array([0, ...new Uint8Array(whole), 0]).subarray(1, -1);
    const table = Object.fromEntries(names.map((name, i) => [name, shards[i]]));
    return {
      'an object, one buffer': { modelJSON: JSON.parse(text), weights: whole },
      'a text, one buffer': { modelJSON: text, weights: whole },
      'a buffer, one buffer': { modelJSON: json, weights: whole },
      'a view, a view': { modelJSON: new Uint8Array(json), weights: odd },
      'a DataView': { modelJSON: new DataView(json), weights: new DataView(whole) },
      'a list of buffers': { modelJSON: text, weights: shards },
      'a list that is cut elsewhere': { modelJSON: text, weights: [whole.slice(0, 7), new Uint8Array(whole, 7, 0), new Uint8Array(whole, 7)] },
      'a table': { modelJSON: text, weights: table },
      'a table, another order, and more in it': {
        modelJSON: text, weights: Object.fromEntries([['other.bin', json], ...Object.entries(table).reverse()]),
      },
      'a table of views': { modelJSON: text, weights: Object.fromEntries(names.map((name, i) => [name, new Uint8Array(shards[i])])) },
      'a JSON with a byte order mark': { modelJSON: new TextEncoder().encode(`\ufeff${text}`), weights: whole },
      'paths in folders, a table of base names': { modelJSON: text.replaceAll('"group1-', '"./deep/group1-'), weights: table },
      'paths in folders, a table of paths': {
        modelJSON: text.replaceAll('"group1-', '"deep/group1-'),
        weights: Object.fromEntries(names.map((name, i) => [`deep/${name}`, shards[i]])),
      },
    };
  });
  const expected = await print(artifacts);
  assert.equal(Object.keys(found).length, 13);
  for (const [name, one] of Object.entries(found)) assert.deepEqual(one, expected, name);
});

test('no weights: the topology with all metadata, and the specs; the caller keeps what it gave', async () => {
  const { found, kept, expected } = await page.evaluate(async () => {
    const { load } = await T.library('tfpersist');
    const { weightData, ...expected } = T.CASES['every field'].make();
    const { weightSpecs, ...fields } = expected;
    const modelJSON = { ...fields, weightsManifest: [{ paths: ['w.bin'], weights: weightSpecs }] };
    const text = JSON.stringify(modelJSON);
    T.deepFreeze(modelJSON);
    return { found: await load({ modelJSON }), kept: JSON.stringify(modelJSON) === text, expected };
  });
  assert.deepEqual(found, expected);
  assert.ok(kept);
});

test('refusals name what is missing or of a wrong size', async () => {
  const found = await outcomes(({ text, json, shards, names, whole }) => {
    const table = Object.fromEntries(names.map((name, i) => [name, shards[i]]));
    const { [names[1]]: gone, [names[2]]: alsoGone, ...some } = table;
    return {
      'too few bytes': { modelJSON: text, weights: whole.slice(4) },
      'too many bytes': { modelJSON: text, weights: [whole, new ArrayBuffer(1)] },
      'missing in the table': { modelJSON: text, weights: some },
      'truncated in the table': { modelJSON: text, weights: { ...table, [names[1]]: gone.slice(1) } },
      'a text that is no JSON': { modelJSON: '<!doctype html>', weights: whole },
      'bytes that are no JSON': { modelJSON: whole, weights: whole },
      'a JSON that is no model': { modelJSON: { name: 'app' }, weights: whole },
      'a number': { modelJSON: 7, weights: whole },
      'weights that are none': { modelJSON: text, weights: 'weights' },
      'weights that are numbers': { modelJSON: text, weights: [1, 2, 3] },
    };
  });
  const codes = Object.fromEntries(Object.entries(found).map(([name, { code }]) => [name, code]));
  assert.deepEqual(codes, {
    'too few bytes': 'ERR_SIZE_MISMATCH', 'too many bytes': 'ERR_SIZE_MISMATCH', 'missing in the table': 'ERR_MANIFEST',
    'truncated in the table': 'ERR_SIZE_MISMATCH', 'a text that is no JSON': 'ERR_MANIFEST', 'bytes that are no JSON': 'ERR_MANIFEST',
    'a JSON that is no model': 'ERR_MANIFEST', 'a number': 'ERR_MANIFEST', 'weights that are none': codes['weights that are none'],
    'weights that are numbers': codes['weights that are numbers'],
  });
  for (const name of ['weights that are none', 'weights that are numbers']) {
    assert.ok(['ERR_MANIFEST', 'ERR_INVALID_ARGUMENT'].includes(codes[name]), codes[name]);
  }
  assert.deepEqual(found['missing in the table'].problems, ['2', '3'].map((i) => ({ file: `group1-shard${i}of4.bin`, problem: 'missing' })));
  assert.deepEqual(found['truncated in the table'].problems, [{ file: 'group1-shard2of4.bin', problem: 'truncated', expected: 300, received: 299 }]);
});

test('into TF.js: handler, loadModel and copyModel take it, and predictions are the same', async () => {
  const found = await page.evaluate(async () => {
    const { handler, loadModel, copyModel } = await T.library('tfpersist');
    const model = await T.build('sequential');
    const [[, , json], [, , weights]] = await T.clicked(() => model.save('downloads://m'));
    const bytes = (text) => Uint8Array.from(text.match(/../g), (h) => parseInt(h, 16)).buffer;
    const source = { modelJSON: bytes(json), weights: { 'm.weights.bin': bytes(weights) } };
    await copyModel(source, 'indexeddb://m');
    const models = [model, await tf.loadLayersModel(handler(source)), await loadModel(tf, source), await tf.loadLayersModel('indexeddb://m')];
    return Promise.all(models.map((m) => T.predict('sequential', m)));
  });
  for (const one of found.slice(1)) assert.deepEqual(one, found[0]);
});
