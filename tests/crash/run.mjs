// The crash driver: saves, copies, moves and removals that are reloaded or killed in the middle, in real browsers and in Node,
// and what is found afterwards: the whole old state or the whole new one. Columns of the table: see report.mjs.
// The same on TF.js's own tf.io is the control: it must be torn.
// KILLS=n rounds (default 40), SEED=s, ENGINES="chromium firefox" (or none: Node alone), STORES="opfs shards" only these stores, ONLY="12 c3" runs only these rounds of the same plan, VERBOSE=1.
import fs from 'node:fs';
import { serve } from '../../scripts/serve.mjs';
import { print } from '../lib/artifacts.mjs';
import { root } from '../lib/node.mjs';
import { judge } from './checks.mjs';
import { Durations } from './durations.mjs';
import { InBrowser } from './in-browser.mjs';
import { make } from './models.mjs';
import { plan } from './plan.mjs';
import { columns, describe, FORBIDDEN, table, tally, tears } from './report.mjs';
import { listen } from './signals.mjs';

const SEED = Number(process.env.SEED || 1);
const KILLS = Number(process.env.KILLS || 40);
const ENGINES = (process.env.ENGINES || 'chromium firefox').split(' ').filter((name) => ['chromium', 'firefox'].includes(name));
const ONLY = (process.env.ONLY ?? '').split(' ').filter(Boolean);
const PATIENCE = 3 * 60 * 1000; // for one round

if (!fs.existsSync(`${root}pkg/node.js`)) {
  console.error('pkg/ is not built: make package');
  process.exit(2);
}

async function hashed(models) {
  const out = {};
  for (const [url, model] of Object.entries(models)) out[url] = await hashOf(model);
  return out;
}

const known = new Map();
async function hashOf(model) {
  const key = model.join();
  if (!known.has(key)) known.set(key, await print(make(model)));
  return known.get(key);
}

function within(promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error('the round hangs')), PATIENCE);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** One round, and what it is called. */
async function play(round, place) {
  const hashes = { old: await hashed(round.old), now: await hashed(round.new) };
  const seen = await place.run(round, hashes);
  const { outcome, took, delay, lag, rows, orphans } = seen;
  const resolved = outcome === 'resolved';
  const subject = await hashOf(round.subject);
  const verdict = judge(round, { rows, ...hashes, subject, resolved });
  const wrongs = [...verdict.wrongs, ...orphans.map((file) => ['orphans', `${file} remains`])];
  if (outcome && !resolved) wrongs.push(['failed', outcome]);
  // After damage the next round begins with an empty origin; ours goes on even from what Local Storage was found out to be.
  if (wrongs.every(([column]) => ['detected', 'default lost', 'not written'].includes(column))) {
    place.settle(Object.fromEntries(Object.entries(verdict.states).filter(([, is]) => is !== 'absent')));
  }
  return { round, ...verdict, wrongs, delay, took, lag, outcome, isInside: outcome === null };
}

function tell(result) {
  const { round, wrongs } = result;
  const isBad = wrongs.some(([column]) => FORBIDDEN.includes(column)) && round.lib === 'tfpersist';
  if (!isBad && !process.env.VERBOSE) return;
  const took = result.took === undefined ? '' : ` (took ${Math.round(result.took)} ms)`;
  console.log(`${isBad ? 'FAILED ' : ''}${describe(round, result)}: ${[...columns(result)].join(', ')}${took}`);
  for (const [column, words] of wrongs) console.log(`      ${column}: ${words}`);
  if (!isBad) return;
  const stores = process.env.STORES ? ` STORES="${process.env.STORES}"` : '';
  console.log(`      again: KILLS=${KILLS} SEED=${SEED} ENGINES="${ENGINES.join(' ') || 'none'}" ONLY=${round.id}${stores} make test-crash`);
}

/** All rounds of one engine, on one profile. */
async function engineRounds(rounds, place, durations) {
  const results = [];
  for (const round of rounds) {
    const result = await within(play(round, place)).catch(async (error) => {
      await place.reset();
      return { round, name: null, wrongs: [['failed', error.stack]], isInside: false };
    });
    durations.learn(result);
    results.push(result);
    tell(result);
  }
  await place.close();
  return results;
}

async function all() {
  const [server, signals, durations] = [await serve(), await listen(), new Durations()];
  const rounds = plan({ seed: SEED, kills: KILLS, engines: ENGINES }).filter(({ id }) => ONLY.length === 0 || ONLY.includes(String(id)));
  const results = [];
  for (const engine of new Set(rounds.map((round) => round.engine))) {
    const place = engine === 'node'
      ? new (await import('./in-folders.mjs')).InFolders(signals, durations)
      : new InBrowser(engine, server, signals, durations);
    results.push(...await engineRounds(rounds.filter((round) => round.engine === engine), place, durations));
  }
  server.close();
  signals.close();
  return results;
}

/** Prints the table and the counts that scripts/test.sh reads; gives the exit code. */
function conclude(results, seconds) {
  const rows = tally(results);
  console.log(`\n${table(rows)}\n\n${results.length} rounds, seed ${SEED}, ${Math.round(seconds)} s`);
  const ours = results.filter(({ round }) => round.lib === 'tfpersist');
  const bad = ours.filter(({ wrongs }) => wrongs.some(([column]) => FORBIDDEN.includes(column))).length;
  const hasControl = ONLY.length === 0 && rows.some(({ isOurs }) => !isOurs);
  const isBlind = hasControl && tears(rows) === 0;
  if (isBlind) console.log('FAILED: tf.io was not torn once: the moments are not in the middle');
  const fail = bad + Number(isBlind);
  console.log(`ℹ pass ${ours.length - bad + Number(hasControl && !isBlind)}\nℹ fail ${fail}`);
  return fail > 0 || results.length === 0 ? 1 : 0;
}

const started = performance.now();
process.exit(conclude(await all(), (performance.now() - started) / 1000));
