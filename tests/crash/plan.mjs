// The rounds of a run, all chosen by its seed before it begins: which store, verb, size, interruption and moment.
import { random } from '../lib/bytes.mjs';

const MB = 2 ** 20;
const STORES = (process.env.STORES ?? '').split(' ').filter(Boolean); // only these
const FOLDER = '{folder}'; // the driver puts a real one in its place

/** Of 40 rounds so many belong to each engine and store. `shards` is IndexedDB's other layout. */
const SHARES = [
  ['chromium', 'indexeddb', 9], ['chromium', 'localstorage', 4], ['chromium', 'shards', 5], ['chromium', 'opfs', 5],
  ['firefox', 'indexeddb', 4], ['firefox', 'localstorage', 3], ['firefox', 'shards', 3], ['firefox', 'opfs', 3],
  ['node', 'file', 4],
].filter(([, store]) => STORES.length === 0 || STORES.includes(store));
const IN_SHARDS = ['save', 'overwrite', 'checkpoint', 'copy', 'move', 'out', 'in', 'remove'];
const VERBS = {
  indexeddb: ['save', 'overwrite', 'copy', 'move', 'out', 'remove'],
  localstorage: ['save', 'overwrite', 'again', 'again', 'again', 'copy', 'move', 'out', 'remove'],
  shards: [...IN_SHARDS, 'over a record', 'into a record'],
  opfs: IN_SHARDS,
  file: ['save', 'overwrite', 'copy', 'move', 'remove'],
};
/** Where models of the sharded layout are moved to, or come from. */
const OTHERS = { shards: ['opfs', 'indexeddb'], opfs: ['shards', 'indexeddb'] };
const ENDS = ['reload', 'renderer', 'browser'];
const HOW = { indexeddb: ENDS, localstorage: ENDS, shards: [...ENDS, 'tab'], opfs: [...ENDS, 'tab'], file: ['child'] };
/**
 * Bytes of a model: at least, at most. Sizes are spread evenly over their logarithms, so most are small. What is
 * saved again and again is large: a renderer that dies has then more under way. */
const SIZES = {
  indexeddb: [MB, 128 * MB], localstorage: [MB / 64, MB], shards: [MB, 128 * MB], opfs: [MB, 128 * MB], again: [MB / 4, MB], file: [MB, 64 * MB], control: [16 * MB, 64 * MB],
};
const CONTROL = { engines: [['chromium', 3], ['firefox', 2]], verbs: ['overwrite', 'save', 'move'] };

export const KEEPER = ['keeper', 7, 2 ** 18];

function shuffled(list, next) {
  const out = [...list];
  for (let i = out.length - 1; i > 0; i--) {
    const j = Math.floor(next() * (i + 1));
    [out[i], out[j]] = [out[j], out[i]];
  }
  return out;
}

/** Endlessly, all pairs of the two lists in a seeded order, then all again. */
function* pairs(first, second, next) {
  for (;;) yield* shuffled(first.flatMap((a) => second.map((b) => [a, b])), next);
}

/** The cells `[engine, store, rounds]` of `count` rounds. What is over goes where most are. */
function cells(shares, count) {
  if (shares.length === 0) return [];
  const sum = shares.reduce((n, [, , share]) => n + share, 0);
  const rows = shares.map(([engine, store, share]) => [engine, store, Math.floor((count * share) / sum)]);
  for (let left = count - rows.reduce((n, [, , rounds]) => n + rounds, 0), i = 0; left > 0; left--, i++) rows[i % rows.length][2] += 1;
  return rows;
}

const BEFORE = { file: `file://${FOLDER}/`, shards: 'indexeddb://shards-' };
const urlOf = (store, path) => `${BEFORE[store] ?? `${store}://`}${path}`;

/** What must be there before and after, as URL -> arguments of `plain`; `both` where a copy may be seen beside its source. */
function scene({ verb, from, target, X, Y, Z, twin, step, next }) {
  const [a, b] = [urlOf(from, 'a'), urlOf(target, 'b')];
  const there = Z ? { [b]: Z } : {}; // sometimes the destination is replaced
  return {
    save: { urls: [a], old: {}, new: { [a]: Y }, models: [Y] },
    overwrite: { urls: [a], old: { [a]: X }, new: { [a]: Y }, models: [Y] },
    again: { urls: [a], old: { [a]: X }, new: { [a]: twin }, models: [twin, X] },
    copy: { urls: [a, b], old: { [a]: X, ...there }, new: { [a]: X, [b]: X }, models: [] },
    move: { urls: [a, b], old: { [a]: X, ...there }, new: { [b]: X }, models: [] },
    out: { urls: [a, b], old: { [a]: X, ...there }, new: { [b]: X }, models: [] },
    in: { urls: [a, b], old: { [a]: X, ...there }, new: { [b]: X }, models: [] },
    checkpoint: { urls: [a], old: { [a]: step }, new: { [a]: next }, models: [next] },
    'over a record': { urls: [a], old: { [a]: X }, new: { [a]: Y }, models: [Y], oldLayout: 'tfjs' },
    'into a record': { urls: [a], old: { [a]: X }, new: { [a]: Y }, models: [Y], layout: 'tfjs' },
    remove: { urls: [a], old: { [a]: X }, new: {}, models: [] },
  }[verb];
}

