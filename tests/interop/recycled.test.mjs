// Who looks at a large model and drops it reads into the same few buffers, and they are free afterwards.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ENGINES, openIn } from '../lib/engines.mjs';

const MB = 2 ** 20;

/** Loads and verifies a model in files: what the worker is asked to read, with how many buffers, and what it answers. */
const work = async (bytes) => {
  const asked = new Map();
  const { postMessage } = Worker.prototype;
  Worker.prototype.postMessage = function see(message, transfer) {
    if (message.task === 'read') asked.set(message.id, { given: message.buffers.length });
    if (!this.heard) {
      this.heard = true;
      this.addEventListener('message', ({ data }) => {
        const read = asked.get(data.id);
        if (read) read.answer = data.name ?? 'read'; // its buffer may be on its way again
      });
    }
    postMessage.call(this, message, transfer);
  };
  const readsOf = async (act) => {
    asked.clear();
    const value = await act();
    await new Promise((resolve) => { setTimeout(resolve); }); // the library hears of the last answer before this does
    const reads = [...asked.values()];
    return { value, reads: reads.length, given: reads.filter(({ given }) => given > 0).length, answers: [...new Set(reads.map(({ answer }) => answer))] };
  };
  const { save, load, verify } = await T.sharded();
  const model = T.layered('m', [['a', bytes / 2, 1], ['b', bytes / 2 - 4000, 2], ['c', 4000, 3]]);
  await save(model, 'opfs://m');
  const print = await T.print(model);
  return [
    await readsOf(async () => await T.print(await load('opfs://m')) === print),
    await readsOf(async () => (await verify('opfs://m')).weightDataBytes),
    await readsOf(async () => await T.print(await load('opfs://m', { verify: true })) === print), // nothing of what is kept was used again
  ];
};

for (const engine of ENGINES.filter((name) => name === 'chromium')) { // elsewhere handles cannot be opened side by side, and pages read Blobs
  test(`${engine}: a page's shards are read by the worker, for \`verify\` into buffers that were used before`, async () => {
    const page = await openIn(engine);
    try {
      const [loaded, verified, again] = await page.evaluate(work, 96 * MB);
      for (const { reads, answers } of [loaded, verified, again]) {
        assert.ok(reads >= 6, `${reads} reads`);
        assert.deepEqual(answers, ['read']);
      }
      assert.deepEqual([loaded.value, verified.value, again.value], [true, 96 * MB, true]);
      assert.deepEqual([loaded.given, again.given], [0, 0]);
      assert.ok(verified.reads - verified.given <= 2, `${verified.reads - verified.given} of ${verified.reads} reads into new buffers`);
    } finally {
      await page.close();
    }
  });
}
