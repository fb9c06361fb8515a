// Scenes for two tabs: each runs its part, and they tell each other by BroadcastChannel when it is time.
import { plain, print } from './artifacts.mjs';
import { attempt, library } from './libraries.mjs';

const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
/** The same clock in all tabs. */
const clock = () => performance.timeOrigin + performance.now();

const begun = [];

/** Begins one of the page's functions, for a driver that can wait for one tab only. */
export const begin = (name, argument) => { begun.push(globalThis.T[name](argument)); };

/** What came of everything that was begun here. */
export const ended = () => Promise.all(begun.splice(0));

/** Resolves when another tab calls `signal` with the name. */
export function signalled(name) {
  const channel = new BroadcastChannel(name);
  return new Promise((resolve) => {
    channel.onmessage = () => {
      channel.close();
      resolve();
    };
  });
}

function signal(name) {
  const channel = new BroadcastChannel(name);
  channel.postMessage('now');
  channel.close();
}

/** A save, a load and a list at once; the other tab is told when they are under way. What came of each. */
export async function threeCalls({ lib, model }) {
  const { save, load, listModels } = await library(lib);
  const artifacts = plain(...model);
  await listModels(); // so that the wasm is there
  const calls = {
    save: attempt(async () => { await save(artifacts, 'indexeddb://new'); }),
    load: attempt(async () => print(await load('indexeddb://old'))),
    list: attempt(async () => Object.keys(await listModels())),
  };
  signal('under way');
  const outcomes = {};
  for (const [name, call] of Object.entries(calls)) outcomes[name] = await call;
  return outcomes;
}

/** While the other tab's calls are under way: deletes the database, or opens it in a version. What its request heard, in order. */
export async function interfere({ version, delay }) {
  await signalled('under way');
  await pause(delay);
  const heard = [];
  const request = version ? indexedDB.open('tensorflowjs', version) : indexedDB.deleteDatabase('tensorflowjs');
  const { error } = await attempt(() => new Promise((resolve, reject) => {
    request.onblocked = () => heard.push('blocked');
    request.onupgradeneeded = () => heard.push('upgradeneeded');
    request.onsuccess = resolve;
    request.onerror = () => reject(request.error);
  }));
  heard.push(error ? error.name : 'success');
  if (version && !error) request.result.close();
  return heard;
}

/** Whether a path can be saved to, loaded from, listed and removed. */
export async function works(lib) {
  const { save, load, listModels, removeModel } = await library(lib);
  const [model, url] = [plain('again', 7, 4000), 'indexeddb://again'];
  return attempt(async () => {
    await save(model, url);
    const same = await print(await load(url)) === await print(model);
    const listed = url in await listModels();
    await removeModel(url);
    return same && listed && !(url in await listModels());
  });
}

/** Loads, after telling the other tab; when, and the print or the error. */
export async function loadSignalled(url) {
  const { load } = await library('tfpersist');
  signal('loading');
  const from = clock();
  const { value, error } = await attempt(() => load(url));
  const to = clock();
  return { from, to, print: value && await print(value), code: error?.code ?? error?.message };
}

/** Overwrites, or removes without a model, as soon as the other tab loads; when it was. */
export async function changeSignalled({ url, model }) {
  const loading = signalled('loading'); // listens from now on
  const { save, removeModel } = await library('tfpersist');
  const artifacts = model && plain(...model);
  await loading;
  const from = clock();
  await (model ? save(artifacts, url) : removeModel(url));
  return { from };
}

/** Waits until the other tab waits in the same round: both go on as good as at once. */
async function meet(round) {
  const channel = new BroadcastChannel('meet');
  let met = false;
  channel.onmessage = ({ data }) => { met ||= data === round; };
  for (let i = 0; !met && i < 20000; i++) {
    channel.postMessage(round);
    await pause(1);
  }
  channel.postMessage(round); // the other one may have begun to listen meanwhile
  channel.close();
}

/** In two tabs at once, saves to paths where nothing may be; the outcomes. */
export async function race({ store, model, rounds, layout }) {
  const { save } = await library('tfpersist');
  const outcomes = [];
  for (let i = 0; i < rounds; i++) {
    const artifacts = plain(...model);
    await meet(i);
    const { error } = await attempt(() => save(artifacts, `${store}://only${i}`, { overwrite: false, ...(layout && { layout }) }));
    outcomes.push(error ? error.code ?? error.message : 'saved');
  }
  return outcomes;
}

let release;

/** Holds a lock until `releaseLock`. */
export function holdLock(name) {
  return new Promise((granted) => {
    navigator.locks.request(name, () => {
      granted();
      return new Promise((resolve) => { release = resolve; });
    });
  });
}
export const releaseLock = () => release();

/** Waits until so many wait for the lock, and so many hold it. */
export async function lockState(name, state, wanted) {
  for (let i = 0; ; i++) {
    const found = (await navigator.locks.query())[state].filter((lock) => lock.name === name).length;
    if (found === wanted) return;
    if (i === 1000) throw new Error(`${found} ${state} of ${name}, not ${wanted}`);
    await pause(20);
  }
}

/** What came of a save. */
export async function saveOnce({ url, model }) {
  const { save } = await library('tfpersist');
  const { error } = await attempt(() => save(plain(...model), url));
  return error ?? 'saved';
}

/** A save that hangs when the first of its strings is written, with the lock in its hands. */
export async function hangInSave({ url, model }) {
  const { save } = await library('tfpersist');
  const { setItem } = Storage.prototype;
  Storage.prototype.setItem = function hang(...args) {
    setItem.apply(this, args);
    for (;;);
  };
  await save(plain(...model), url);
}

/** Saves one model over the other for ever. */
export async function saveForever({ url, models }) {
  const { save } = await library('tfpersist');
  const artifacts = models.map((model) => plain(...model));
  for (let i = 0; ; i++) {
    await save(artifacts[i % 2], url);
    signal('saved');
  }
}
