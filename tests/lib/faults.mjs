// Host calls that are counted and, on demand, fail: for a page or a worker. Without a plan every call goes through untouched.
//
// Wrapped is what the host does for the package. Not wrapped is the language itself (JSON, Array, Promise, texts to bytes) and what no
// engine lets fail: timers, close(), event listeners,
// an AbortController, a FormData.

import { CALLS, flight, injected, noted, nothing } from './fault-calls.mjs';

export { noted };

/** How a call may fail. `request`: it is made, and its answer is an error. `lost`: it does its work, and its answer is an error. */
export const KINDS = ['exception', 'quota', 'abort', 'request', 'lost', 'signal'];
export const REASON = { name: 'the caller’s own reason' }; // anything; it must come back as it is
const PATIENCE = 20000;

/** What is under way: `{ calls, plan, controller, held, isOver }`; `held` are the sweeps that wait until the verb has settled. */
let armed;

const conflict = (store) => { // a request whose answer is an error for certain, and its transaction ends with it
  const record = { [store.keyPath]: 'a conflict' };
  originals.put.call(store, record);
  return originals.add.call(store, record);
};
const refusedOpening = (factory, name) => { // the upgrade is given up, so the database stays as it was
  const request = originals.open.call(factory, name, 2 ** 40);
  request.addEventListener('upgradeneeded', () => request.transaction.abort());
  return request;
};
const originals = {};

/** Each kind of failure: gets the call, and gives what the caller sees. */
const FAIL = {
  exception: ({ spec }) => refuse(spec, spec.remote ? new TypeError('injected: failed to fetch') : injected('UnknownError')),
  quota: ({ spec }) => refuse(spec, injected('QuotaExceededError')),
  abort({ spec, self, go }) {
    const made = go();
    if (spec.upgrades) self.upgrade.abort();
    else (spec.request ? self.transaction : spec.transaction(self, made)).abort();
    return made;
  },
  request: ({ spec, self, args }) => (spec.opens ? refusedOpening(self, args[0]) : conflict(self)),
  lost: ({ go }) => go().then(() => { throw new TypeError('injected: the answer is lost'); }),
  signal({ go, spec, self }) {
    armed?.controller.abort(REASON);
    const made = go();
    spec.note?.(made, self, wrapMethod);
    return made;
  },
};

function refuse(spec, error) {
  if (spec.promise) return Promise.reject(error);
  throw error;
}

/** In which ways a call can fail. */
function kindsOf(spec, self, made) {
  const transaction = spec.request ? self.transaction : spec.transaction?.(self, made);
  const can = {
    exception: true,
    quota: spec.writes,
    abort: transaction || spec.upgrades,
    request: spec.opens || (spec.request && transaction.mode === 'readwrite'),
    lost: spec.remote,
    signal: true,
  };
  // Object store and request follow in the same turn: in the many calls of the catalog only the request is aborted or interrupted.
  const isTwice = globalThis.IDBObjectStore && made instanceof IDBObjectStore && self.db?.name === 'tfpersist';
  return isTwice ? ['exception'] : KINDS.filter((kind) => can[kind]);
}

/** Counts a call, by its name and how often it was made: calls that run side by side come in any order. Gives its place. */
function counted(call) {
  const { calls } = armed;
  const number = calls.filter(({ name }) => name === call.name).length;
  return calls.push({ ...call, key: `${call.name} #${number}` }) - 1;
}

const isPlanned = (at) => armed.plan.after === undefined && armed.plan.key === armed.calls[at].key;

/** What happens at the end of a writing transaction: its last request succeeds, and it is complete. Two calls more. */
function watchEnd(transaction) {
  transaction.addEventListener('complete', () => {
    if (!armed || transaction.last === undefined) return;
    const signal = armed.isOver ? [] : ['signal'];
    counted({ name: '(the last request succeeds)', kinds: ['abort', ...signal], after: armed.calls[transaction.last].key });
    const at = counted({ name: '(complete)', kinds: signal });
    if (isPlanned(at)) armed.controller.abort(REASON);
  });
}

