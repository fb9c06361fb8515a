// The public functions: each waits for the wasm and calls it. What must work before that (handlers, routers, registered stores)
// lives here, in one registry that the wasm reads.
import { pick, walk } from './files.js';
import { changed, watchModels as watch } from './origin.js';
import * as stores from './tfpersist.js';

const STORES = ['localstorage', 'indexeddb', 'opfs', 'memory'];
const TRANSFERS = ['http', 'https', 'downloads', 'file'];
/** What the small build rejects with when only the larger one can do it. */
const NEEDS_MORE = 'tfpersist: the larger build';
/** Who writes for opfs:// in a page. The wasm has the text of it, for where this cannot be started. */
let worker = () => new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
/** All that the builds of the wasm know of each other's work. */
const registry = { saveRouters: [], loadRouters: [], stores: new Map(), memory: new Map(), changed, worker: () => worker() };

/** The builds: with TF.js's own stores alone, small, and with all, fetched at the first call that needs it. */
const builds = {
  stores: async () => stores,
  transfers: () => import('./tfpersist_transfers.js'),
};
const started = {};
const ready = {};
let source = () => undefined; // beside its JavaScript

/** For the entries `all` and `node`: one build for all, and where its wasm comes from. */
export function provide(build, defaultSource = source) {
  builds.stores = builds.transfers = async () => build;
  source = defaultSource;
}

function start(name, from) {
  started[name] ??= instantiate(name, from).catch((error) => {
    delete started[name]; // it may be tried again
    throw error;
  });
  return started[name];
}

async function instantiate(name, from) {
  const given = await from;
  try {
    const wasm = await builds[name]();
    await wasm.default({ module_or_path: given ?? (await source()) });
    wasm.useRegistry(registry);
    return (ready[name] = wasm);
  } catch (cause) {
    const why = `${cause?.message ?? cause}`;
    throw failure(`the wasm of tfpersist did not come, or cannot run here: ${why}`, { name: 'NetworkError', code: 'ERR_NETWORK', why, cause });
  }
}

export async function init(from) {
  const { worker: own, transfers } = from ?? {};
  if (own) worker = typeof own === 'function' ? own : () => new Worker(own, { type: 'module' });
  if (transfers) await start('transfers', transfers === true ? undefined : transfers);
  else await start('stores', own ? undefined : from);
}

