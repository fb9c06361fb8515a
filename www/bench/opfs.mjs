// The page's side of opfs-worker.mjs: whole files in slices.
import { MB } from './model.mjs';

const SLICE = 4 * MB;
const IN_FLIGHT = 4;
const waiting = new Map();
let worker;
let ids = 0;

function start() {
  worker = new Worker(new URL('./opfs-worker.mjs', import.meta.url), { type: 'module' });
  worker.onmessage = ({ data: { id, value, error } }) => {
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    if (error) reject(error); else resolve(value);
  };
}

function ask(call, rest, transfer = []) {
  if (!worker) start();
  ids += 1;
  worker.postMessage({ id: ids, call, ...rest }, transfer);
  return new Promise((resolve, reject) => waiting.set(ids, { resolve, reject }));
}

/** A file to write into at any place; the buffers are transferred, and a write waits while four are under way. */
export async function writer(name) {
  const under = new Set();
  await ask('open', { name });
  return {
    async write(at, bytes) {
      while (under.size >= IN_FLIGHT) await Promise.race(under);
      const done = ask('write', { name, at, bytes }, [bytes]).finally(() => under.delete(done));
      under.add(done);
    },
    async close(flush = false) {
      await Promise.all(under);
      await ask('close', { name, flush });
    },
  };
}

/** The caller's bytes stay: each slice is a copy. */
export async function saveFile(name, weightData, { flush, from = 0 } = {}) {
  const file = await writer(name);
  for (let at = from; at < weightData.byteLength; at += SLICE) await file.write(at - from, weightData.slice(at, at + SLICE));
  await file.close(flush);
}

export async function loadFile(name) {
  await ask('open', { name });
  const size = await ask('size', { name });
  const slices = [];
  for (let at = 0; at < size; at += SLICE) slices.push(ask('read', { name, at, length: Math.min(SLICE, size - at) }));
  const pieces = await Promise.all(slices);
  await ask('close', { name });
  return pieces;
}

/** As a File, for a request. */
export async function fileOf(name) {
  const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle('bench-raw');
  return (await folder.getFileHandle(name)).getFile();
}

export const removeFile = (name) => ask('remove', { name });
