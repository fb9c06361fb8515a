// Real models, trained by TF.js: what it saves we load, what we save it loads, after a reload of the page, and
// predictions, weights, optimizer state and metadata are the same to the last bit. And we store what it stores.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { KINDS } from '../lib/models.mjs';
import { LIB, comparable, open } from '../lib/suite.mjs';

const STORES = ['localstorage', 'indexeddb'];

/** Trains, saves by every route, tells what the model knows. */
function trainAndSave(page, kind) {
  return page.evaluate(async ({ lib, name, stores }) => {
    const { save, handler } = await T.library(lib);
    const options = T.KINDS[name].save;
    const model = await T.build(name);
    for (const store of stores) {
      await model.save(`${store}://by TF.js`, options);
      await save(model, `${store}://by us`, options);
      await model.save(handler(`${store}://by TF.js with our handler`), options);
      await save(model, tf.io.getSaveHandlers(`${store}://by us with its handler`)[0], options);
    }
    const known = await T.knowledge(name, model);
    return { predictions: await T.predict(name, model), known: options?.includeOptimizer ? known : { ...known, optimizer: [] } };
  }, { lib: LIB, name: kind, stores: STORES });
}

/** Loads a stored model by every route; tells what each knows. */
function loadAll(page, kind, url) {
  return page.evaluate(async ({ lib, name, from }) => {
    const { load, loadModel, handler } = await T.library(lib);
    const tfLoad = (source) => (T.KINDS[name].graph ? tf.loadGraphModel(source) : tf.loadLayersModel(source));
    const routes = {
      'TF.js': () => tfLoad(from),
      'loadModel': () => loadModel(tf, from),
      'handler': () => tfLoad(handler(from)),
      'load': async () => tfLoad(tf.io.fromMemory(await load(from))),
      'load with its handler': async () => tfLoad(tf.io.fromMemory(await load(tf.io.getLoadHandlers(from)[0]))),
    };
    const out = {};
    for (const [route, run] of Object.entries(routes)) {
      const model = await run();
      const known = await T.knowledge(name, model);
      if (T.KINDS[name].graph) known.optimizer = [];
      out[route] = { predictions: await T.predict(name, model), known };
    }
    return out;
  }, { lib: LIB, name: kind, from: url });
}

for (const kind of Object.keys(KINDS)) {
  test(`${kind}: saved and loaded by either, the same to the last bit`, async () => {
    const page = await open();
    const expected = await trainAndSave(page, kind);
    assert.equal(await page.evaluate(() => tf.version.tfjs), '4.22.0');
    assert.match(expected.predictions[0], /^[0-9a-f]{24,}$/);
    assert.ok(expected.known.weights.length > 0);
    await page.reload();
    let routes = 0;
    for (const store of STORES) {
      for (const path of ['by TF.js', 'by us', 'by TF.js with our handler', 'by us with its handler']) {
        const found = await loadAll(page, kind, `${store}://${path}`);
        for (const [route, actual] of Object.entries(found)) {
          assert.deepEqual(actual, expected, `${store}, saved ${path}, loaded by ${route}`);
          routes += 1;
        }
      }
    }
    assert.equal(routes, 40);
    await page.close();
  });
}

test('a loaded optimizer goes on training as the one that TF.js loads', async () => {
  const page = await open();
  await page.evaluate(async (lib) => {
    const { save } = await T.library(lib);
    const model = await T.build('optimizer');
    await model.save('indexeddb://theirs', { includeOptimizer: true });
    await save(model, 'localstorage://ours', { includeOptimizer: true });
  }, LIB);
  await page.reload();
  const [theirs, ours, plain] = await page.evaluate(async (lib) => {
    const { loadModel, save } = await T.library(lib);
    const goOn = async (model) => {
      await T.goOnTraining(model);
      return T.predict('optimizer', model);
    };
    const model = await tf.loadLayersModel('indexeddb://theirs');
    await save(model, 'indexeddb://without');
    const before = await T.predict('optimizer', await loadModel(tf, 'indexeddb://without'));
    return [await goOn(model), await goOn(await loadModel(tf, 'localstorage://ours')), before];
  }, LIB);
  assert.deepEqual(ours, theirs);
  assert.notDeepEqual(theirs, plain, 'training changed nothing: nothing was compared');
  await page.close();
});

describe('what we store is what TF.js stores', () => {
  for (const kind of Object.keys(KINDS)) {
    test(kind, async () => {
      const page = await open();
      const dumps = await page.evaluate(async ({ lib, name, stores }) => {
        const { save } = await T.library(lib);
        const model = await T.build(name);
        const options = T.KINDS[name].save;
        for (const store of stores) await model.save(`${store}://some/path`, options);
        const theirs = await T.dump();
        await T.clear();
        for (const store of stores) await save(model, `${store}://some/path`, options);
        return [theirs, await T.dump()];
      }, { lib: LIB, name: kind, stores: STORES });
      const theirs = comparable(dumps[0]);
      const ours = comparable(dumps[1], { extra: LIB === 'tfpersist' ? ['checksum'] : [] });
      assert.equal(Object.keys(theirs.stored.local).length, 5);
      assert.deepEqual(theirs.stored.databases[0].stores.models_store.records.map((r) => r.modelPath), ['some/path']);
      assert.deepEqual(ours.stored, theirs.stored);
      assert.equal(JSON.stringify(ours.stored), JSON.stringify(theirs.stored), 'the order of keys');
      assert.deepEqual(ours.extras, [LIB === 'tfpersist' ? ['checksum'] : []], 'one field more in the info');
      await page.close();
    });
  }
});
