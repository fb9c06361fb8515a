// What was picked or dropped, as `{ files: [{ path, blob }], loose }` for the wasm. The first half must run inside the event: a
// DataTransfer is empty after it.

const isFolder = (value) => value?.kind === 'directory' || value?.isDirectory === true;
const isHandle = (value) => typeof value?.getFile === 'function' || typeof value?.file === 'function' || isFolder(value);
/** A File or a Blob; an ArrayBuffer has a `slice`, too, but no `arrayBuffer`. */
const isBlob = (value) => typeof value?.arrayBuffer === 'function' && typeof value.slice === 'function';
const isDrop = (item) => typeof item?.getAsFile === 'function';

/** Takes out of a drop what is gone after the event: files, and folders as entries. A string is neither. */
function taken(item) {
  if (!isDrop(item)) return item;
  const entry = item.webkitGetAsEntry?.();
  return entry?.isDirectory ? entry : item.getAsFile();
}

/** A list of files, entries and handles, or `undefined` when the source is something else. */
export function pick(source) {
  if (isBlob(source) || isHandle(source)) return [source];
  const list = source?.items ?? source;
  if (typeof list !== 'object' || !(list?.length <= 2 ** 20)) return undefined;
  const picked = Array.from(list, taken).filter((item) => item != null);
  return picked.every((item) => isBlob(item) || isHandle(item)) ? picked : undefined;
}

/** All files of it, those in folders, too. */
export async function walk(picked) {
  const files = [];
  for (const item of picked) await walkInto(files, item, '');
  return { files, loose: picked.some((item) => isFolder(item) || item.webkitRelativePath) };
}

async function walkInto(files, item, folder) {
  const path = folder + (item.name ?? '');
  if (isFolder(item)) {
    const inside = await listed(item).catch((cause) => unreadable(path, cause));
    for (const child of inside) await walkInto(files, child, `${path}/`);
  } else if (isBlob(item)) {
    files.push({ path: item.webkitRelativePath || path, blob: item });
  } else {
    const opening = item.getFile?.() ?? new Promise((resolve, reject) => { item.file(resolve, reject); });
    files.push({ path, blob: await opening.catch((cause) => unreadable(path, cause)) });
  }
}

function unreadable(url, cause) {
  const why = `${cause?.name}: ${cause?.message}`;
  throw Object.assign(new Error(`The file "${url}" cannot be read: ${why}`, { cause }), { name: 'OperationError', code: 'ERR_STORAGE', url, why });
}

/** What is in a FileSystemDirectoryHandle, or in an older FileSystemDirectoryEntry, which gives it in portions. */
async function listed(folder) {
  const all = [];
  if (folder.values) {
    for await (const child of folder.values()) all.push(child);
    return all;
  }
  const reader = folder.createReader();
  for (;;) {
    const portion = await new Promise((resolve, reject) => { reader.readEntries(resolve, reject); });
    if (portion.length === 0) return all;
    all.push(...portion);
  }
}
