// Files as a person picks, drops or opens them, made in the page from `[path, base64]`.
import { print } from './artifacts.mjs';
import { fromBase64 } from './bytes.mjs';
import { attempt, library } from './libraries.mjs';

const nameOf = (path) => path.split('/').at(-1);

export const filesOf = (rows) => rows.map(([path, base64]) => new File([fromBase64(base64)], nameOf(path)));

function transfer(rows) {
  const made = new DataTransfer();
  for (const file of filesOf(rows)) made.items.add(file);
  return made;
}

/** A real FileSystemDirectoryHandle, of a folder that only this origin sees. */
async function folder(rows) {
  const root = await navigator.storage.getDirectory();
  const made = await root.getDirectoryHandle(crypto.randomUUID(), { create: true });
  for (const [path, base64] of rows) {
    let at = made;
    const names = path.split('/');
    for (const name of names.slice(0, -1)) at = await at.getDirectoryHandle(name, { create: true });
    const file = await (await at.getFileHandle(names.at(-1), { create: true })).createWritable();
    await file.write(fromBase64(base64));
    await file.close();
  }
  return made;
}

const shuffled = (list) => [...list.filter((_, i) => i % 2), ...list.filter((_, i) => i % 2 === 0).reverse()];

/** A drop whose data is gone after the event, as it is with a person's: `take` must have begun in the event. */
function drop(rows, take) {
  const dataTransfer = transfer(rows);
  return new Promise((resolve, reject) => {
    addEventListener('drop', (event) => take(event.dataTransfer).then(resolve, reject), { once: true });
    dispatchEvent(new DragEvent('drop', { dataTransfer }));
    dataTransfer.items.clear();
  });
}

/** Way -> how the model comes out of the files. */
const ways = {
  'File[]': ({ load }, rows, options) => load(filesOf(rows), options),
  'File[], the last first': ({ load }, rows, options) => load(filesOf(rows).reverse(), options),
  'File[], shuffled': ({ load }, rows, options) => load(shuffled(filesOf(rows)), options),
  'FileList': ({ load }, rows, options) => load(transfer(rows).files, options),
  'browserFiles(FileList)': ({ browserFiles }, rows, options) => browserFiles(transfer(shuffled(rows)).files, options).load(),
  'handler(File[])': ({ handler }, rows, options) => handler(shuffled(filesOf(rows)), options).load(),
  'copyModel(File[])': async ({ copyModel, load }, rows, options) => {
    await copyModel(shuffled(filesOf(rows)), 'memory://copy', options);
    return load('memory://copy');
  },
  'drop, items': ({ load }, rows, options) => drop(rows, (data) => load(data.items, options)),
  'drop, DataTransfer': ({ load }, rows, options) => drop(rows, (data) => load(data, options)),
  'drop, files': ({ load }, rows, options) => drop(rows, (data) => load([...data.files], options)),
  'drop, browserFiles': ({ browserFiles }, rows, options) => drop(rows, (data) => browserFiles(data.items, options).load()),
  'FileSystemDirectoryHandle': async ({ load }, rows, options) => load(await folder(rows), options),
  'FileSystemFileHandle[]': async ({ load }, rows, options) => {
    const handles = [];
    for await (const handle of (await folder(rows.map(([path, bytes]) => [nameOf(path), bytes]))).values()) handles.push(handle);
    return load(shuffled(handles), options);
  },
};
export const WAYS = Object.keys(ways);

/** What came of it: `{ value: print of the model }` or `{ error }`. */
export const taken = (way, rows, options) => attempt(async () => print(await ways[way](await library('tfpersist'), rows, options ?? undefined)));

/** The same with TF.js's own browserFiles. */
export const takenByTF = (rows, patience = 500) => attempt(async () => print(await tf.io.browserFiles(filesOf(rows)).load()), patience);
