// `durability: 'strict'`: a save of a large model resolves when each of its files has been forced to the disk, which other workers do while
// the next is written.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ENGINES, openIn } from '../lib/engines.mjs';

const MB = 2 ** 20;

/**
 * Saves a model of `bytes` over a small one with workers whose flush() fails at its `failing`th call, or ends the second worker at its `dying`th,
 * and says what workers were asked, in order. `slow`: milliseconds that a flush takes; `again`: who is asked for a worker gives the first one once
 * more; `aborts`: when the first file is about to be forced to the disk; `sweeps`: before the files are counted.
 */
const work = async ({ bytes, failing, dying, slow = 0, aborts, sweeps, durability, again, next }) => {
  const script = (dying) => `
    let flushes = 0;
    const { flush } = FileSystemSyncAccessHandle.prototype;
    FileSystemSyncAccessHandle.prototype.flush = function () {
      flushes += 1;
      if (${slow}) Atomics.wait(new Int32Array(new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }).buffer), 0, 0, ${slow});
      if (flushes === ${dying}) reportError(new Error('it is too much'));
      if (flushes === ${failing}) throw new DOMException('the disk is gone', 'InvalidStateError');
      flush.call(this);
    };
    import('${location.origin}/pkg/worker.js');`;
  const [log, workers] = [[], []];
  const controller = new AbortController();
  let [flushing, most] = [0, 0]; // files at once
  const { default: init, save, load, listModels, sweep } = await T.sharded();
  await init({
    worker: () => {
      if (again && workers.length > 0) return workers[0];
      const worker = new Worker(URL.createObjectURL(new Blob([script(workers.length === 1 ? dying : 0)], { type: 'text/javascript' })), { type: 'module' });
      const [asked, number] = [new Map(), workers.push(worker)];
      const { postMessage } = worker;
      worker.postMessage = (message, transfer) => {
        const { id, task, name, at, length, total } = message;
        asked.set(id, { task, name, number, isWhole: at + length === total, flush: message.flush });
        postMessage.call(worker, message, transfer);
        if (task === 'flush') most = Math.max(most, ++flushing);
        if (aborts && task === 'flush') controller.abort(new Error('enough'));
      };
      worker.addEventListener('message', ({ data }) => {
        if (!asked.has(data.id)) return;
        log.push({ ...asked.get(data.id), error: data.name });
        if (asked.get(data.id).task === 'flush') flushing -= 1;
      });
      return worker;
    },
  });
  const old = T.layered('old', [['a', 4000, 1]]);
  await save(old, 'opfs://m');
  const small = log.splice(0);
  const { signal } = controller;
  const outcome = await save(T.layered('m', [['a', bytes, 2]]), 'opfs://m', { durability, signal }).then(() => 'saved', ({ code, message }) => code ?? message);
  const large = log.splice(0);
  const [files, written] = [[], []];
  const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle('tfpersist');
  if (sweeps) await sweep();
  for (let turn = 0; turn < 50 && files.length !== 1; turn += 1) { // what is given up is removed within seconds
    await new Promise((resolve) => { setTimeout(resolve, turn * 5); });
    files.length = 0;
    for await (const name of folder.keys()) files.push(name);
    if (outcome === 'saved') break;
  }
  for (const how of next ?? []) {
    await save(T.layered('m', [['a', bytes, 2]]), 'opfs://m', { durability: how });
    written.push(log.splice(0).filter(({ isWhole }) => isWhole).length);
  }
  await new Promise((resolve) => { setTimeout(resolve, again ? 11_000 : 0); }); // who does not greet is given up after ten seconds
  return {
    outcome, small, large, most, files: files.length, written, workers: workers.length,
    isOld: await T.print(await load('opfs://m')) === await T.print(old),
    bytes: (await listModels())['opfs://m'].weightDataBytes,
  };
};

