// A page reload in the middle of a save, an overwrite and a move of 24 MB in IndexedDB: the store shows the old
// state or the new one, whole. The same driver on TF.js's own tf.io tears models: it would have noticed.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { serve } from '../../scripts/serve.mjs';
import { plain, print } from '../lib/artifacts.mjs';
import { random } from '../lib/bytes.mjs';
import { launch, session } from '../lib/chromium.mjs';

const BYTES = 24 * 2 ** 20;
const ROUNDS = 20;
const AFTER_PUT = [0, 5, 15, 30]; // ms
const SEED = Number(process.env.RELOAD_SEED ?? 1);
// Of different lengths, so that sizes in one model's info never fit the other.
const A = ['old-model', 1, BYTES];
const B = ['the-newer-model', 2, BYTES - 4096];
const hashes = new Map();

let server, browser;
before(async () => {
  server = await serve();
  browser = await launch();
  for (const model of [A, B]) hashes.set(model, await print(plain(...model)));
});
after(async () => {
  await browser.close();
  server.close();
});

/** Before and after each kind of work, as path -> model. A finished work's end is the next one's start, turned round. */
const SCENES = {
  save: () => ({ old: {}, new: { m: A }, paths: ['m'] }),
  overwrite: ({ turned }) => (turned
    ? { old: { m: B }, new: { m: A }, paths: ['m'] }
    : { old: { m: A }, new: { m: B }, paths: ['m'] }),
  move: ({ turned }) => (turned
    ? { old: { b: A }, new: { a: A }, paths: ['b', 'a'] }
    : { old: { a: A }, new: { b: A }, paths: ['a', 'b'] }),
};

const asHashes = (models) => Object.fromEntries(Object.entries(models).map(([path, model]) => [path, hashes.get(model)]));
const same = (found, models) => {
  const wanted = asHashes(models);
  return Object.keys({ ...found, ...wanted }).every((path) => found[path] === wanted[path]);
};

/** One round: work, reload, look. */
async function round({ page, lib, kind, scene, at }) {
  const loaded = page.waitForEvent('load');
  await page.evaluate((job) => T.workAndReload(job),
    { lib, verb: kind, model: scene.new[scene.paths[0]], paths: scene.paths, at });
  await loaded;
  await page.waitForFunction('globalThis.T');
  const note = await page.evaluate(() => T.readNote());
  const found = await page.evaluate((name) => T.shown(name), lib);
  const state = ['old', 'new'].find((s) => same(found, scene[s])) ?? 'torn';
  const inside = note.first !== null && (note.settled === null || note.settled > note.gone);
  return { ...note, state, inside, found, at };
}

/**
 * When to reload, round by round. Most by the clock: one from each slice of the work's duration, in a seeded order;
 * not beyond 0.85 of it, since durations vary. The end of the work is met by its events instead: shortly after the
 * second of its two records was put, which is when the transaction commits. One comes after the promise.
 */
function plan(next) {
  const clock = ROUNDS - 1 - AFTER_PUT.length;
  const rounds = Array.from({ length: clock }, (_, slice) => ({ fraction: ((slice + next()) / clock) * 0.85 }));
  rounds.push(...AFTER_PUT.map((ms) => ({ put: 2, ms })));
  for (let i = rounds.length - 1; i > 0; i--) {
    const j = Math.floor(next() * (i + 1));
    [rounds[i], rounds[j]] = [rounds[j], rounds[i]];
  }
  return [undefined, undefined, undefined, ...rounds];
}

/** All rounds of one kind. A shot that comes too late teaches the next ones to come earlier. */
async function shoot(lib, kind) {
  // Only tf.io needs TF.js in the page; without it the page is back sooner.
  const { page, evaluate, close } = await session(browser, `${server.url}/tests/lib/${lib === 'tf.io' ? 'page' : 'bare'}.html`);
  const rows = [];
  let [reach, latency, turned, ready] = [Infinity, 0, false, false];
  for (const aim of plan(random(SEED))) {
    const scene = SCENES[kind]({ turned });
    if (!ready) {
      await evaluate(() => T.clear());
      await evaluate(([name, models]) => T.prepare(name, models), [lib, scene.old]);
    }
    const at = aim?.fraction === undefined ? aim : { ms: Math.max(0, aim.fraction * reach - latency) };
    const row = await round({ page, lib, kind, scene, at });
    rows.push(row);
    const took = row.settled && row.settled - row.first;
    if (!aim) reach = Math.min(reach * 1.2, took);
    else if (aim.fraction && !row.inside) reach = Math.min(reach * 0.9, took);
    latency = row.gone - row.asked;
    ready = row.state !== 'torn' && kind !== 'save';
    turned = ready && (row.state === 'new') !== turned;
  }
  await close();
  return { lib, kind, rows: rows.slice(-ROUNDS), reach }; // without the two that only timed the work
}

function report({ lib, kind, rows, reach }) {
  const count = (f) => String(rows.filter(f).length).padStart(2);
  const shots = rows.filter((r) => r.inside).map((r) => Math.round(r.gone - r.first)).sort((a, b) => a - b);
  console.log(`  ${lib.padEnd(9)} ${kind.padEnd(9)} in the middle ${count((r) => r.inside)} of ${rows.length}`
    + `  old ${count((r) => r.state === 'old')}  new ${count((r) => r.state === 'new')}`
    + `  torn ${count((r) => r.state === 'torn')}   work ${Math.round(reach)} ms, reloads at ${shots.join(' ')} ms`);
  for (const why of new Set(rows.filter((r) => r.state === 'torn').map((r) => JSON.stringify(r.found)))) console.log(`    torn: ${why}`);
}

for (const kind of Object.keys(SCENES)) {
  test(`tfpersist: ${ROUNDS} reloads in the middle of ${kind} tear nothing`, async () => {
    const result = await shoot('tfpersist', kind);
    report(result);
    const { rows } = result;
    assert.deepEqual(rows.filter((r) => r.state === 'torn').map((r) => r.found), [], 'torn states');
    assert.deepEqual(rows.filter((r) => r.outcome !== null && r.outcome !== 'resolved'), [], 'a work failed');
    assert.deepEqual(rows.filter((r) => r.outcome === 'resolved' && r.state !== 'new'), [], 'resolved, but not kept');
    const inside = rows.filter((r) => r.inside).length;
    assert.ok(inside >= 15, `${inside} of ${ROUNDS} reloads fell between first host call and settling`);
    for (const state of ['old', 'new']) assert.ok(rows.some((r) => r.state === state), `no round ended ${state}`);
  });
}

test('control: the same reloads tear models of tf.io', async () => {
  let torn = 0;
  for (const kind of Object.keys(SCENES)) {
    const result = await shoot('tf.io', kind);
    report(result);
    torn += result.rows.filter((r) => r.state === 'torn').length;
  }
  console.log(`  tf.io: ${torn} of ${3 * ROUNDS} torn`);
  assert.ok(torn >= 5, `${torn} torn: the driver is blind`);
});