function remember(spec, self, made, at) {
  if (spec.opens) made.addEventListener('upgradeneeded', () => { made.result.upgrade = made.transaction; });
  if (spec.request) self.transaction.last = at;
  if (made instanceof IDBTransaction && made.mode === 'readwrite' && made !== self) watchEnd(made);
}

const opened = new Set();

/** As if somebody wanted to delete them: databases that are left open are closed, so that each attempt begins with all of them closed. */
export function closeDatabases() {
  for (const db of opened) db.dispatchEvent(new IDBVersionChangeEvent('versionchange'));
  opened.clear();
}

/** Counts what has not been answered; of a promise one is given on that is rejected as it is, so nothing counts as handled by this. */
function tracked(made) {
  const over = () => { flight.calls -= 1; };
  const ends = { IDBRequest: ['success', 'error'], IDBTransaction: ['complete', 'abort'] };
  const [, events] = Object.entries(ends).find(([name]) => globalThis[name] && made instanceof globalThis[name]) ?? [];
  if (!(made instanceof Promise || (events && !seen.has(made)))) return made;
  flight.calls += 1;
  if (made instanceof Promise) return made.then((value) => (over(), value), (error) => { over(); throw error; });
  seen.add(made);
  if (made instanceof IDBOpenDBRequest) made.addEventListener('success', () => opened.add(made.result));
  const once = () => { if (seen.delete(made)) over(); };
  for (const event of events) made.addEventListener(event, once);
  return made;
}
const seen = new Set();

/** One call: goes through, or fails as planned. */
function called(spec, name, self, args, go) {
  if (!globalThis.IDBTransaction) return calledNow(spec, name, self, args, go); // Node
  if (spec.lasts?.(args)) return calledNow(spec, name, self, args, go); // a note's lock, a second long
  if (!armed?.held || !spec.waits?.(args)) return tracked(calledNow(spec, name, self, args, go));
  return new Promise((free) => { armed.held.push(free); }).then(() => tracked(calledNow(spec, name, self, args, go)));
}

function calledNow(spec, name, self, args, go) {
  if (!armed || (spec.only && !spec.only(args))) return spec.always ? spec.always(go()) : go();
  const { plan, calls, isOver } = armed;
  const label = [name, (spec.label ?? nothing)(args, self) || spec.request && self.name].filter(Boolean).join(' ');
  const at = counted({ name: label, harmless: spec.harmless, aside: spec.aside });
  if (plan.base === label && !armed.based) { // the condition under which the whole verb runs
    armed.based = true;
    calls[at].kinds = [];
    return FAIL.quota({ spec });
  }
  if (isPlanned(at)) return (spec.fail?.[plan.kind] ?? FAIL[plan.kind])({ spec, self, args, go, originals });
  const made = go();
  if (plan.after === calls[at].key) made.addEventListener('success', () => FAIL[plan.kind]({ spec, self, args, go: () => made }));
  spec.note?.(made, self, wrapMethod);
  calls[at].kinds = kindsOf(spec, self, made).filter((kind) => !(isOver && kind === 'signal')); // nobody hears it any more
  if (globalThis.IDBTransaction) remember(spec, self, made, at);
  return spec.then ? made.then(spec.then) : made;
}

/** `spec.fail` has ways to fail of its own. */
export function wrapMethod(owner, name, spec) {
  const original = owner[name];
  originals[name] ??= original;
  const unseen = spec.unseen ?? (() => false);
  owner[name] = { [name](...args) { return unseen(args) ? original.apply(this, args) : called(spec, name, this, args, () => original.apply(this, args)); } }[name];
}

function wrapClass(name, spec) {
  globalThis[name] = new Proxy(globalThis[name], {
    construct: (target, args) => called(spec, `new ${name}`, undefined, args, () => Reflect.construct(target, args)),
  });
}