for (const engine of ENGINES.filter((name) => name === 'chromium')) { // elsewhere handles cannot be opened side by side: who writes flushes
  const inPage = async (argument) => {
    const page = await openIn(engine);
    try {
      return await page.evaluate(work, argument);
    } finally {
      await page.close();
    }
  };

  test(`${engine}: every file of a large model is whole when it is forced to the disk, by other workers`, async () => {
    const { outcome, small, large, workers, bytes } = await inPage({ bytes: 80 * MB, failing: 0 });
    assert.deepEqual([outcome, bytes, workers], ['saved', 80 * MB, 3]);
    assert.deepEqual(small.map(({ task, flush }) => [task, flush]), [['write', true]]); // one file: who writes it
    const files = large.filter(({ isWhole }) => isWhole).map(({ name }) => name);
    assert.equal(files.length, 5);
    assert.ok(large.every(({ task, flush }) => task !== 'write' || !flush));
    const flushed = large.filter(({ task }) => task === 'flush');
    assert.deepEqual(flushed.map(({ name }) => name).sort(), files.sort());
    assert.ok(flushed.some(({ number }) => number > 1), 'by others');
    for (const { name } of flushed) {
      const [whole, forced] = [(row) => row.isWhole, ({ task }) => task === 'flush'].map((is) => large.findIndex((row) => row.name === name && is(row)));
      assert.ok(whole < forced, `${name} was whole when it was flushed`);
    }
  });

  test(`${engine}: a file that cannot be forced to the disk fails the save; the old model is intact`, async () => {
    const { outcome, large, isOld } = await inPage({ bytes: 80 * MB, failing: 2 });
    assert.equal(outcome, 'ERR_STORAGE');
    assert.ok(large.some(({ task, error }) => task === 'flush' && error === 'InvalidStateError'));
    assert.ok(isOld);
  });

  test(`${engine}: a disk that is slow is waited for meanwhile, and one that fails is noticed before all is written`, async () => {
    const { outcome, large, most } = await inPage({ bytes: 160 * MB, slow: 600 });
    assert.equal(outcome, 'saved');
    assert.equal(large.filter(({ task }) => task === 'flush').length, 10);
    assert.ok(most > 2 && most <= 7, `${most} files at once`);
    const failed = await inPage({ bytes: 240 * MB, slow: 600, failing: 2 });
    assert.equal(failed.outcome, 'ERR_STORAGE');
    const whole = failed.large.filter(({ isWhole }) => isWhole).length;
    assert.ok(whole < 13, `${whole} of 15 files were whole`);
    assert.deepEqual([failed.isOld, failed.files], [true, 1]);
  });

  test(`${engine}: a worker that ends while it forces a file to the disk fails the save; the old model is intact, and the next save has another`, async () => {
    const { outcome, written, workers, bytes } = await inPage({ bytes: 80 * MB, dying: 1, next: ['strict'] });
    assert.equal(outcome, 'ERR_STORAGE');
    assert.deepEqual([written, workers, bytes], [[5], 4, 80 * MB]);
    const { isOld, files } = await inPage({ bytes: 80 * MB, dying: 1, sweeps: true });
    assert.deepEqual([isOld, files], [true, 1]);
  });

  test(`${engine}: an abort while a file is forced to the disk ends the save with its reason, and leaves no file`, async () => {
    const { outcome, large, isOld, files } = await inPage({ bytes: 80 * MB, aborts: true });
    assert.deepEqual([outcome, isOld, files], ['enough', true, 1]);
    assert.ok(large.filter(({ task }) => task === 'flush').length > 0);
  });

  test(`${engine}: a worker that is given twice does it all, and is there afterwards`, async () => {
    const { outcome, large, workers, bytes, isOld } = await inPage({ bytes: 80 * MB, failing: 0, again: true });
    assert.deepEqual([outcome, bytes, workers, isOld], ['saved', 80 * MB, 1, false]);
    assert.equal(large.filter(({ task }) => task === 'flush').length, 5);
  });

  test(`${engine}: a strict save writes again what a relaxed one has written, and nobody else does`, async () => {
    const next = ['relaxed', 'strict', 'strict', 'relaxed'];
    const { written } = await inPage({ bytes: 40 * MB, failing: 0, durability: 'relaxed', next });
    assert.deepEqual(written, [0, 3, 0, 0]);
  });

  test(`${engine}: nothing is forced to the disk that need not be`, async () => {
    const { outcome, large, workers } = await inPage({ bytes: 80 * MB, failing: 0, durability: 'relaxed' });
    assert.deepEqual([outcome, workers], ['saved', 1]);
    assert.ok(large.every(({ task, flush }) => task === 'write' && !flush));
  });
}
