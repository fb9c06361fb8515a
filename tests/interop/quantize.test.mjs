// The option `quantize`: TF.js trains, we store fewer bits, TF.js loads them, and no number is further off than the SaveResult says.
import assert from 'node:assert/strict';
import fs from 'node:fs';
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

test("every number is stored as TF.js's own converter stores it", async () => {
  // The numbers of tests/fixtures/quantize.txt, one weight a line, in one model.
  const lines = fs.readFileSync(new URL('../fixtures/quantize.txt', import.meta.url), 'utf8').trim().split('\n').map((line) => line.split(' '));
  const page = await open();
  const stored = await page.evaluate(async (cases) => {
    const { save, load } = await T.library('tfpersist');
    const bytes = cases.map(([, , , numbers]) => Uint8Array.from(numbers.match(/../g), (byte) => parseInt(byte, 16)));
    const weightSpecs = bytes.map(({ length }, i) => ({ name: `${cases[i][0]} ${i}`, shape: [length / 4], dtype: 'float32' }));
    const weightData = await new Blob(bytes).arrayBuffer();
    // In one buffer, and in pieces that end inside of numbers.
    const pieces = Array.from({ length: Math.ceil(weightData.byteLength / 37) }, (_, i) => weightData.slice(37 * i, 37 * (i + 1)));
    const { weightSpecs: specs, weightData: all } = await (async (quantize) => {
      await save({ modelTopology: {}, weightSpecs, weightData: pieces }, 'memory://pieces', { quantize });
      await save({ modelTopology: {}, weightSpecs, weightData }, 'memory://whole', { quantize });
      const [a, b] = [await load('memory://pieces'), await load('memory://whole')];
      if (JSON.stringify(a.weightSpecs) !== JSON.stringify(b.weightSpecs) || T.hex(a.weightData) !== T.hex(b.weightData)) throw new Error('they differ');
      return b;
    })(({ name }) => name.split(' ')[0]);
    const bits = (number) => T.hex(new Float64Array([number ?? 0]).buffer);
    let offset = 0;
    return specs.map(({ shape, quantization: { dtype, min, scale } }) => {
      const part = all.slice(offset, offset += shape[0] * (dtype === 'uint8' ? 1 : 2));
      return [dtype, bits(min), bits(scale), T.hex(part)];
    });
  }, lines);
  assert.equal(lines.length, 45);
  // Of zero the converter stores -0 now and then; JSON has none.
  const plain = (min) => (min === '0000000000000080' ? '0000000000000000' : min);
  assert.deepEqual(stored, lines.map(([dtype, min, scale, , bytes]) => [dtype, plain(min), scale, bytes]));
  await page.close();
});

for (const dtype of Object.keys(STEPS)) {
  test(`${dtype}: a copy of what the converter wrote is what the converter writes with --quantize_${dtype}`, async () => {
    const page = await open();
    const [ours, theirs] = await page.evaluate(async (type) => {
      const { load, copyModel } = await T.library('tfpersist');
      const folder = '/tests/fixtures/converter';
      await copyModel(`${folder}/layers/model.json`, 'memory://c', { quantize: type });
      const models = [await load('memory://c'), await load(`${folder}/layers-${type}/model.json`)];
      return models.map(({ weightSpecs, weightData }) => [JSON.stringify(weightSpecs), T.hex(T.join(weightData))]);
    }, dtype);
    assert.ok(ours[1].length > 300);
    assert.deepEqual(ours, theirs);
    await page.close();
  });
}

