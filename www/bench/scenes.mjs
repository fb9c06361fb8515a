// All that is measured in a page, in this order.
import { runScene } from './run.mjs';
import { stores } from './stores.mjs';
import { transfers } from './transfers.mjs';

const all = (quick) => [...stores(quick), ...transfers(quick)];

/** Names of the scenes; without the benchmark's server and its driver there are fewer. */
export const names = ({ quick, server, driven }) => all(quick)
  .filter((scene) => (server || !scene.server) && (driven || !scene.driven)).map(({ work }) => work);

/** The rows of one scene. `rounds` count after one that does not; `share` is how many ms they may take before fewer will do. */
export const run = (work, { quick, ...options }) => runScene(all(quick).find((scene) => scene.work === work), options);
