// A page in which the host fails at what is asked of it only once.
import { plain, print } from './artifacts.mjs';
import { attempt, library } from './libraries.mjs';

/** It knows nothing of slices: each begins the file anew. */
const OLD_WORKER = `
let before = Promise.resolve();
async function write({ id, name, buffers, length }) {
  const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle('tfpersist', { create: true });
  const handle = await (await folder.getFileHandle(name, { create: true })).createSyncAccessHandle();
  handle.write(new Uint8Array(buffers[0], 0, length), { at: 0 });
  handle.close();
  postMessage({ id, buffers }, buffers);
}
onmessage = ({ data }) => { before = before.then(() => write(data)); };
postMessage({ writes: true, reads: false });
`;

const HOW = {
  'databases() throws': () => { IDBFactory.prototype.databases = () => { throw new TypeError('injected'); }; },
  'databases() rejects': () => { IDBFactory.prototype.databases = () => Promise.reject(new TypeError('injected')); },
  'there is no databases()': () => { delete IDBFactory.prototype.databases; },
  'no worker can be made': () => { globalThis.Worker = function Worker() { throw new DOMException('injected', 'SecurityError'); }; },
  'no worker starts': () => {
    globalThis.Worker = class extends Worker {
      constructor() { super('/no-such-worker.mjs', { type: 'module' }); }
    };
  },
  'a worker never says that it is there': () => {
    const silent = URL.createObjectURL(new Blob(['// nothing']));
    globalThis.Worker = class extends Worker { constructor(url) { super(String(url).startsWith('blob:') ? url : silent); } };
  },
  'the worker is of another version': () => {
    const old = URL.createObjectURL(new Blob([OLD_WORKER]));
    globalThis.Worker = class extends Worker { constructor(url) { super(String(url).startsWith('blob:') ? url : old); } };
  },
  'the first worker dies at its first task': () => {
    let isFirst = true;
    globalThis.Worker = class extends Worker {
      postMessage(...args) {
        if (!isFirst) return super.postMessage(...args);
        isFirst = false;
        return void setTimeout(() => this.dispatchEvent(new ErrorEvent('error', { message: 'injected' })));
      }
    };
  },
};

/** Breaks the host in a page in which the library has done nothing yet, and does everything that there is to do. */
export async function work(how, urls) {
  HOW[how]();
  const large = plain('large', Object.keys(HOW).indexOf(how) + 2, 9 << 20); // what was stored before would not be written again
  const lib = await library('tfpersist');
  const out = [];
  for (const url of urls) {
    const there = await print(await lib.load(url)) === await print(plain('before', 1, 4000));
    const missing = await attempt(() => lib.load(`${url}-that-is-not-there`));
    const saved = await attempt(async () => { await lib.save(large, url, url.startsWith('indexeddb') ? { layout: 'sharded' } : {}); });
    const model = saved.error ? plain('before', 1, 4000) : large;
    const right = await print(await lib.load(url, { verify: true })) === await print(model);
    await lib.save(large, url);
    await lib.sweep();
    const left = Object.keys(await lib.listModels()).includes(url);
    await lib.removeModel(url);
    out.push({ url, there, missing: missing.error?.code, saved: saved.error?.code ?? 'yes', right, left });
  }
  return out;
}