test('downloads and handlers get the quantised model, and the answer of a handler stays its own', async () => {
  const page = await open();
  const out = await page.evaluate(async () => {
    const { save } = await T.library('tfpersist');
    const model = T.deepFreeze({ ...T.plain('q', 3, 4000), weightData: T.numbers(3, 1000).buffer });
    const before = T.hex(model.weightData);
    const files = await T.clicked(() => save(model, 'downloads://q', { quantize: 'float16', shardBytes: 1000 }));
    const answer = Object.freeze({ modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' }, mine: true });
    let given;
    const saved = await save(model, { save: async (artifacts) => { given = artifacts; return answer; } }, { quantize: 'float16' });
    const json = JSON.parse(new TextDecoder().decode(Uint8Array.from(files.at(0)[2].match(/../g), (byte) => parseInt(byte, 16))));
    return {
      names: files.map(([name]) => name), shards: files.slice(1).map(([, , bytes]) => bytes).join(''), handed: T.hex(T.join(given.weightData)),
      specs: [json.weightsManifest[0].weights, given.weightSpecs], saved, answer, unchanged: T.hex(model.weightData) === before,
    };
  });
  assert.deepEqual(out.names, ['q.json', 'q.group1-shard1of2.bin', 'q.group1-shard2of2.bin']);
  assert.equal(out.shards.length, 2 * 2000);
  assert.equal(out.shards, out.handed);
  assert.deepEqual(out.specs[0], out.specs[1]);
  assert.deepEqual(out.specs[0][0].quantization, { dtype: 'float16', original_dtype: 'float32' });
  assert.deepEqual({ ...out.saved, quantized: undefined }, { ...out.answer, quantized: undefined });
  assert.deepEqual([out.saved.quantized.bytes, out.saved.quantized.originalBytes], [2000, 4000]);
  assert.ok(out.unchanged);
  await page.close();
});

test('a number that float16 would make infinite is refused, and the old model stays', async () => {
  const page = await open();
  const out = await page.evaluate(async () => {
    const { save, load } = await T.library('tfpersist');
    const model = (...numbers) => ({ modelTopology: {}, weightSpecs: [{ name: 'wide', shape: [2], dtype: 'float32' }], weightData: new Float32Array(numbers).buffer });
    const rows = [];
    for (const [url, layout] of [['indexeddb://m'], ['indexeddb://n', 'sharded'], ['opfs://m'], ['memory://m'], ['localstorage://m']]) {
      const options = layout ? { layout } : {};
      await save(model(1, 2), url, options);
      const { error } = await T.attempt(() => save(model(1, -65520), url, { quantize: 'float16', ...options }));
      rows.push([error?.code, error?.message.includes('"wide"'), ...new Float32Array((await load(url, { joined: true })).weightData)]);
      const { quantized } = await save(model(-Infinity, 65519), url, { quantize: 'float16', ...options });
      rows.push([quantized.maxError]);
    }
    return rows;
  });
  assert.deepEqual(out, Array(5).fill([['ERR_INVALID_ARGUMENT', true, 1, 2], [15]]).flat());
  await page.close();
});

test('a copy tells it, too, and a handler takes the options of both ways', async () => {
  const page = await open();
  const found = await page.evaluate(async () => {
    const { save, copyModel, handler, load } = await T.library('tfpersist');
    const model = await T.build('cnn');
    const { quantized, modelArtifactsInfo } = await save(model, 'indexeddb://q', { quantize: 'uint8' });
    await save(model, 'indexeddb://m');
    const copied = await copyModel('indexeddb://m', 'indexeddb://n', { quantize: 'uint8' });
    const both = handler('indexeddb://h', { quantize: 'uint8', verify: true, joined: true });
    const viaHandler = await model.save(both);
    const again = await tf.loadLayersModel(both);
    return {
      quantized, copied: copied.quantized, bytes: [modelArtifactsInfo, copied, viaHandler.modelArtifactsInfo].map((info) => info.weightDataBytes),
      loaded: (await load('indexeddb://h')).weightData.byteLength, weights: again.weights.length === model.weights.length,
      plain: 'quantized' in (await copyModel('indexeddb://m', 'indexeddb://n')),
    };
  });
  assert.deepEqual(found.copied, found.quantized);
  assert.ok(found.quantized.maxError > 0);
  assert.deepEqual([...found.bytes, found.loaded], Array(4).fill(found.quantized.bytes));
  assert.deepEqual([found.weights, found.plain], [true, false]);
  await page.close();
});
