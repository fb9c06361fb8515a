// Local Storage has no transactions: when the renderer is killed in the middle of a save, five strings may be of two
// saves. That must be an error, never wrong weights: by killing, and by forging every mixture there is.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { serve } from '../../scripts/serve.mjs';
import { plain, print } from '../lib/artifacts.mjs';
import { random } from '../lib/bytes.mjs';
import * as chromium from '../lib/chromium.mjs';
import { open } from '../lib/suite.mjs';

const KILLS = 12;
const SEED = Number(process.env.KILL_SEED ?? 1);
const MODELS = { A: ['model A', 1, 2 ** 20], B: ['model B', 2, 2 ** 20] };

let server, profile;
before(async () => {
  server = await serve();
  profile = fs.mkdtempSync(path.join(os.tmpdir(), 'tfpersist-kill-'));
});
after(() => {
  server.close();
  fs.rmSync(profile, { recursive: true, force: true });
});

/** A browser on the profile, with the page in it. */
async function start() {
  const context = await chromium.launchPersistent(profile);
  const page = context.pages()[0] ?? await context.newPage();
  await chromium.open(page, `${server.url}/tests/lib/bare.html`);
  return { context, page };
}

/** kill -9 of the renderers of this browser; resolves when the page has crashed. */
async function killRenderers({ context, page }) {
  const crashed = page.waitForEvent('crash');
  const renderers = (await chromium.processes(context)).filter((p) => p.type === 'renderer');
  for (const { id } of renderers) {
    try {
      process.kill(id, 'SIGKILL');
    } catch (error) {
      if (error.code !== 'ESRCH') throw error; // it went by itself
    }
  }
  await crashed;
  return renderers.length;
}

/** What is stored, as a name: A, B, the code of the error, or what must not be. */
async function verdict(page) {
  const { value, error } = await page.evaluate(async () => {
    const { load } = await T.library('tfpersist');
    return T.attempt(async () => T.print(await load('localstorage://m')));
  });
  if (error) return error.code ?? `${error.name}: ${error.message}`;
  for (const name of ['A', 'B']) if (value === await print(plain(...MODELS[name]))) return name;
  return 'a mixture';
}

/** In the page: saves one model over the other without a pause, so that any moment is in the middle of something. */
async function saveForever({ A, B }) {
  const { save } = await T.library('tfpersist');
  const models = [T.plain(...A), T.plain(...B)];
  await save(models[0], 'localstorage://m');
  globalThis.saves = 1;
  globalThis.loop = (async () => {
    for (;; globalThis.saves++) await save(models[globalThis.saves % 2], 'localstorage://m');
  })();
}

test(`after ${KILLS} kills of the renderer in the middle of Local Storage saves: one model, whole, or ERR_CORRUPT`, async () => {
  const next = random(SEED);
  const counts = {};
  let saves = 0;
  let running = await start();
  for (let i = 0; i < KILLS; i++) {
    await running.page.evaluate(saveForever, MODELS);
    await sleep(50 + next() * 300);
    saves += await running.page.evaluate('globalThis.saves');
    await sleep(next() * 30); // not always just after a turn of the event loop
    assert.ok(await killRenderers(running) > 0);
    await running.context.close();
    running = await start();
    const found = await verdict(running.page);
    counts[found] = (counts[found] ?? 0) + 1;
  }
  await running.context.close();
  console.log(`  ${KILLS} kills after ${saves} saves: ${Object.entries(counts).map(([what, n]) => `${what} ${n}`).join(', ')}`);
  assert.ok(saves >= 3 * KILLS, 'hardly anything was saved');
  assert.deepEqual(Object.keys(counts).filter((what) => !['A', 'B', 'ERR_CORRUPT'].includes(what)), []);
});

/** Every mixture of the five strings of two saves, none of them whole: what loading says of each. */
async function mixtures(page, lib) {
  const found = await page.evaluate(async (name) => {
    const { save, load } = await T.library(name);
    const strings = [];
    // Of equal lengths, so that no size gives the mixture away.
    const models = [T.plain('model A', 1, 4000), T.plain('model B', 2, 4000)];
    for (const model of models) {
      await save(model, 'localstorage://m');
      strings.push(T.localStrings());
    }
    const keys = Object.keys(strings[0]);
    const [A, B] = await Promise.all(models.map(T.print));
    const rows = [];
    for (let mask = 0; mask < 2 ** keys.length; mask++) {
      for (const [bit, key] of keys.entries()) localStorage.setItem(key, strings[(mask >> bit) & 1][key]);
      const { value, error } = await T.attempt(async () => T.print(await load('localstorage://m')));
      rows.push(error ? error.code ?? error.name : { [A]: 'A', [B]: 'B' }[value] ?? 'wrong');
    }
    return { rows, differ: keys.filter((key) => strings[0][key] !== strings[1][key]).length };
  }, lib);
  assert.equal(found.differ, 5, 'two saves of which a part is the same would have fewer mixtures');
  const [first, ...rest] = found.rows;
  assert.deepEqual([first, rest.pop()], ['A', 'B'], 'the two that are whole');
  assert.equal(rest.length, 30);
  return rest;
}

test('each of the 30 mixtures of two saves is ERR_CORRUPT; TF.js loads wrong models from its own', async () => {
  const page = await open();
  assert.deepEqual(await mixtures(page, 'tfpersist'), Array(30).fill('ERR_CORRUPT'));
  await page.evaluate(() => T.clear());
  const theirs = await mixtures(page, 'tf.io');
  const wrong = theirs.filter((what) => what === 'wrong').length;
  console.log(`  TF.js: ${wrong} of 30 mixtures load as a model that never was`);
  assert.ok(wrong > 0, 'control');
  await page.close();
});