/** A model's name and seed are the round's, so no two rounds have one in common. */
function models(id, [least, most], next) {
  const bytes = () => Math.round((least * (most / least) ** next()) / 4) * 4;
  const size = bytes();
  const base = [...String(id)].reduce((n, c) => n * 31 + c.charCodeAt(0), 7);
  return {
    X: [`x${id}`, base * 3 + 1, size],
    Y: [`the-new-y${id}`, base * 3 + 2, bytes()],
    twin: [`w${id}`, base * 3 + 4, size], // as long as X in each part: no size tells a mixture of both
    step: [`c${id}`, base * 3 + 5, size, 0],
    next: [`c${id}`, base * 3 + 5, size, 1 + Math.floor(next() * 19)], // 5 % of it are new
    Z: next() < 0.5 ? [`z${id}`, base * 3 + 3, Math.min(bytes(), 4 * MB)] : null,
  };
}

/** Copies within a copy-first store may be seen beside their source; IndexedDB moves in one transaction. */
const copiesFirst = (verb, store) => ['out', 'in'].includes(verb) || (verb === 'move' && ['localstorage', 'file'].includes(store));

function options({ lib, verb, how, store, target }, next) {
  const draw = next();
  if (lib === 'tf.io' || verb === 'remove' || verb === 'again') return {};
  if (store === 'file') return draw < 0.3 ? { shardBytes: 4 * MB } : {};
  return ['indexeddb', 'shards', 'opfs'].includes(target) && how !== 'reload' && draw < 0.5 ? { durability: 'strict' } : {};
}

function roundOf(id, seed, fixed) {
  const { lib, verb, how, store } = fixed;
  const next = random(seed * 1000003 + [...String(id)].reduce((n, c) => n * 131 + c.charCodeAt(0), 1));
  const isSharded = store in OTHERS;
  const other = isSharded ? OTHERS[store][Math.floor(next() * 2)] : store === 'indexeddb' ? 'localstorage' : 'indexeddb';
  const [from, target] = [verb === 'in' ? other : store, verb === 'out' ? other : store];
  const sizes = lib === 'tf.io' ? SIZES.control : SIZES[verb === 'out' && !isSharded ? 'localstorage' : verb] ?? SIZES[store];
  const made = models(id, sizes, next);
  const parts = scene({ verb, from, target, ...made, ...lib === 'tf.io' ? { Z: null } : {} });
  // Mostly in the middle; now and then at once after the promise has resolved. A work without an end is always in the middle.
  const when = lib !== 'tf.io' && verb !== 'again' && next() < 0.25 ? 'after' : Math.round(next() * 900) / 1000;
  const keeps = store === 'file' ? [urlOf('file', 'keeper')] : [urlOf('indexeddb', 'keeper'), urlOf('localstorage', 'keeper')];
  if (isSharded) keeps.push(urlOf('shards', 'keeper'), urlOf('opfs', 'keeper'));
  const kept = Object.fromEntries(keeps.map((url) => [url, KEEPER]));
  return {
    id, ...fixed, from, target, when, isSharded, oldLayout: parts.oldLayout,
    isFresh: isSharded && next() < 0.5, // looked at in a browser that was started since
    options: { ...options({ ...fixed, target }, next), ...parts.layout ? { layout: parts.layout } : {} },
    urls: parts.urls, models: parts.models, bytes: (parts.models[0] ?? made.X)[2], mayShowBoth: copiesFirst(verb, store),
    old: { ...kept, ...parts.old }, new: { ...kept, ...parts.new }, subject: made.X,
  };
}

/** All rounds, engine by engine, ours before the control's; ids are 1, 2, ... and c1, c2, ... */
export function plan({ seed, kills, engines }) {
  const next = random(seed);
  const rounds = [];
  for (const [engine, store, count] of cells(SHARES.filter(([engine]) => engine === 'node' || engines.includes(engine)), kills)) {
    const choices = pairs(VERBS[store], HOW[store], next);
    for (let i = 0; i < count; i++) {
      const [verb, how] = choices.next().value;
      rounds.push(roundOf(rounds.length + 1, seed, { lib: 'tfpersist', engine, store, verb, how }));
    }
  }
  const browsers = CONTROL.engines.filter(([engine]) => engines.includes(engine)).map(([engine, share]) => [engine, 'indexeddb', share]);
  const controls = cells(browsers, Math.max(8, STORES.length > 0 ? 0 : Math.ceil(kills / 4)));
  let number = 0;
  for (const [engine, store, count] of controls) {
    const choices = pairs(CONTROL.verbs, HOW[store], next);
    for (let i = 0; i < count; i++) {
      const [verb, how] = choices.next().value;
      rounds.push(roundOf(`c${++number}`, seed, { lib: 'tf.io', engine, store, verb, how }));
    }
  }
  return rounds;
}
