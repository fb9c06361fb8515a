// For tests in Node: the package, real TF.js with tfjs-node's own file handler, folders to write in and what is in them.
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);
export const root = fileURLToPath(new URL('../../', import.meta.url));
export const PACKAGE = new URL('../../pkg/node.js', import.meta.url).href;
/** A program for a child process, see there. */
export const SAVER = fileURLToPath(new URL('saver.mjs', import.meta.url));

/** Sets `tf`, and gives tfjs-node's file handler: that module needs TF.js, but not the native library of its package. */
export function realFileSystem() {
  globalThis.tf ??= require('@tensorflow/tfjs');
  return require('@tensorflow/tfjs-node/dist/io/file_system.js').NodeFileSystem;
}

const folders = [];
process.on('exit', () => folders.forEach((folder) => fs.rmSync(folder, { recursive: true, force: true })));

/** An empty folder, which is removed when this process ends. */
export function folder() {
  folders.push(fs.mkdtempSync(path.join(os.tmpdir(), 'tfpersist-node-')));
  return folders.at(-1);
}

/** Everything below a folder: `/` for folders, length and hash for files. */
export function contents(at) {
  return Object.fromEntries(fs.readdirSync(at, { recursive: true, withFileTypes: true }).map((entry) => {
    const name = path.join(entry.parentPath ?? entry.path, entry.name);
    if (entry.isDirectory()) return [path.relative(at, name), '/'];
    const bytes = fs.readFileSync(name);
    return [path.relative(at, name), `${bytes.length} ${createHash('sha256').update(bytes).digest('hex')}`];
  }).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The names in a folder, sorted. */
export const names = (at) => fs.readdirSync(at).sort();

/** What a promise rejects with; that it settles is up to the runner's timeout. */
export async function rejection(promise) {
  const outcome = await promise.then((value) => ({ value }), (error) => ({ error }));
  if ('value' in outcome) throw new Error(`it resolved: ${JSON.stringify(outcome.value)?.slice(0, 200)}`);
  return outcome.error;
}
