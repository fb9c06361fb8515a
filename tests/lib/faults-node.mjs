// Node's file system, whose calls are counted and fail on demand, and where the scenes with faults are played in it.
import fs from 'node:fs';
import fsp from 'node:fs/promises';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { forgetMemory, inMemory, MODELS, play as playIn } from './fault-play.mjs';
import { wrapMethod } from './faults.mjs';
import { folder } from './node.mjs';

const UNIQUE = /\.[0-9a-f]{16}\b/g;
const plainly = (text) => text.replaceAll(UNIQUE, '.*');
const below = (file) => plainly(path.basename(path.dirname(file)) + '/' + path.basename(file)).replace(/^tfpersist-node-[^/]*\//, '');
const fromTo = ([from, to]) => `${below(from)} → ${below(to)}`;
const named = ([file]) => below(file);

const error = (code) => Object.assign(new Error(`${code}: injected`), { code });
const refuse = (code) => () => Promise.reject(error(code));
/** A full disk: half of it is there already. */
async function writesHalf({ args: [bytes], self }) {
  fs.writeSync(self.fd, bytes.subarray(0, bytes.length >> 1));
  throw error('ENOSPC');
}
/** What a failed close closes nevertheless, or it would be open for ever. */
const closes = ({ go }) => go().then(refuse('EIO'));

const common = { promise: true, fail: { exception: refuse('EIO'), quota: refuse('ENOSPC') } };
const handles = (handle) => {
  for (const name of ['sync', 'datasync', 'read', 'write', 'writeFile', 'stat', 'close']) {
    const fail = { write: { quota: writesHalf }, close: { exception: closes } }[name];
    wrapMethod(handle, name, { ...common, label: () => 'of a handle', writes: name === 'write', fail: { ...common.fail, ...fail } });
  }
  return handle;
};
const CALLS = {
  ...Object.fromEntries(['stat', 'lstat', 'readFile', 'readdir', 'unlink', 'rmdir', 'rm', 'access', 'utimes'].map((name) => [name, {}])),
  mkdir: { writes: true },
  writeFile: { writes: true },
  link: { writes: true, label: fromTo },
  rename: { writes: true, label: fromTo },
  copyFile: { writes: true, label: fromTo },
  open: { writes: true, then: handles },
};

/** Wraps `fs/promises`, for good. */
export function install() {
  for (const [name, spec] of Object.entries(CALLS)) wrapMethod(fsp, name, { ...common, label: named, ...spec });
}

/** Every file with all its bytes, and every folder. */
function files(root) {
  const entries = fs.readdirSync(root, { recursive: true, withFileTypes: true }).map((entry) => {
    const name = path.join(entry.parentPath ?? entry.path, entry.name);
    const bytes = entry.isDirectory() ? '/' : fs.readFileSync(name, name.endsWith('.bin') ? 'base64' : 'utf8');
    return [path.relative(root, name), bytes];
  });
  return entries.sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Apart from the date and from the digits in names: which name a weight file got does not matter. */
const same = (whole) => whole.replaceAll(UNIQUE, '').replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'some date');

/**
 * A new model is complete, and files are there besides: the one that the failing call was to remove; or weights of which could not be read
 * whether anybody needs them, and the link beside by which the next sweep finds them.
 */
function residue({ after, complete, call }) {
  const [now, then] = [same(after), complete].map((whole) => JSON.parse(whole));
  const missing = then.files.filter((entry) => !now.files.some((other) => isDeepStrictEqual(entry, other)));
  if (missing.length > 0 || !isDeepStrictEqual(now.memory, then.memory)) return undefined;
  const isNew = (entry) => !then.files.some((other) => isDeepStrictEqual(entry, other));
  const left = JSON.parse(after).files.filter(([, bytes], i) => bytes !== '/' && isNew(now.files[i])).map(([name]) => plainly(name));
  const [name, file] = call.name.split(' ');
  const isUnknown = ['readFile', 'stat', 'readdir'].includes(name) && left.length > 0 && left.every((other) => /\.bin$|\.json\.\*\.tmp$/.test(other));
  const isDue = isUnknown || (['unlink', 'rmdir'].includes(name) && left.every((other) => other === file));
  return isDue ? `new complete, ${left.length > 0 ? left.join(' and ') : file} stays` : undefined;
}

function here(lib) {
  let root;
  return {
    lib,
    url: (text) => text.replace('file://', () => `file://${root}/`),
    async reset(models) {
      root = folder();
      await forgetMemory(lib);
      for (const [url, model] of Object.entries(models)) await lib.save(MODELS[model], this.url(url), { durability: 'relaxed' }); // faster
    },
    whole: async () => JSON.stringify({ files: files(root), memory: await inMemory(lib) }),
    same,
    residue,
  };
}

/** All attempts of a scene. */
export const play = (lib, scene) => playIn(here(lib), scene);
