// The models of the rounds, by their arguments: a name, a seed, bytes, and of a checkpoint which one it is.
import { plain } from '../lib/artifacts.mjs';
import { layered } from '../lib/shards.mjs';

const WEIGHTS = 20; // of a checkpoint; from one to the next one changes, 5 % of the bytes

function checkpoint(name, seed, bytes, step) {
  const each = Math.ceil(bytes / WEIGHTS / 4) * 4;
  const seedOf = (weight) => seed * 100 + weight + (step > 0 && weight === step % WEIGHTS ? 1e6 * step : 0);
  return layered(name, Array.from({ length: WEIGHTS }, (_, weight) => [`weight${weight}`, each, seedOf(weight)]));
}

export const make = (model) => (model.length > 3 ? checkpoint : plain)(...model);

/** Of which layout of IndexedDB the models of this URL are. */
export const layoutOf = (url) => (url.startsWith('indexeddb://shards-') ? { layout: 'sharded' } : {});