function wrapGetter(name, spec) {
  const value = globalThis[name];
  Object.defineProperty(globalThis, name, { configurable: true, get: () => called(spec, name, undefined, [], () => value) });
}

let installed = false;
/** Wraps what there is of it here, once. */
export function install() {
  if (installed) return;
  installed = true;
  for (const { on, call = [], make = [], get = [], ...spec } of CALLS) {
    const owner = on.split('.').filter(Boolean).reduce((at, name) => at?.[name], globalThis);
    call.filter((name) => typeof owner?.[name] === 'function').forEach((name) => wrapMethod(owner, name, spec));
    make.filter((name) => globalThis[name]).forEach((name) => wrapClass(name, spec));
    get.filter((name) => globalThis[name]).forEach((name) => wrapGetter(name, spec));
  }
}

/** What comes of the promise, or `otherwise` when it takes too long. */
export async function within(milliseconds, promise, otherwise) {
  let timer;
  const late = new Promise((resolve) => { timer = setTimeout(resolve, milliseconds, otherwise); });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Waits until nobody waits for an answer, also not a sweep of which nobody waits. */
export async function quiet() {
  const { port1, port2 } = new MessageChannel(); // whose tasks are not put off, as timers' are
  const turn = () => new Promise((resolve) => {
    port1.onmessage = resolve;
    port2.postMessage('');
  });
  for (let still = 0; still < 4; still = flight.calls === 0 ? still + 1 : 0) await turn();
  port1.close();
}

/** The sweeps that were held back begin; with `counts` their calls are the last of the run. */
async function sweeps(state, counts) {
  const { held } = state;
  state.held = undefined;
  state.isOver = true;
  if (!counts) armed = undefined;
  held?.forEach((free) => free());
  if (globalThis.IDBTransaction) await quiet();
}

/**
 * Does `work(signal)`, of which the call `plan.key` fails, or what follows the answer of `plan.after`; without a plan all succeed. Gives the calls that were made, and what came of
 * it: `{ value }`, `{ error }`, or neither when it hangs; and the rejections that nobody handled. Sweeps that nobody waits for come
 * afterwards, so that the order of calls is the same each time; with `plan.sweeps` their calls count.
 */
export async function run(work, plan = {}) {
  const controller = new AbortController();
  const [unhandled, hear] = [[], ({ reason }) => unhandled.push(reason)];
  globalThis.addEventListener?.('unhandledrejection', hear);
  Object.assign(noted, { urls: [], clicked: [] });
  const state = armed = { calls: [], plan, controller, held: plan.sweeps === 'itself' ? undefined : [] };
  const working = work(controller.signal).then((value) => ({ value }), (error) => ({ error }));
  let outcome = await within(PATIENCE, working, {});
  if (!await within(PATIENCE, sweeps(state, plan.sweeps).then(() => true), false)) outcome = {}; // what comes after it hangs
  armed = undefined;
  await new Promise((resolve) => { setTimeout(resolve); }); // unhandled rejections are told of after the task
  globalThis.removeEventListener?.('unhandledrejection', hear);
  return { calls: state.calls, outcome, unhandled };
}

/** The calls in the order of the table: all that a save has asked for aside before its own first one, which is random numbers under a lock. */
export function inOrder(calls) {
  const aside = calls.filter((call) => call.aside);
  if (aside.length === 0) return calls;
  const own = calls.filter((call) => !call.aside);
  const id = own.findIndex(({ name }) => name === 'getRandomValues');
  const begin = own.findLastIndex(({ name }, at) => at < id && name.startsWith('request'));
  return [...own.slice(0, begin), ...own.slice(begin + 1, id), ...aside, own[begin], ...own.slice(id)];
}

/** The plans for the calls that an undisturbed run made: each call, each way to fail. */
export function plans(calls) {
  return calls.flatMap(({ kinds, key, after }, row) => kinds.map((kind) => ({ row, kind, ...(after === undefined ? { key } : { after }) })));
}
