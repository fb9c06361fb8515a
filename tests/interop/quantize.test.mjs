// The option `quantize`: TF.js trains, we store fewer bits, TF.js loads them, and no number is further off than the SaveResult says.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { open } from '../lib/suite.mjs';

/** Saves a trained CNN quantised, and compares what TF.js loads with what it was. `by` is a type, or the text of a function. */
const quantise = (page, url, by, options = {}) => page.evaluate(async ({ url, by, options }) => {
  const { save, load } = await T.library('tfpersist');
  const model = await T.build('cnn');
  const before = model.weights.map(({ val }) => val.dataSync().slice());
  const quantize = by.includes('=>') ? (0, eval)(by) : by;
  const saved = await save(model, url, { quantize, ...options });
  const artifacts = await load(url, { joined: true });
  const from = url.startsWith('indexeddb') && !options.layout ? url : tf.io.fromMemory(artifacts);
  const again = await tf.loadLayersModel(from);
  const off = Object.fromEntries(again.weights.map(({ originalName, val }, i) => {
    const now = val.dataSync();
    return [originalName, Math.max(...before[i].map((number, k) => Math.abs(number - now[k])))];
  }));
  const x = tf.randomUniform([16, 6, 6, 2], 0, 1, 'float32', 7);
  const difference = model.predict(x).sub(again.predict(x)).abs().max().dataSync()[0];
  const untouched = model.weights.every(({ val }, i) => val.dataSync().every((number, k) => number === before[i][k]));
  return {
    quantized: saved.quantized, off, difference, untouched, bytes: artifacts.weightData.byteLength,
    specs: artifacts.weightSpecs.map(({ name, dtype, quantization }) => ({ name, dtype, quantization })),
  };
}, { url, by, options });

const STEPS = { float16: [2, 0.001], uint16: [2, 0.0001], uint8: [1, 0.02] }; // bytes a number, and what a prediction may be off

for (const [dtype, [size, tolerance]] of Object.entries(STEPS)) {
  for (const [url, options] of [['indexeddb://q', {}], ['indexeddb://q', { layout: 'sharded' }], ['memory://q', {}], ['opfs://q', {}]]) {
    test(`${dtype} into ${url} ${options.layout ?? ''}: TF.js loads it, within the error that the result tells`, async () => {
      const page = await open();
      const { quantized, off, difference, untouched, bytes, specs } = await quantise(page, url, dtype, options);
      assert.ok(untouched, "the caller's weights are as they were");
      assert.equal(quantized.bytes, bytes);
      assert.equal(quantized.originalBytes, (bytes / size) * 4);
      assert.deepEqual(Object.keys(quantized.weights), specs.map(({ name }) => name));
      for (const { name, quantization } of specs) {
        assert.equal(quantization.dtype, dtype);
        assert.equal(quantization.original_dtype, 'float32');
        assert.equal(typeof quantization.scale, dtype === 'float16' ? 'undefined' : 'number');
        assert.ok(off[name] <= quantized.weights[name].maxError * 1.000001, `${name}: ${off[name]} > ${quantized.weights[name].maxError}`);
      }
      assert.equal(quantized.maxError, Math.max(...Object.values(quantized.weights).map((weight) => weight.maxError)));
      assert.ok(quantized.maxError > 0);
      assert.ok(difference > 0 && difference < tolerance, `predictions differ by ${difference}`);
      await page.close();
    });
  }
}

test('a function says it for each weight', async () => {
  const page = await open();
  const { quantized, specs } = await quantise(page, 'indexeddb://q', "(spec) => (spec.shape.length > 1 ? 'uint8' : null)");
  const kernels = specs.filter(({ name }) => name.endsWith('/kernel')).map(({ name }) => name);
  assert.ok(kernels.length > 0 && kernels.length < specs.length);
  assert.deepEqual(Object.keys(quantized.weights), kernels);
  assert.deepEqual(specs.filter(({ quantization }) => quantization).map(({ name }) => name), kernels);
  await page.close();
});

