// The entry for Node: the build with all and with its file system, the wasm read from the disk.
import { readFile } from 'node:fs/promises';
import { provide } from './core.js';
import * as node from './tfpersist_node.js';

provide(node, () => readFile(new URL('./tfpersist_node_bg.wasm', import.meta.url)));

export * from './index.js';
export { default } from './index.js';
