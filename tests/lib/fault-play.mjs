// Plays a scene of lib/fault-scenes.mjs: from the same state again and again, with each call failing in each way. Where it is played, in a
// page, a worker or Node, is `here`: `{ lib, url(text), reset(models), whole(), same(whole), residue?(..) }`.
import { plain, print } from './artifacts.mjs';
import { closeDatabases, inOrder, plans, quiet, REASON, run, within } from './faults.mjs';

export const MODELS = Object.fromEntries(['old', 'new', 'other', 'next'].map((name, i) => [name, plain(name, i + 1, 400)]));
MODELS.large = plain('large', 9, 9 << 20);
const PATIENCE = 60000; // for an attempt and all that is looked at afterwards
const CODES = ['ERR_STORAGE', 'ERR_NETWORK', 'ERR_NOT_SUPPORTED', 'ERR_CORRUPT'];

/** All models that are listed in memory, to be compared. */
export async function inMemory(lib) {
  const listed = await lib.listModels('memory://');
  for (const url of Object.keys(listed)) listed[url].print = await print(await lib.load(url));
  return listed;
}

export async function forgetMemory(lib) {
  for (const url of Object.keys(await lib.listModels('memory://'))) await lib.removeModel(url);
}

/** What makes a save to this URL of a scene one in shards. */
export const layout = (url) => (url?.startsWith('shards://') ? { layout: 'sharded' } : {});

const work = ({ lib, url }, { verb, args, options }) => (signal) => (
  lib[verb](...args.map((arg) => MODELS[arg] ?? url(arg)), { ...layout(args.at(-1)), ...options, signal }));

/** Which of the models it is. */
async function named(loaded) {
  for (const name of Object.keys(MODELS)) if (await print(loaded) === await print(MODELS[name])) return name;
  return 'wrong';
}

/** What the scene does when nothing fails: its calls, and the state that it leaves. */
async function undisturbed(here, scene) {
  await here.reset(scene.before, scene);
  closeDatabases();
  const { calls, outcome } = await run(work(here, scene), { base: scene.base, sweeps: scene.sweeps });
  if (!('value' in outcome)) throw outcome.error ?? new Error(`${scene.name}: it hangs`);
  return { calls: inOrder(calls), outcome, state: here.same(await here.whole()) };
}

/** What an error is called in the table. */
export function told(error) {
  if (error === REASON) return 'reason';
  return error?.code?.startsWith?.('ERR_') ? error.code : `not ours: ${error?.name}: ${error?.message}`;
}

/** What is stored now, in the words of the table; `torn` when it is neither of what it may be. */
function stateOf(here, { before, after, expected, scene, call }) {
  if (after === before) return 'old intact';
  if (here.same(after) === expected.complete) return 'new complete';
  if (here.same(after) === expected.both) return 'both whole';
  return here.residue?.({ before, after, complete: expected.complete, scene, call }) ?? 'torn';
}

/** What came of it, in the words of the table; what must not be begins with FAULT. */
async function verdict({ outcome, unhandled, state, kind, call, scene, expected }) {
  if (READS.includes(scene.verb) && !scene.options?.cache) return verdictOfRead({ outcome, unhandled, state, kind, expected });
  const settled = 'value' in outcome ? 'resolves' : told(outcome.error);
  if (scene.verb === 'load' && settled === 'resolves') return verdictOfLoad(await named(outcome.value), state, kind, call);
  if (scene.verb === 'load' && settled === 'reason') return `${state}, reason`; // whatever is kept by then
  // The server has it, and nobody can know: the one case of a rejection with a new model.
  if (kind === 'lost' && state === 'new complete' && settled === 'ERR_NETWORK') return `${state}, ${settled}`;
  const codes = { quota: ['ERR_QUOTA_EXCEEDED'], signal: ['reason'] }[kind] ?? CODES;
  // A sweep changes nothing that a model names.
  if (scene.verb === 'sweep' && settled === 'resolves' && unhandled.length === 0) return state === 'old intact' ? 'swept' : `FAULT: ${state}, swept`;
  const isRight = state.startsWith('new complete') ? settled === 'resolves' : state !== 'torn' && codes.includes(settled);
  const isHarmless = settled === 'resolves' || !call.harmless;
  const problem = unhandled.length > 0 ? `, unhandled rejection: ${unhandled[0]?.message ?? unhandled[0]}` : '';
  if (!isRight || !isHarmless || problem) return `FAULT: ${state}, ${settled}${problem}`;
  return settled === 'resolves' ? state : `${state}, ${settled}`;
}

