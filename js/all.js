// The entry for who needs everything at once: one build of the wasm with all, imported statically (service workers cannot do
// it otherwise), instead of a small one first and this one at the first load from a server.
import { provide } from './core.js';
import * as transfers from './tfpersist_transfers.js';

provide(transfers);

export * from './index.js';
export { default } from './index.js';
