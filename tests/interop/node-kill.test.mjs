// Processes that save to one folder: killed in the middle, and two at once. A reader always finds one whole model.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { plain, print } from '../lib/artifacts.mjs';
import { random } from '../lib/bytes.mjs';
import { folder, names, PACKAGE, realFileSystem, SAVER } from '../lib/node.mjs';

const { load, listModels, save } = await import(PACKAGE);
const SEED = Number(process.env.KILL_SEED ?? 1);
const KILLS = 20;
const SAVES = 50;

const children = new Set();
process.once('exit', () => children.forEach((child) => child.kill('SIGKILL')));

/** Starts a saver; resolves when it begins to save. `ended` is its exit code, or the signal that ended it. */
async function start(task) {
  const child = spawn(process.execPath, [SAVER, JSON.stringify(task)], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.add(child);
  const ended = new Promise((resolve) => child.once('exit', (code, signal) => {
    children.delete(child);
    resolve(signal ?? code);
  }));
  await Promise.race([new Promise((resolve) => child.stdout.once('data', resolve)), ended]);
  return { child, ended };
}

/** Which of the models it is, by its hash; `torn` for a mixture or an error. */
async function verdict(loading, prints) {
  const found = await loading.then(print, (error) => `${error.code ?? ''} ${error.message}`);
  return prints[found] ?? `torn: ${found}`;
}

/** Kills savers of `lib` at random moments of alternating saves, and counts what is then found by `read`. */
async function kill(lib, kills, bytes, read) {
  const models = { A: ['A', 1, bytes], B: ['B', 2, bytes] };
  const prints = {};
  for (const [name, model] of Object.entries(models)) prints[await print(plain(...model))] = name;
  const at = folder();
  const next = random(SEED);
  const counts = {};
  let found = 'A';
  await save(plain(...models.A), `file://${at}`);
  for (let i = 0; i < kills; i++) {
    const order = found === 'A' ? ['B', 'A'] : ['A', 'B']; // always over the other one
    const { child, ended } = await start({ lib, folder: at, models: order.map((name) => models[name]) });
    await sleep(next() * 250); // some five saves
    child.kill('SIGKILL');
    assert.equal(await ended, 'SIGKILL');
    found = await verdict(read(at), prints);
    counts[found] = (counts[found] ?? 0) + 1;
  }
  return { at, counts };
}

test(`${KILLS} kills in the middle of overwriting 24 MB: always the whole old model or the whole new one`, async (t) => {
  const { at, counts } = await kill('tfpersist', KILLS, 24e6, (folder) => load(`file://${folder}`));
  t.diagnostic(`${JSON.stringify(counts)}; in the folder: ${names(at).length} files, ${names(at).filter((n) => n.endsWith('.tmp')).length} of them .tmp`);
  assert.deepEqual(Object.keys(counts).sort(), ['A', 'B']);
  assert.equal(counts.A + counts.B, KILLS);
  await save(plain('C', 3, 400), `file://${at}`);
  assert.equal((await load(`file://${at}`)).weightData.byteLength, 400);
});

test('control: tfjs-node leaves a torn model when it is killed', async (t) => {
  const NodeFileSystem = realFileSystem();
  const { counts } = await kill('tfjs-node', 8, 24e6, (folder) => new NodeFileSystem(`${folder}/model.json`).load());
  const torn = Object.entries(counts).filter(([name]) => name.startsWith('torn')).reduce((sum, [, n]) => sum + n, 0);
  t.diagnostic(`${torn} of 8 torn`);
  assert.ok(torn > 0, JSON.stringify(counts));
});

for (const [kind, sets] of Object.entries({
  'a model of its own': [[['A', 1, 2e6]], [['B', 2, 2e6]]],
  'the same two models': [[['A', 1, 2e6], ['B', 2, 2e6]], [['B', 2, 2e6], ['A', 1, 2e6]]],
  'always new models': [0, 1].map((who) => Array.from({ length: SAVES }, (_, i) => [`${'AB'[who]}${i}`, 2 + who + 2 * i, 4e5])),
})) {
  test(`two processes save ${SAVES} times at once, ${kind}: every load is one whole model, and so is the last`, async (t) => {
    const at = folder();
    const prints = {};
    for (const model of sets.flat()) prints[await print(plain(...model))] = 'whole';
    await save(plain(...sets[0][0]), `file://${at}`);
    const savers = await Promise.all(sets.map((models) => start({ folder: at, models, times: SAVES })));
    let saving = true;
    const ended = Promise.all(savers.map((saver) => saver.ended)).finally(() => { saving = false; });
    const counts = {};
    do {
      const found = await verdict(load(`file://${at}`), prints);
      counts[found] = (counts[found] ?? 0) + 1;
      assert.equal(Object.keys(await listModels(`file://${at}`)).length, 1);
    } while (saving);
    const left = names(at).filter((name) => name !== 'model.json');
    const named = JSON.parse(fs.readFileSync(`${at}/model.json`, 'utf8')).weightsManifest[0].paths;
    t.diagnostic(`loads: ${JSON.stringify(counts)}; files beside model.json afterwards: ${left.join(', ')}`);
    assert.deepEqual(await ended, [0, 0]);
    assert.equal(await verdict(load(`file://${at}`), prints), 'whole', 'after the last save');
    assert.deepEqual(named.filter((name) => !left.includes(name)), [], 'what is named is there');
    assert.deepEqual(Object.keys(counts), ['whole']);
  });
}
