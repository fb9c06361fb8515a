// A page reload in the middle of a save, an overwrite and a move of 24 MB in IndexedDB: the store shows the old
// state or the new one, whole. The same driver on TF.js's own tf.io tears models: it would have noticed.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { plain, print } from '../lib/artifacts.mjs';
import { random } from '../lib/bytes.mjs';
import { open } from '../lib/suite.mjs';

const BYTES = 24 * 2 ** 20;
const ROUNDS = 20;
const INSIDE = 15; // so many of them must fall between the first host call and the promise's settling,
const MOST = 30; // or else (on a busy machine, where durations vary) there are some rounds more
const TIMED = 2; // rounds before those, to learn how long the work takes: they reload when the promise has settled
const LATE = 1; // of the rounds, likewise: at least one finds the new state
const SEED = Number(process.env.RELOAD_SEED ?? 1);
// Of different lengths, so that sizes in one model's info never fit the other.
const A = ['old-model', 1, BYTES];
const B = ['the-newer-model', 2, BYTES - 4096];
const hashes = new Map();

before(async () => {
  for (const model of [A, B]) hashes.set(model, await print(plain(...model)));
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
async function round({ page, lib, kind, scene, delay }) {
  const loaded = page.waitForEvent('load');
  await page.evaluate((job) => T.workAndReload(job),
    { lib, verb: kind, model: scene.new[scene.paths[0]], paths: scene.paths, delay });
  await loaded;
  await page.waitForFunction('globalThis.T');
  const note = await page.evaluate(() => T.readNote());
  const found = await page.evaluate((name) => T.shown(name), lib);
  const state = ['old', 'new'].find((s) => same(found, scene[s])) ?? 'torn';
  const inside = note.first !== null && (note.settled === null || note.settled > note.gone);
  return { ...note, state, inside, found, delay };
}

/** Fractions of the work's duration at which to reload: one from each slice, in a seeded order; then anywhere early. */
function* aims(count, next) {
  const order = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(next() * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  for (const slice of order) yield ((slice + next()) / count) * 0.9;
  for (;;) yield next() * 0.6;
}

/** All rounds of one kind. A shot that comes too late teaches the next ones to come earlier. */
async function shoot(lib, kind, rounds = ROUNDS) {
  // Only tf.io needs TF.js in the page; without it the page is back sooner.
  const { page, evaluate, close } = await open({ html: lib === 'tf.io' ? 'page' : 'bare' });
  const rows = [];
  let [reach, latency, turned, ready] = [Infinity, 0, false, false];
  const aim = aims(rounds - LATE, random(SEED));
  const enough = (i) => i >= MOST || (i >= rounds && rows.filter((r) => r.inside).length >= (rounds / ROUNDS) * INSIDE);
  for (let i = -TIMED; !enough(i); i++) {
    const scene = SCENES[kind]({ turned });
    if (!ready) {
      await evaluate(() => T.clear());
      await evaluate(([name, models]) => T.prepare(name, models), [lib, scene.old]);
    }
    const delay = i < LATE ? undefined : Math.max(0, aim.next().value * reach - latency);
    const row = await round({ page, lib, kind, scene, delay });
    if (i >= 0) rows.push(row);
    const took = row.settled && row.settled - row.first;
    if (i < 0) reach = Math.min(reach * 1.2, took);
    else if (i >= LATE && !row.inside) reach = Math.min(reach * 0.9, took);
    latency = row.gone - row.asked;
    ready = row.state !== 'torn' && kind !== 'save';
    turned = ready && (row.state === 'new') !== turned;
  }
  await close();
  return { lib, kind, rows, reach };
}

function report({ lib, kind, rows, reach }) {
  const count = (f) => String(rows.filter(f).length).padStart(2);
  const shots = rows.filter((r) => r.inside).map((r) => Math.round(r.gone - r.first)).sort((a, b) => a - b);
  console.log(`  ${lib.padEnd(9)} ${kind.padEnd(9)} in the middle ${count((r) => r.inside)} of ${rows.length}`
    + `  old ${count((r) => r.state === 'old')}  new ${count((r) => r.state === 'new')}`
    + `  torn ${count((r) => r.state === 'torn')}   work ${Math.round(reach)} ms, reloads at ${shots.join(' ')} ms`);
  const torn = rows.filter((r) => r.state === 'torn').map((r) => JSON.stringify(r.found));
  for (const found of new Set(torn)) console.log(`    torn: ${found}`);
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
    assert.ok(rows.length >= ROUNDS && inside >= INSIDE,
      `${inside} of ${rows.length} reloads fell between first host call and settling`);
    for (const state of ['old', 'new']) assert.ok(rows.some((r) => r.state === state), `no round ended ${state}`);
  });
}

test('control: the same reloads tear models of tf.io', async () => {
  let torn = 0;
  for (const kind of Object.keys(SCENES)) {
    const result = await shoot('tf.io', kind, ROUNDS / 2);
    report(result);
    torn += result.rows.filter((r) => r.state === 'torn').length;
  }
  console.log(`  tf.io: ${torn} torn`);
  assert.ok(torn >= 5, `${torn} torn: the driver is blind`);
});
