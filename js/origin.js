// What concerns the whole origin: news of changes from tab to tab, and its room.
const CHANNEL = 'tfpersist';
const HERE = Math.random().toString(36);
const watchers = new Set();

/** Tells all who watch, in this page and in others, what has been committed. Called by the wasm. */
export function changed(url, change) {
  for (const tell of watchers) queueMicrotask(() => tell({ url, change, here: true }));
  if (url.startsWith('memory://')) return; // nobody else has it
  const channel = new BroadcastChannel(CHANNEL);
  channel.postMessage({ url, change, from: HERE });
  channel.close();
}

function listen(hear) {
  try {
    const channel = new BroadcastChannel(CHANNEL);
    channel.onmessage = ({ data }) => {
      const { url, change, from } = data ?? {};
      if (typeof url === 'string' && from !== HERE) hear({ url, change, here: false });
    };
    channel.unref?.(); // Node shall not wait for it
    return channel;
  } catch {
    return undefined; // where there are no channels, the page still hears itself
  }
}

export function watchModels(callback) {
  const tell = async (change) => {
    try {
      await callback(change);
    } catch (error) {
      console.error(error); // in Node it would end the process
    }
  };
  const channel = listen(tell);
  watchers.add(tell);
  return () => {
    watchers.delete(tell);
    channel?.close();
  };
}

/** What an origin may not have (plain http), or refuses to say (an opaque one), is left out. */
async function ask(question) {
  try {
    return await globalThis.navigator?.storage?.[question]?.();
  } catch {
    return undefined;
  }
}

export async function storageEstimate() {
  const { usage, quota } = (await ask('estimate')) ?? {};
  const known = { usage, quota, persisted: await ask('persisted') };
  return Object.fromEntries(Object.entries(known).filter(([, value]) => value !== undefined));
}

export const persistStorage = async () => (await ask('persist')) ?? false;
