// The entry for Node: the same module, its wasm read from the disk.
import { readFile } from 'node:fs/promises';
import { provide } from './core.js';

provide(() => readFile(new URL('./tfpersist_bg.wasm', import.meta.url)));

export * from './index.js';
export { default } from './index.js';