const schemeOf = (url) => (typeof url === 'string' ? /^([a-z][a-z0-9+.-]*):\/\//i.exec(url)?.[1].toLowerCase() : undefined);

/** Verbs of the small build that look for shards themselves, while they read. */
const ASK_THEMSELVES = ['load', 'loadForTf', 'loadModel', 'listModels'];

const LARGER = ['http', 'sign', 'files', 'modelJSON', 'cache', 'stream', 'joined', 'quantize'];

/** Whether only the build with all can serve this source, target or options. */
function needsAll(value) {
  if (typeof value === 'string') return ['opfs', ...TRANSFERS].includes(schemeOf(value)) || !value.includes('://') || value.startsWith('blob:');
  return value != null && (value.layout === 'sharded' || LARGER.some((key) => value[key] !== undefined));
}

const look = (at, value) => { try { return at(value); } catch { /* it is none */ } };

/** Whether there may be models in shards. */
async function hasShards() {
  try {
    return globalThis.indexedDB ? (await indexedDB.databases()).some(({ name }) => name === 'tfpersist') : false;
  } catch {
    return true; // it does not say
  }
}

/** The build that serves this call: the larger one when it is there or needed. */
async function buildFor(name, args) {
  if (ready.transfers) return ready.transfers;
  if (args.some((arg) => look(needsAll, arg))) return start('transfers');
  const mayBeSharded = !ASK_THEMSELVES.includes(name) && args.some((arg) => schemeOf(arg) === 'indexeddb');
  // Who may not replace anything has to know of the first model in shards, too, that somebody may write meanwhile.
  const mayNotReplace = args.some((arg) => look((options) => options?.overwrite === false, arg));
  if (mayBeSharded && (mayNotReplace || (await hasShards()))) return start('transfers');
  return started.stores ?? started.transfers ?? start('stores');
}

const verb = (name) => async (...args) => {
  const wasm = await buildFor(name, args);
  try {
    return await wasm[name](...args);
  } catch (error) {
    if (error !== NEEDS_MORE) throw error;
    return (await start('transfers'))[name](...args);
  }
};

/** A verb that loads: what was picked or dropped is taken at once: after the event it is gone. */
const loader = (name, at = 0) => {
  const run = verb(name);
  return (...args) => {
    const picked = look(pick, args[at]);
    if (!picked) return run(...args);
    return walk(picked).then((files) => run(...args.slice(0, at), files, ...args.slice(at + 1)));
  };
};

/** What the handlers that are made here stand for. */
const meant = new WeakMap();
const standsFor = (handler, where, options) => {
  meant.set(handler, { where, options, save: handler.save });
  return handler;
};
const parent = Object.getPrototypeOf;
const isPlain = (options) => options == null || parent(options) === null || parent(parent(options)) === null;

const OF_REQUESTS = ['requestInit', 'method', 'headers', 'credentials', 'mode', 'redirect', 'referrer', 'referrerPolicy', 'integrity', 'keepalive'];
/** Options that the source of a copy does not look at, or that do no harm there. */
const OF_BOTH = ['files', 'shardBytes', 'fieldNames', 'zip', 'overwrite', 'durability', 'layout', 'quantize', 'signal', 'onProgress', 'concurrency', 'retries'];
const given = (options) => Object.keys(options ?? {}).filter((key) => options[key] != null);
const ofRequests = (options) => given(options).find((key) => OF_REQUESTS.includes(key));
/** Whether options of a copy may go with requests for its source: a server, or what a router knows. */
const asks = (source) => typeof source === 'string' && ![...known(), 'file'].includes(schemeOf(source));

/** The options of a handler and of a call, as one. */
function together(own, options) {
  const both = { ...own };
  for (const key of given(options)) both[key] = options[key];
  const all = (read) => [own, options].map(read).filter(Boolean);
  const signals = all((of) => of?.signal ?? of?.requestInit?.signal);
  if (signals[1]) both.signal = AbortSignal.any(signals);
  const listeners = all((of) => of?.onProgress);
  const tell = (listener, news) => { try { listener(...news); } catch (error) { console.error(error); } };
  if (listeners.every((listener) => typeof listener === 'function') && listeners[1]) both.onProgress = (...news) => listeners.forEach((listener) => tell(listener, news));
  return both;
}

/** Where a call goes whose target is a handler of ours, and with which options: nothing, if it is none. */
const routed = (source, handler, options, isCopy) => {
  const { where, options: ofHandler, save } = meant.get(handler);
  const own = ofHandler();
  if (handler.save !== save || !isPlain(own) || !isPlain(options)) return undefined;
  const both = together(own, options);
  const isHarmless = given(own).every((key) => OF_BOTH.includes(key));
  if (!isCopy || !asks(source) || isHarmless) return { to: where, both, twice: ofRequests(own) && ofRequests(options) };
  // What is meant for the one server is none of the other's business.
  const server = where.http || where.sign ? where : /^https?:/i.test(where) && { http: where };
  const { signal, onProgress } = both;
  if (server) return { to: { ...server, ofTarget: both }, both: { ...options, signal, onProgress } };
  return { to: where, both: together(Object.fromEntries(OF_BOTH.map((key) => [key, own[key]])), options) };
};

/** A verb that saves: what goes to a handler of ours goes where that would send it, a piece at a time: as ModelArtifacts it would be whole. */
const saver = (run, isCopy) => async (source, target, options) => {
  const { to = target, both = options, twice } = look((handler) => routed(source, handler, options, isCopy), target) ?? {};
  check(!twice, `options.${twice}`, 'what is asked of a server is given to the handler already');
  return run(source, to, both);
};

export const save = saver(verb('save'));
export const load = loader('load');
/** For TF.js, which takes no stream of a layers model: it would make up random weights. */
const loadForTf = loader('loadForTf');
export const loadModel = loader('loadModel', 1);
export const listModels = verb('listModels');
export const verify = verb('verify');
export const copyModel = saver(loader('copyModel'), true);
export const moveModel = verb('moveModel');
export const removeModel = verb('removeModel');
export const sweep = async (options) => (await start('transfers')).sweep(options);

/** A handler's options are those of both ways, and each refuses what only the other knows. What cannot be copied is refused as well. */
const without = (options, ...names) => (typeof options === 'object' && look((given) => {
  const others = Object.assign(Object.create(Object.getPrototypeOf(given)), given);
  for (const name of names) delete others[name];
  return others;
}, options)) || options;

export const handler = (where, options) => {
  const picked = look(pick, where);
  const toSave = () => without(options, 'verify', 'stream', 'joined', 'cache');
  return standsFor({
    save: (artifacts) => save(artifacts, where, toSave()),
    load: () => loadForTf(picked ?? where, without(options, 'quantize')),
  }, where, toSave);
};

export const browserHTTPRequest = (url, options) => {
  check(typeof url === 'string' && url !== '', 'url', 'it must be the URL of a server');
  return handler({ http: url }, options);
};

export const browserFiles = (files, options) => {
  const picked = look(pick, files);
  check(picked, 'files', 'it must be a list of files, a folder or a zip');
  return { load: () => loadForTf(picked, options) };
};

export const objectStore = ({ sign, ...options } = {}) => {
  check(typeof sign === 'function', 'sign', 'it must be a function that gives the URL of a file');
  return standsFor({ save: (artifacts) => save(artifacts, { sign }, options) }, { sign }, () => options);
};

export const fromMemory = (artifacts) => ({
  load: async () => (artifacts?.getWeightStream && !artifacts.weightData ? loadForTf({ load: () => artifacts }, { stream: true }) : artifacts),
});
export const withSaveHandler = (save) => {
  check(typeof save === 'function', 'save', 'it must be a function that takes ModelArtifacts');
  return { save: async (artifacts) => save(artifacts) };
};

const known = () => [...STORES, ...registry.stores.keys()];
const serves = (url) => [...known(), ...TRANSFERS].includes(schemeOf(url)) && !/:\/\/$/.test(url);
const answers = (routers, url, options) => [
  ...routers.map((router) => router(url, options)).filter((answer) => answer != null),
  ...(serves(url) ? [handler(url, options)] : []),
];

export const registerSaveRouter = (router) => void registry.saveRouters.push(router);
export const registerLoadRouter = (router) => void registry.loadRouters.push(router);
export const getSaveHandlers = (url) => answers(registry.saveRouters, url);
export const getLoadHandlers = (url, options) => answers(registry.loadRouters, url, options);

const failure = (message, fields) => Object.assign(new Error(message), fields);

function check(ok, argument, why) {
  if (!ok) throw failure(`${argument}: ${why}`, { name: 'TypeError', code: 'ERR_INVALID_ARGUMENT', argument, why });
}

export function watchModels(callback) {
  check(typeof callback === 'function', 'callback', 'it must be a function');
  return watch(callback);
}

export function registerStore(scheme, store) {
  check(typeof scheme === 'string' && /^[a-z][a-z0-9+.-]*$/.test(scheme), 'scheme', 'it must be lower-case letters, digits, + - .');
  check(![...known(), ...TRANSFERS].includes(scheme), 'scheme', `"${scheme}://" is taken`);
  for (const method of ['save', 'load', 'list', 'remove']) {
    check(typeof store?.[method] === 'function', 'store', `it has no ${method}()`);
  }
  registry.stores.set(scheme, store);
}

export function install(tf) {
  check(typeof tf?.io?.registerSaveRouter === 'function', 'tf', 'it has no io.registerSaveRouter(): pass the TensorFlow.js namespace');
  // What TF.js serves itself stays with TF.js: two routers for one URL are an error there.
  const here = TRANSFERS.filter((scheme) => scheme !== 'file' || globalThis.process?.getBuiltinModule); // only Node has files
  const ours = [...known(), ...here].filter((scheme) => tf.io.getSaveHandlers(`${scheme}://m`).length === 0);
  const router = (url, options) => (ours.includes(schemeOf(url)) ? handler(url, options) : null);
  tf.io.registerSaveRouter((url) => router(url));
  tf.io.registerLoadRouter(router);
  return ours;
}
