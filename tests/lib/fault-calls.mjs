// Which host calls are counted, what the table says of them, and in which ways they fail that are their own. lib/faults.mjs wraps them.

export const SWEEP = 'tfpersist:sweep'; // the lock of the sweep, which nobody waits for
export const injected = (name) => new DOMException(`injected ${name}`, name);
/** Calls whose answer is not there yet. */
export const flight = { calls: 0 };
/** The names of downloads begin with that of the attempt. */
const ending = (name) => String(name ?? '').replace(/^[^.]*/, '*');

/** The object URLs that were made in the last run, and the links that were clicked. */
export const noted = { urls: [], clicked: [] };

const last = (path) => String(path).replace(/[?#].*/, '').split('/').at(-1);
const part = (key) => String(key).replace('tensorflowjs_models/', '');
const save = (name) => String(name).replace(/[0-9a-f]{11}-[0-9a-f]{16}/, '*'); // its date and random digits
const isShared = (options) => (options?.mode === 'shared' ? ' (shared)' : '');
const file = (url) => last(url?.url ?? url).replace(/\.[0-9a-f]{16}\./, '.*.'); // a checksum is of no interest
export const nothing = () => '';
const strings = globalThis.localStorage;

const pathOf = (self) => save(self?.name ?? '');
/** A full disk, as a synchronous handle tells of it: half is written, and no exception. */
const writesHalf = ({ self, args: [bytes, options], originals }) => originals.write.call(self, bytes.subarray(0, bytes.byteLength >> 1), options);

/** What failed to close is closed nevertheless, or nobody could remove it. */
function closes({ go }) {
  go();
  throw injected('UnknownError');
}

/** The worker's own failures are those of a page's handles; to the page they are an answer. */
function answersQuota({ self, args: [{ id }] }) {
  setTimeout(() => self.dispatchEvent(new MessageEvent('message', { data: { id, name: 'QuotaExceededError', message: 'injected' } })));
}
const lost = new Set();
function losesAnswer({ args: [{ id }], go }) {
  lost.add(id);
  return go();
}
/** Between a message to a worker and its answer it works. */
function countsAnswers(worker) {
  const post = worker.postMessage;
  worker.postMessage = (...args) => {
    flight.calls += 1;
    try {
      post.apply(worker, args);
    } catch (error) {
      flight.calls -= 1;
      throw error;
    }
  };
  worker.addEventListener('message', (event) => {
    if (event.data.id === undefined) return;
    flight.calls -= 1;
    if (!lost.delete(event.data.id)) return;
    event.stopImmediatePropagation();
    flight.calls += 1;
    worker.dispatchEvent(new MessageEvent('message', { data: { id: event.data.id, name: 'UnknownError', message: 'injected' } }));
  });
  return worker;
}

/** What is wrapped: where, which functions, what the table says of their arguments, and in which ways they can fail. */
export const CALLS = [
  { on: '', get: ['localStorage', 'indexedDB'] },
  { on: 'Storage.prototype', call: ['getItem', 'removeItem'], label: ([key]) => part(key) },
  { on: 'Storage.prototype', call: ['setItem'], label: ([key]) => part(key), writes: true },
  { on: 'Object', call: ['hasOwn', 'keys'], label: ([, key]) => part(key ?? ''), only: ([store]) => strings && store === strings },
  { on: 'Reflect', call: ['has'], label: ([, key]) => part(key), only: ([store]) => strings && store === strings },
  { on: 'LockManager.prototype', call: ['request'], label: ([name, options]) => save(name.replace(/#.*/, '# (a note)')) + isShared(options), promise: true,
    waits: ([name, options]) => name === SWEEP && !isShared(options), lasts: ([name]) => name.includes('#') },
  { on: 'LockManager.prototype', call: ['query'], promise: true },
  { on: 'IDBFactory.prototype', call: ['open'], label: ([name]) => name, writes: true, opens: true },
  { on: 'IDBDatabase.prototype', call: ['createObjectStore'], label: ([name]) => name, upgrades: true },
  { on: 'IDBDatabase.prototype', call: ['transaction'], label: ([, mode]) => mode, transaction: (_, made) => made },
  { on: 'IDBTransaction.prototype', call: ['objectStore'], label: ([name]) => name, transaction: (self) => self },
  { on: 'IDBTransaction.prototype', call: ['commit', 'abort'] },
  { on: 'IDBObjectStore.prototype', call: ['get', 'getKey', 'getAll', 'getAllKeys', 'delete', 'count', 'openCursor'], request: true,
    unseen: ([key]) => key === 0 }, // asked to hold a transaction open: how often depends on how quick the other database is
  { on: 'IDBObjectStore.prototype', call: ['put', 'add'], request: true, writes: true },
  { on: '', call: ['structuredClone'] },
  { on: '', call: ['fetch'], label: ([url, init]) => `${init?.method ?? 'GET'} ${file(url)}`, promise: true, remote: true },
  { on: 'Blob.prototype', call: ['arrayBuffer', 'text'], promise: true },
  { on: 'Blob.prototype', call: ['slice', 'stream'] },
  { on: 'Response.prototype', call: ['arrayBuffer', 'text', 'json', 'blob'], promise: true },
  { on: 'ReadableStream.prototype', call: ['getReader'] },
  { on: 'ReadableStreamDefaultReader.prototype', call: ['read', 'cancel'], promise: true },
  { on: 'ReadableStreamBYOBReader.prototype', call: ['read', 'cancel'], promise: true },
  { on: 'Headers.prototype', call: ['set'], label: ([name]) => name },
  { on: 'StorageManager.prototype', call: ['estimate', 'persist', 'persisted'], promise: true },
  { on: 'StorageManager.prototype', call: ['getDirectory'], promise: true },
  { on: 'FileSystemDirectoryHandle.prototype', call: ['getDirectoryHandle', 'getFileHandle'], label: ([name]) => save(name), promise: true, writes: true },
  { on: 'FileSystemDirectoryHandle.prototype', call: ['removeEntry'], label: ([name]) => save(name), promise: true },
  { on: 'FileSystemDirectoryHandle.prototype', call: ['entries', 'values'], note: (files, _, wrapMethod) => wrapMethod(files, 'next', { promise: true }) },
  // A save looks at the names while it begins.
  { on: 'FileSystemDirectoryHandle.prototype', call: ['keys'], aside: true,
    note: (files, _, wrapMethod) => wrapMethod(files, 'next', { promise: true, aside: true, label: () => 'of keys' }) },
  { on: 'FileSystemFileHandle.prototype', call: ['getFile', 'createSyncAccessHandle'], label: (_, self) => pathOf(self), promise: true },
  { on: 'FileSystemFileHandle.prototype', call: ['createWritable', 'move'], label: (_, self) => pathOf(self), promise: true, writes: true },
  { on: 'FileSystemSyncAccessHandle.prototype', call: ['write'], writes: true, fail: { quota: writesHalf } },
  { on: 'FileSystemSyncAccessHandle.prototype', call: ['flush', 'truncate'], writes: true },
  { on: 'FileSystemSyncAccessHandle.prototype', call: ['read', 'getSize'] },
  { on: 'FileSystemSyncAccessHandle.prototype', call: ['close'], fail: { exception: closes } },
  { on: 'FileSystemWritableFileStream.prototype', call: ['write', 'truncate'], promise: true, writes: true },
  { on: 'WritableStream.prototype', call: ['close', 'abort'], promise: true, writes: true },
  { on: 'Worker.prototype', call: ['postMessage'], label: ([task]) => `to the worker: ${task.task} ${save(task.name)}`, writes: true, remote: true,
    fail: { exception: () => { throw injected('UnknownError'); }, quota: answersQuota, lost: losesAnswer } },
  { on: '', make: ['Worker'], note: countsAnswers, always: countsAnswers },
  { on: 'URL', call: ['createObjectURL'], note: (url) => noted.urls.push(url) },
  { on: 'URL', call: ['revokeObjectURL'] },
  { on: 'Document.prototype', call: ['createElement'], label: ([name]) => name },
  { on: 'EventTarget.prototype', call: ['dispatchEvent'], label: ([event], self) => `${event?.type} ${ending(self?.download)}`,
    note: (_, link) => noted.clicked.push({ name: ending(link.download), url: link.href }) },
  { on: 'HTMLElement.prototype', call: ['click'], label: (_, self) => ending(self.download) },
  { on: 'BroadcastChannel.prototype', call: ['postMessage'], label: nothing, harmless: true },
  { on: 'Crypto.prototype', call: ['getRandomValues', 'randomUUID'], label: nothing },
  { on: 'SubtleCrypto.prototype', call: ['digest'], label: ([name]) => name, promise: true },
  { on: '', make: ['Blob', 'Headers', 'URL'] },
  { on: '', make: ['BroadcastChannel'], harmless: true },
];