const READS = ['load', 'listModels', 'verify'];
/** What is read is right, or says what is wrong with it; and nothing that is stored changes. */
async function verdictOfRead({ outcome: { value, error }, unhandled, state, kind, expected }) {
  const codes = { quota: ['ERR_QUOTA_EXCEEDED'], signal: ['reason'] }[kind] ?? CODES;
  const isRight = error ? codes.includes(told(error)) : await isAsExpected(value, expected.value, codes);
  const damage = value && (value.damage ?? Object.values(value).find((row) => row?.damage)?.damage);
  const word = error ? told(error) : damage ? `damage ${damage.code}` : 'as it is';
  return isRight && state === 'old intact' && unhandled.length === 0 ? word : `FAULT: ${state}, ${word}, ${unhandled[0]?.message ?? ''}`;
}

async function isAsExpected(value, expected, codes) {
  if (value.modelTopology) return await print(value) === await print(expected);
  if (value.damage) return codes.includes(value.damage.code);
  return Object.values(value).every((row) => !row?.damage || codes.includes(row.damage.code))
    && Object.entries(JSON.parse(JSON.stringify(value))).every(([url, row]) => row?.damage || JSON.stringify(row) === JSON.stringify(expected[url]));
}

/** A model that is loaded is right also when it could not be kept; an older one only when the server cannot be reached. */
function verdictOfLoad(value, state, kind, call) {
  const isOffline = ['fetch', 'read', 'getReader'].includes(call.name.split(' ')[0]) && ['exception', 'lost'].includes(kind);
  const isRight = value === 'new' || (value === 'old' && isOffline && state === 'old intact');
  return `${isRight && state !== 'torn' ? '' : 'FAULT: '}${state}, loads the ${value} one`;
}

/** After a failure the library does its work as if nothing had been. */
async function stillWorks(here, scene) {
  const { lib, url } = here;
  const locks = await globalThis.navigator?.locks?.query();
  const isNote = ({ name }) => name.includes('#'); // word for other tabs, which ends by itself
  if (locks && [...locks.held, ...locks.pending].some((lock) => !isNote(lock))) return 'FAULT: a lock is held';
  const at = scene.next ?? scene.args.at(-1);
  const target = url(at);
  await lib.save(MODELS.next, target, scene.saving ?? { durability: 'relaxed', ...layout(at) });
  if (scene.isOpaque) return undefined;
  if (await print(await lib.load(target)) !== await print(MODELS.next)) return 'FAULT: the next save is not what was saved';
  return here.remains?.(scene);
}

async function loadsAs({ lib, url }, models) {
  for (const [where, model] of Object.entries(models)) {
    if (await print(await lib.load(url(where), { verify: true })) !== await print(MODELS[model])) return false;
  }
  return true;
}

/** One attempt: the word for the table. */
async function attempt(here, scene, plan, expected) {
  await here.reset(scene.before, scene);
  const before = await (here.before?.() ?? here.whole());
  closeDatabases();
  const { outcome, unhandled } = await run(work(here, scene), { ...plan, base: scene.base, sweeps: scene.sweeps });
  if (!('value' in outcome || 'error' in outcome)) return 'FAULT: hangs';
  const call = expected.calls[plan.row];
  const state = stateOf(here, { before, after: await here.whole(), expected, scene, call });
  const word = await verdict({ outcome, unhandled, state, kind: plan.kind, call, scene, expected });
  const models = state.startsWith('old') ? scene.before : state.startsWith('new') ? scene.after : {};
  const isSame = state === 'old intact' && here.before; // to the byte, and what is there before has been loaded
  if (!scene.isOpaque && !isSame && !await loadsAs(here, models)) return `FAULT: ${word}, and does not load`;
  return await stillWorks(here, scene) ?? word;
}

/** All attempts of a scene: `[{ name, cells: { exception: 'old intact, ERR_STORAGE', ... } }]`, a row for each call. */
export async function play(here, scene) {
  const { calls, outcome, state: complete } = await undisturbed(here, scene);
  if (!scene.isOpaque && !await loadsAs(here, scene.after)) throw new Error(`${scene.name}: undisturbed, it does not do what it should`);
  const copied = scene.between && await undisturbed(here, { ...scene, verb: 'copyModel' });
  const expected = { calls, complete, both: copied?.state, value: outcome.value };
  const rows = calls.map(({ name }) => ({ name, cells: {} }));
  for (const plan of plans(calls).filter(({ kind }) => !scene.kinds || scene.kinds.includes(kind))) {
    const word = await within(PATIENCE, attempt(here, scene, plan, expected).catch((error) => `FAULT: afterwards: ${error}`), 'FAULT: afterwards it hangs');
    rows[plan.row].cells[plan.kind] = word;
    if (word.includes('hangs')) return rows; // what holds it up would hold up the next one, too
  }
  await quiet();
  await here.reset({});
  return rows;
}
