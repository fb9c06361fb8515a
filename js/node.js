// The entry for Node: the build with all, its wasm read from the disk.
import { readFile } from 'node:fs/promises';
import { provide } from './core.js';
import * as transfers from './tfpersist_transfers.js';

provide(transfers, () => readFile(new URL('./tfpersist_transfers_bg.wasm', import.meta.url)));

export * from './index.js';
export { default } from './index.js';
