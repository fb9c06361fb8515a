// What concerns the whole origin: news of changes from tab to tab, and its room.
const CHANNEL = 'tfpersist';
/** What is in memory is this page's (or worker's) alone, so others shall not hear of it. */
const HERE = Math.random().toString(36);

/** Tells all who watch, in this page and in others, what has been committed. Called by the wasm. */
export function changed(url, change) {
  if (typeof BroadcastChannel === 'undefined') return;
  const channel = new BroadcastChannel(CHANNEL);
  channel.postMessage({ url, change, from: HERE });
  channel.close();
}

export function watchModels(callback) {
  const channel = new BroadcastChannel(CHANNEL);
  channel.onmessage = ({ data }) => {
    const { url, change, from } = data ?? {};
    if (typeof url !== 'string' || (url.startsWith('memory://') && from !== HERE)) return;
    callback({ url, change, here: from === HERE });
  };
  channel.unref?.(); // Node shall not wait for it
  return () => channel.close();
}

/** What an origin may not have (plain http), or refuses to say (an opaque one), is left out. */
async function ask(question) {
  const storage = globalThis.navigator?.storage;
  try {
    return await storage?.[question]?.();
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
