// What the origin stores, seen without either library: dumps that JSON can carry and `deepEqual` can compare.
import { fromBase64, hex, sha256 } from './bytes.mjs';

const HEX_LIMIT = 4096; // longer buffers are shown as length and hash

async function describeBuffer(buffer) {
  return buffer.byteLength <= HEX_LIMIT ? hex(buffer) : `${buffer.byteLength} bytes, sha256 ${await sha256(buffer)}`;
}

/** A JSON value that tells everything of `value`: types, undefined fields and the order of keys included. */
export async function describe(value) {
  if (value === undefined) return { $undefined: true };
  if (typeof value === 'function') return { $function: value.name };
  if (typeof value === 'number' && (!Number.isFinite(value) || Object.is(value, -0))) return { $number: String(value) };
  if (value === null || typeof value !== 'object') return value;
  if (value instanceof Date) return { $date: value.toISOString() };
  if (value instanceof ArrayBuffer) return { $buffer: await describeBuffer(value) };
  if (ArrayBuffer.isView(value)) return { $view: value.constructor.name, bytes: hex(value.buffer) };
  if (Array.isArray(value)) return Promise.all(value.map(describe));
  if (Object.getPrototypeOf(value) !== Object.prototype) return { $instance: value.constructor?.name ?? 'null' };
  const out = {};
  for (const [key, field] of Object.entries(value)) out[key] = await describe(field);
  return out;
}

/** The outcome of a request, or of a transaction, as a promise. */
export function done(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = request.oncomplete = () => resolve(request.result);
    request.onerror = request.onabort = () => reject(request.error);
  });
}

/** All strings of Local Storage, sorted by key. */
export function localStrings() {
  return Object.fromEntries(Object.keys(localStorage).sort().map((key) => [key, localStorage.getItem(key)]));
}

/** Everything of the database, records as the engine returns them; undefined when there is no such database. */
export async function readDatabase(name = 'tensorflowjs') {
  if (!(await indexedDB.databases()).some((d) => d.name === name)) return undefined;
  const db = await done(indexedDB.open(name));
  try {
    const names = [...db.objectStoreNames];
    const out = { name, version: db.version, stores: {} };
    if (names.length === 0) return out;
    const tx = db.transaction(names, 'readonly');
    for (const store of names.map((n) => tx.objectStore(n))) {
      const { keyPath, autoIncrement, indexNames } = store;
      out.stores[store.name] = { keyPath, autoIncrement, indexes: [...indexNames], records: await done(store.getAll()) };
    }
    return out;
  } finally {
    db.close();
  }
}

/** Everything the origin stores, described. */
export async function dump() {
  const databases = [];
  for (const { name } of await indexedDB.databases()) databases.push(await describe(await readDatabase(name)));
  return { local: globalThis.localStorage ? localStrings() : null, databases };
}

/** One hash over `dump()`, to compare before and after. */
export async function dumpHash() {
  return sha256(new TextEncoder().encode(JSON.stringify(await dump())));
}

/** Rejects when something still holds the database open after `patience` ms. */
export function deleteDatabase(name = 'tensorflowjs', patience = 10000) {
  return new Promise((resolve, reject) => {
    const request = indexedDB.deleteDatabase(name);
    const timer = setTimeout(() => reject(new Error(`${name} is still held open`)), patience);
    request.onsuccess = () => resolve(clearTimeout(timer));
    request.onerror = () => reject(request.error);
  });
}

/** An origin without data. */
export async function clear() {
  localStorage.clear();
  for (const { name } of await indexedDB.databases()) await deleteDatabase(name);
}

/** Puts strings and databases into the origin, as TF.js had stored them. */
export async function restore({ local, databases }) {
  for (const [key, text] of Object.entries(local)) localStorage.setItem(key, text);
  for (const { name, version, stores } of databases) {
    const opening = indexedDB.open(name, version);
    opening.onupgradeneeded = () => {
      for (const store of Object.keys(stores)) opening.result.createObjectStore(store, { keyPath: stores[store].keyPath });
    };
    const db = await done(opening);
    const tx = db.transaction(Object.keys(stores), 'readwrite');
    for (const store of Object.keys(stores)) for (const record of stores[store].records) tx.objectStore(store).put(record);
    await done(tx);
    db.close();
  }
}

/** Fills Local Storage so that not even `leave` + 1 more UTF-16 units fit; returns how many were added. */
export function fillLocalStorage(leave = 0) {
  let text = '';
  for (let step = 1 << 22; step >= 1; step >>= 1) {
    try {
      localStorage.setItem('filler', text + 'x'.repeat(step));
      text += 'x'.repeat(step);
    } catch (error) {
      if (error.name !== 'QuotaExceededError' && error.name !== 'NS_ERROR_DOM_QUOTA_REACHED') throw error;
    }
  }
  localStorage.setItem('filler', text.slice(leave));
  return text.length - leave;
}

/** The fixture's file as `restore` takes it: buffers and dates are themselves again. */
export function reviveGolden({ ls, idb }) {
  const revive = (value, key) => {
    if (key === 'dateSaved') return new Date(value);
    if (value === null || typeof value !== 'object') return value;
    if (value.__arraybuffer_b64 !== undefined) return fromBase64(value.__arraybuffer_b64);
    if (Array.isArray(value)) return value.map((v) => revive(v));
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, revive(v, k)]));
  };
  return { local: ls, databases: [{ name: 'tensorflowjs', version: idb.version, stores: revive(idb.stores) }] };
}
