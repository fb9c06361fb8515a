// 560 MB that are sent as files, in a browser of its own: one that has been busy collects its garbage, and lets go of some by that.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dropper } from '../lib/counterparts.mjs';
import { open } from '../lib/suite.mjs';

test('Chromium keeps what has left until its answers are read, 500 MiB at most, and then sends nothing any more', async () => {
  const page = await open({ html: 'bare' });
  const files = await dropper();
  const { statuses, urls, said } = await page.evaluate(async (url) => {
    const { save } = await T.library('tfpersist');
    const [MB, SIZE] = [2 ** 20, 560 * 2 ** 20];
    let i = 0;
    const pull = (out) => (i < 140 ? out.enqueue(new Uint8Array(4 * MB).fill(i++).buffer) : out.close());
    const model = {
      modelTopology: { node: [] }, format: 'graph-model', weightSpecs: [{ name: 'w', shape: [SIZE / 4], dtype: 'float32' }],
      getWeightStream: () => new ReadableStream({ pull }, { highWaterMark: 0 }),
    };
    const { responses } = await save(model, `${url}/model.json`, { files: true, retries: 0 });
    return { statuses: responses.map((r) => r.status), urls: responses.map((r) => r.url), said: await responses.at(-1).text() };
  }, `${files.url}/sink/large`);
  assert.deepEqual(statuses, Array(141).fill(200));
  assert.deepEqual([urls.at(-1), said], [`${files.url}/sink/large/model.json`, 'kept']);
});
