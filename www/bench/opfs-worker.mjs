// The raw platform call: a sync access handle in a worker. Each message is one call, answered in order.
const handles = new Map();
const files = []; // Chromium never answers for one that is garbage while it is opened
const folder = async () => (await navigator.storage.getDirectory()).getDirectoryHandle('bench-raw', { create: true });

const calls = {
  async open({ name }) {
    const file = await (await folder()).getFileHandle(name, { create: true });
    files.push(file);
    handles.set(name, await file.createSyncAccessHandle());
    files.pop();
  },
  write({ name, at, bytes }) {
    const written = handles.get(name).write(bytes, { at });
    if (written !== bytes.byteLength) throw new Error(`${written} of ${bytes.byteLength} bytes were written`);
  },
  read({ name, at, length }) {
    const bytes = new ArrayBuffer(length);
    handles.get(name).read(bytes, { at });
    return bytes;
  },
  size: ({ name }) => handles.get(name).getSize(),
  close({ name, flush }) {
    if (flush) handles.get(name).flush();
    handles.get(name).close();
    handles.delete(name);
  },
  async remove({ name }) {
    await (await folder()).removeEntry(name);
  },
};

let turn = Promise.resolve();
onmessage = ({ data }) => {
  turn = turn.then(async () => {
    try {
      const value = await calls[data.call](data);
      postMessage({ id: data.id, value }, value instanceof ArrayBuffer ? [value] : []);
    } catch (error) {
      postMessage({ id: data.id, error });
    }
  });
};
