// Somebody who saves, overwrites, moves, copies, removes, loads and lists at random on paths that others work on, too: in a page or,
// by actor-worker.mjs, in a worker.
import { plain, print } from './artifacts.mjs';
import { random } from './bytes.mjs';
import { attempt, library } from './libraries.mjs';

const PATIENCE = 20000; // ms for one call
const LONGEST = 90000; // ms for all of them, if something never comes
/** The token is a model that everybody moves among paths of its own, and nobody removes. */
const TOKENS = ['t0', 't1', 't2'];
const SHARED = ['a', 'b', 'c'];
const ALL = [...SHARED, ...TOKENS];
const KINDS = { save: 2, overwrite: 3, move: 2, copy: 2, remove: 2, load: 6, list: 2, token: 3 };
const OFTEN = Object.entries(KINDS).flatMap(([kind, times]) => Array(times).fill(kind));

const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
/** A code, or the name of what has none, with its words. */
const nameOf = (error) => error.code ?? `${error.name}: ${error.message}`;
const count = (counts, what) => { counts[what] = (counts[what] ?? 0) + 1; };

/** Print -> name of each model. */
async function printsOf(models) {
  const prints = {};
  for (const [name, model] of Object.entries(models)) prints[await print(plain(...model))] = name;
  return prints;
}

/** What a load gives: the name of a model, a code, or what must not be. */
async function look(url, prints) {
  const { load } = await library('tfpersist');
  const { value, error } = await attempt(async () => print(await load(url)), PATIENCE);
  return error ? nameOf(error) : prints[value] ?? 'a mixture';
}

/** Kind -> the call, and what came of it: `ok`, the name of the model that was loaded, or of the error. */
function calls(lib, { store, models, mine }, prints, next) {
  const any = (list) => list[Math.floor(next() * list.length)];
  const url = (paths) => `${store}://${any(paths)}`;
  const model = () => plain(...models[any(mine)]);
  const two = (paths) => {
    const from = any(paths);
    return [from, any(paths.filter((path) => path !== from))].map((path) => `${store}://${path}`);
  };
  const list = async () => {
    const rows = await lib.listModels(`${store}://`);
    const damaged = ALL.map((path) => rows[`${store}://${path}`]?.damage).find(Boolean);
    if (damaged) throw damaged;
  };
  const told = (work) => async () => {
    const { error } = await attempt(async () => { await work(); }, PATIENCE);
    return error ? nameOf(error) : 'ok';
  };
  return {
    save: told(() => lib.save(model(), url(SHARED), { overwrite: false })),
    overwrite: told(() => lib.save(model(), url(SHARED))),
    move: told(() => lib.moveModel(...two(SHARED))),
    copy: told(() => lib.copyModel(...two(SHARED))),
    remove: told(() => lib.removeModel(url(SHARED))),
    token: told(() => lib.moveModel(...two(TOKENS))),
    list: told(list),
    load: () => look(url(ALL), prints),
  };
}

/** Tells the other actors that this one has done enough; gives a function that says whether all `actors` have. */
function teamOf(seed, actors) {
  const channel = new BroadcastChannel('actors');
  const done = new Set();
  channel.onmessage = ({ data }) => done.add(data);
  return {
    enough: () => { channel.postMessage(seed); done.add(seed); }, // again and again: some may begin later
    all: () => done.size === actors,
  };
}

/**
 * Acts for `ms` milliseconds, and on until, for each of the `actors`, each kind of call has succeeded `least` times and a model of each
 * of the others was seen; their names begin with the letters of `others`.
 * Gives how often each kind had which outcome, what the loads saw, and how long the slowest call took.
 */
export async function act({ store, seed, models, mine, others, actors, ms, least, rest }) {
  const lib = await library('tfpersist');
  const [next, prints, team, started] = [random(seed), await printsOf(models), teamOf(seed, actors), performance.now()];
  const todo = calls(lib, { store, models, mine }, prints, next);
  const outcomes = Object.fromEntries(Object.keys(KINDS).map((kind) => [kind, { ok: 0 }]));
  const seen = {};
  let slowest = 0;
  const lacking = () => [...Object.keys(KINDS).filter((kind) => outcomes[kind].ok < least),
    ...[...others].filter((who) => !Object.keys(seen).some((name) => name.startsWith(who)))];
  for (let gone = 0; gone < LONGEST && !team.all(); gone = performance.now() - started) {
    const kind = OFTEN[Math.floor(next() * OFTEN.length)];
    const before = performance.now();
    const what = await todo[kind]();
    slowest = Math.max(slowest, performance.now() - before);
    const known = kind === 'load' && what in models;
    if (known) count(seen, what);
    count(outcomes[kind], known ? 'ok' : what);
    if (gone > ms && lacking().length === 0) team.enough();
    if (rest) await pause(next() * rest);
  }
  return { outcomes, seen, slowest: Math.round(slowest), lacking: lacking() };
}

/** The same in a worker of this page. */
export function actInWorker(job) {
  return new Promise((resolve, reject) => {
    const worker = new Worker('/tests/lib/actor-worker.mjs', { type: 'module' });
    worker.onmessage = ({ data: { value, error } }) => (error ? reject(new Error(nameOf(error))) : resolve(value));
    worker.onerror = ({ message }) => reject(new Error(`the worker does not start: ${message}`));
    worker.postMessage(job);
  });
}

let tfIsEnough;
export const endTF = () => { tfIsEnough = true; };

/** TF.js at work on a path of its own in the same database, until `endTF`: how many rounds, and everything that went wrong. */
export async function actTF(model) {
  const { save, load, listModels } = await library('tf.io');
  const [url, wrong, expected] = ['indexeddb://theirs', [], await print(plain(...model))];
  let rounds = 0;
  while (!tfIsEnough) {
    const { value, error } = await attempt(async () => {
      await save(plain(...model), url);
      return [await print(await load(url)) === expected, (await listModels())[url]?.weightDataBytes];
    }, PATIENCE);
    if (error || !value[0] || value[1] !== model[2]) wrong.push(error ? nameOf(error) : value);
    rounds += 1;
    await pause(10);
  }
  return { rounds, wrong };
}

/** What stands at each path in the end, as the list says and as a load finds it. */
export async function survey({ store, models }) {
  const { listModels } = await library('tfpersist');
  const [prints, rows, out] = [await printsOf(models), await listModels(`${store}://`), {}];
  for (const path of ALL) {
    const row = rows[`${store}://${path}`];
    out[path] = [row ? row.damage?.code ?? 'listed' : 'not listed', await look(`${store}://${path}`, prints)];
  }
  return out;
}