test('other types, empty weights and quantised ones are passed on; a copy quantises, too; a stream does', async () => {
  const page = await open();
  const out = await page.evaluate(async () => {
    const { save, load, copyModel } = await T.library('tfpersist');
    const quantization = { dtype: 'uint8', min: -1, scale: 0.5, original_dtype: 'float32' };
    const weightSpecs = [
      { name: 'int', shape: [2], dtype: 'int32' }, { name: 'bool', shape: [3], dtype: 'bool' }, { name: 'none', shape: [0], dtype: 'float32' },
      { name: 'text', shape: [1], dtype: 'string' }, { name: 'done', shape: [5], dtype: 'float32', quantization }, { name: 'f', shape: [3], dtype: 'float32' },
    ];
    const head = new Uint8Array([1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 1, 2, 0, 0, 0, 104, 105, 1, 2, 3, 4, 5]);
    const weightData = new Uint8Array([...head, ...new Uint8Array(new Float32Array([-1, 0, 254]).buffer)]).buffer;
    const model = { modelTopology: {}, weightSpecs, weightData };
    await save(model, 'memory://whole');
    await save(model, 'memory://a', { quantize: 'uint8' });
    await copyModel('memory://whole', 'indexeddb://b', { quantize: 'uint8' });
    const { weightData: _, ...rest } = model;
    const getWeightStream = () => new Blob([weightData]).stream();
    await save({ ...rest, getWeightStream }, 'opfs://c', { quantize: 'uint8' });
    const loaded = await Promise.all(['memory://a', 'indexeddb://b', 'opfs://c'].map((url) => load(url, { joined: true })));
    return { head: [...head], loaded: loaded.map(({ weightSpecs: specs, weightData: bytes }) => ({ specs, bytes: [...new Uint8Array(bytes)] })), weightSpecs };
  });
  for (const { specs, bytes } of out.loaded) {
    assert.deepEqual(bytes.slice(0, -3), out.head);
    assert.deepEqual(bytes.slice(-3), [0, 1, 255]); // -1, 0 and 254 by steps of 1
    assert.deepEqual(specs.slice(0, 5), out.weightSpecs.slice(0, 5));
    assert.deepEqual(specs[5].quantization, { dtype: 'uint8', min: -1, scale: 1, original_dtype: 'float32' });
  }
  await page.close();
});

test('what cannot be quantised is refused before anything is written', async () => {
  const page = await open();
  const out = await page.evaluate(async () => {
    const { save, load, moveModel, listModels } = await T.library('tfpersist');
    const model = (numbers) => ({ modelTopology: { numbers: numbers.map(String) }, weightSpecs: [{ name: 'w', shape: [2], dtype: 'float32' }], weightData: new Float32Array(numbers).buffer });
    const codes = {};
    for (const url of ['indexeddb://m', 'opfs://m']) {
      await save(model([1, 2]), url);
      const tries = {
        nan: () => save(model([NaN, 1]), url, { quantize: 'uint8' }),
        infinite: () => save(model([Infinity, 1]), url, { quantize: 'uint16' }),
        type: () => save(model([3, 4]), url, { quantize: 'int8' }),
        answer: () => save(model([3, 4]), url, { quantize: () => 'int8' }),
        thrown: () => save(model([3, 4]), url, { quantize: () => { throw Object.assign(new Error('mine'), { code: 'MINE' }); } }),
        load: () => load(url, { quantize: 'uint8' }),
        list: () => listModels({ quantize: 'uint8' }),
        move: () => moveModel(url, `${url} b`, { quantize: 'uint8' }),
      };
      for (const [name, run] of Object.entries(tries)) {
        codes[`${url} ${name}`] = await run().then(() => 'done', ({ code, message }) => (name === 'nan' && !message.includes('"w"') && !message.includes('w:') ? message : code));
      }
      codes[`${url} is`] = [...new Float32Array((await load(url, { joined: true })).weightData)].join();
    }
    return codes;
  });
  for (const [name, code] of Object.entries(out)) {
    assert.equal(code, name.endsWith('is') ? '1,2' : name.endsWith('thrown') ? 'MINE' : 'ERR_INVALID_ARGUMENT', name);
  }
  await page.close();
});
