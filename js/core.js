// The public functions. Thin: each waits for the wasm and calls it. What must work before the wasm is there (handlers,
// routers, registered stores) lives here, in one registry that the wasm reads.
import loadWasm, * as wasm from './tfpersist.js';

const STORES = ['localstorage', 'indexeddb', 'memory'];
const registry = { saveRouters: [], loadRouters: [], stores: new Map() };

let source = () => undefined; // beside tfpersist.js
let loading;

/** For the Node entry: where the wasm comes from when the caller does not say. */
export function provide(defaultSource) {
  source = defaultSource;
}

export function init(from) {
  loading ??= start(from).catch((error) => {
    loading = undefined; // a failed download may be tried again
    throw error;
  });
  return loading;
}

async function start(from) {
  await loadWasm({ module_or_path: (await from) ?? (await source()) });
  wasm.useRegistry(registry);
}

const verb = (name) => async (...args) => {
  await init();
  return wasm[name](...args);
};

export const save = verb('save');
export const load = verb('load');
export const loadModel = verb('loadModel');
export const listModels = verb('listModels');
export const copyModel = verb('copyModel');
export const moveModel = verb('moveModel');
export const removeModel = verb('removeModel');

export const handler = (where, options) => ({
  save: (artifacts) => save(artifacts, where, options),
  load: () => load(where, options),
});

export const fromMemory = (artifacts) => ({ load: async () => artifacts });
export const withSaveHandler = (save) => ({ save: async (artifacts) => save(artifacts) });

const known = () => [...STORES, ...registry.stores.keys()];
const schemeOf = (url) => (typeof url === 'string' ? /^([a-z][a-z0-9+.-]*):\/\/./i.exec(url)?.[1].toLowerCase() : undefined);
const answers = (routers, url, options) => [
  ...routers.map((router) => router(url, options)).filter((answer) => answer != null),
  ...(known().includes(schemeOf(url)) ? [handler(url, options)] : []),
];

export const registerSaveRouter = (router) => void registry.saveRouters.push(router);
export const registerLoadRouter = (router) => void registry.loadRouters.push(router);
export const getSaveHandlers = (url) => answers(registry.saveRouters, url);
export const getLoadHandlers = (url, options) => answers(registry.loadRouters, url, options);

function check(ok, argument, why) {
  if (ok) return;
  throw Object.assign(new Error(`${argument}: ${why}`), { name: 'TypeError', code: 'ERR_INVALID_ARGUMENT', argument, why });
}

export function registerStore(scheme, store) {
  check(typeof scheme === 'string' && /^[a-z][a-z0-9+.-]*$/.test(scheme), 'scheme', 'it must be lower-case letters, digits, + - .');
  check(!known().includes(scheme), 'scheme', `"${scheme}://" is taken`);
  for (const method of ['save', 'load', 'list', 'remove']) {
    check(typeof store?.[method] === 'function', 'store', `it has no ${method}()`);
  }
  registry.stores.set(scheme, store);
}

export function install(tf) {
  check(typeof tf?.io?.registerSaveRouter === 'function', 'tf', 'it has no io.registerSaveRouter(): pass the TensorFlow.js namespace');
  // What TF.js serves itself stays with TF.js: two routers for one URL are an error there.
  const ours = known().filter((scheme) => tf.io.getSaveHandlers(`${scheme}://m`).length === 0);
  const router = (url, options) => (ours.includes(schemeOf(url)) ? handler(url, options) : null);
  tf.io.registerSaveRouter((url) => router(url));
  tf.io.registerLoadRouter(router);
  return ours;
}
