// Writes, flushes and reads the files of opfs:// for a page: only dedicated workers have sync access handles. It imports nothing and is
// fit for a classic worker, too, so that it can also be started from its text.
let folder;
/** Files that are being opened. Chromium never answers for one that is garbage meanwhile. */
const opening = new Set();

/** A file's sync access handle. The folder is found once, and once more if somebody has removed it since. */
async function open(name, create, options) {
  const known = folder;
  let file;
  folder ??= navigator.storage.getDirectory().then((root) => root.getDirectoryHandle('tfpersist', { create: true }));
  try {
    file = await (await folder).getFileHandle(name, { create });
    opening.add(file);
    return await file.createSyncAccessHandle(options);
  } catch (error) {
    folder = undefined;
    if (known && error.name === 'NotFoundError') return open(name, create, options);
    throw error;
  } finally {
    opening.delete(file);
  }
}

/** Over quota nothing throws: there are fewer bytes than there should be, or an absurd number. */
function check(bytes, expected) {
  if (bytes === expected) return;
  throw Object.assign(new Error(`${bytes} of ${expected} bytes were written`), { name: 'QuotaExceededError' });
}

/** Forces a file to the disk that somebody has written. */
async function flush({ name }) {
  const handle = await open(name, false, { mode: 'readwrite-unsafe' });
  try {
    handle.flush();
  } finally {
    handle.close();
  }
  return [];
}

/** The files that are being written: by name the promise of a handle. */
const written = new Map();

/** A slice of a new file; with the one that ends at `total` the file is closed. The buffer goes back to who sent it. */
async function write({ name, buffers, at, length, total, flush }) {
  if (!written.has(name)) written.set(name, open(name, true));
  const isLast = at + length === total;
  let handle;
  try {
    handle = await written.get(name);
    check(handle.write(new Uint8Array(buffers[0], 0, length), { at }), length);
    if (isLast && flush) handle.flush();
    if (isLast) check(handle.getSize(), total);
  } finally {
    if (isLast) {
      written.delete(name);
      handle?.close();
    }
  }
  return buffers;
}

/** Files of a save that is given up: those whose last slice never came are closed, so that they can be removed. */
async function forget({ names }) {
  for (const name of names) {
    const handle = written.get(name)?.catch(() => undefined);
    written.delete(name);
    (await handle)?.close();
  }
  return [];
}

/** Some bytes of a file, read into the buffer that came, if one did; fewer where the file ends. */
async function read({ name, offset, length, buffers: [room = new ArrayBuffer(length)] }) {
  const handle = await open(name, false, { mode: 'read-only' });
  try {
    const bytes = new Uint8Array(room, 0, length);
    const count = handle.read(bytes, { at: offset });
    return [count < length ? bytes.slice(0, count).buffer : room];
  } finally {
    handle.close();
  }
}

const tasks = { write, flush, forget, read };

onmessage = async ({ data }) => {
  try {
    const buffers = await tasks[data.task](data);
    postMessage({ id: data.id, buffers }, buffers);
  } catch ({ name, message }) {
    postMessage({ id: data.id, name, message });
  }
};

const has = (type, property) => globalThis[type] !== undefined && property in globalThis[type].prototype;
// Who asks has to speak as this file does: it may be an older or newer one that somebody serves. Handles without a mode are exclusive: two
// readers of one file would be in each other's way.
postMessage({ protocol: 4, writes: has('FileSystemFileHandle', 'createSyncAccessHandle'), reads: has('FileSystemSyncAccessHandle', 'mode') });
