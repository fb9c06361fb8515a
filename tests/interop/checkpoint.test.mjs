// A checkpoint after each epoch of transfer learning by real TF.js: what is frozen is written once, and each checkpoint loads and predicts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { open } from '../lib/suite.mjs';

const EPOCHS = 10;

/** In the page: trains, and saves after each epoch to a path of its own and over the one before. */
async function loop({ scheme, epochs }) {
  const { save } = await T.sharded();
  const { transferLearning, answers } = await import('/tests/lib/mobilenet.mjs');
  const { whole, train, headBytes, wholeBytes } = transferLearning();
  const rows = [];
  for (let epoch = 1; epoch <= epochs; epoch++) {
    const { history } = await train();
    const row = { loss: history.loss[0], head: await headBytes(), wholeBytes, said: await answers(whole), written: [] };
    const targets = [`epoch ${epoch}`, 'latest'];
    for (const path of epoch % 2 ? targets : targets.reverse()) {
      const { bytes, left } = await T.written(scheme, () => save(whole, `${scheme}://${path}`, { layout: 'sharded', includeOptimizer: true }));
      row.written.push(bytes);
      row.left = left;
    }
    rows.push(row);
  }
  return rows;
}

/** In the next page: what each checkpoint says, loaded by TF.js itself, and whether it can be trained further. */
async function look(scheme) {
  const { listModels, handler } = await T.sharded();
  const { answers } = await import('/tests/lib/mobilenet.mjs');
  const said = {};
  for (const url of Object.keys(await listModels(`${scheme}://`))) {
    const model = await tf.loadLayersModel(handler(url));
    said[url.split('://')[1]] = [await answers(model), model.optimizer?.iterations ?? 'no optimizer'];
    model.dispose();
  }
  return said;
}

for (const scheme of ['indexeddb', 'opfs']) {
  test(`${scheme}://: ten checkpoints of a MobileNet with a new head`, { timeout: 240000 }, async () => {
    const page = await open();
    const rows = await page.evaluate(loop, { scheme, epochs: EPOCHS });
    await page.reload();
    const said = await page.evaluate(look, scheme);
    const [first, ...others] = rows.map(({ written }) => written.reduce((a, b) => a + b, 0));
    console.log(`  ${scheme}: ${rows[0].wholeBytes} bytes of backbone, head and optimizer ${rows[0].head}; written ${[first, ...others].join(' ')}`);
    assert.equal(rows.length, EPOCHS);
    assert.ok(rows[0].wholeBytes > 12.5e6 && rows[0].wholeBytes < 13.5e6, 'as large as MobileNet');
    assert.ok(first > 0.9 * rows[0].wholeBytes && first < rows[0].wholeBytes + 1.2 * rows[0].head, `${first} bytes written at first`);
    for (const [i, bytes] of others.entries()) {
      const { head } = rows[i + 1];
      assert.ok(bytes > 0.5 * head && bytes < 1.2 * head, `epoch ${i + 2} wrote ${bytes} bytes, the head has ${head}`);
      assert.equal(rows[i + 1].written[1], 0, 'the second path wrote what the first one had written');
    }
    assert.ok(rows[EPOCHS - 1].left < first + 1.2 * EPOCHS * rows[0].head, 'more is kept than the checkpoints need');
    assert.equal(new Set(rows.map((row) => row.said)).size, EPOCHS, 'training changed nothing: nothing was compared');
    assert.ok(rows[EPOCHS - 1].loss < rows[0].loss, 'it learns');
    const expected = Object.fromEntries(rows.map((row, i) => [`epoch ${i + 1}`, row.said]));
    assert.deepEqual(Object.fromEntries(Object.entries(said).map(([path, [answer]]) => [path, answer])), { ...expected, latest: expected[`epoch ${EPOCHS}`] });
    for (const [path, [, iterations]] of Object.entries(said)) assert.equal(typeof iterations, 'number', `${path} has no optimizer`);
    await page.close();
  });
}
