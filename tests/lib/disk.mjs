// Folders of a test file's own, gone after its last test, and files that arrive in them.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

const made = [];
after(() => made.forEach((folder) => fs.rmSync(folder, { recursive: true, force: true })));

export function newFolder() {
  made.push(fs.mkdtempSync(path.join(os.tmpdir(), 'tfpersist-')));
  return made.at(-1);
}

/** Waits until `count` files are in the folder, all whole; gives their paths, sorted. */
export async function arrived(folder, count) {
  for (let i = 0; ; i++) {
    const names = fs.readdirSync(folder).sort();
    const partial = names.filter((name) => /\.(crdownload|part|tmp)$/.test(name) || name.startsWith('.'));
    if (names.length >= count && partial.length === 0 && names.every((name) => fs.statSync(path.join(folder, name)).size > 0)) {
      await sleep(100); // another one would be too many
      return fs.readdirSync(folder).sort().map((name) => path.join(folder, name));
    }
    if (i === 100) throw new Error(`${count} files should have arrived, there are: ${names.join(', ')}`);
    await sleep(50);
  }
}

/** `[name, base64]` of files on the disk, as a page can make Files of. */
export const asText = (paths) => paths.map((file) => [path.basename(file), fs.readFileSync(file, 'base64')]);
