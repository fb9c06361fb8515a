// The table of a run, and what can be repeated of its failures.

// in the middle: it had begun, and its promise had not settled. both: a move whose copy is there and whose source is not yet removed.
// ghosts: the listing, loading and what is stored disagree. silently wrong: Local Storage gave a model that never was; detected: it
// said that it is damaged. not written: moved into Local Storage, which the engine had not yet put on the disk when it was killed.
// default lost: had resolved without `durability: 'strict'` and was not there after the whole browser was killed.
const COUNTED = ['rounds', 'in the middle', 'old', 'new', 'both', 'torn', 'lost', 'ghosts', 'strict lost', 'silently wrong', 'detected',
  'not written', 'default lost', 'orphans', 'failed'];
/** Ours must have none of these. */
export const FORBIDDEN = ['torn', 'lost', 'ghosts', 'strict lost', 'silently wrong', 'orphans', 'failed'];
const TEARS = ['torn', 'lost', 'ghosts'];

const MB = 2 ** 20;

/** A round in one line. */
export function describe(round, result) {
  const { id, engine, lib, from, target, verb, how, bytes, when, options } = round;
  const where = from === target ? from : `${from} -> ${target}`;
  const moment = when === 'after' ? 'after it resolved' : `at ${result?.delay ?? '?'} ms (${when} of what was expected)`;
  const asked = Object.keys(options).length > 0 ? ` ${JSON.stringify(options)}` : '';
  return `${String(id).padStart(3)} ${engine} ${lib} ${where} ${verb} ${(bytes / MB).toFixed(2)} MB${asked}, ${how}${round.isFresh ? ', seen in a fresh browser' : ''} ${moment}`;
}

/** The columns that a finished round counts in, `rounds` apart. */
export const columns = ({ isInside, name, wrongs }) => new Set([...isInside ? ['in the middle'] : [], ...name ? [name] : [],
  ...wrongs.map(([column]) => column)]);

/** A row for each engine, store and library: `[{ who, isOurs, counts }]`. */
export function tally(results) {
  const rows = new Map();
  for (const result of results) {
    const { engine, store, lib } = result.round;
    const who = `${engine.padEnd(9)} ${store.padEnd(13)} ${lib}`;
    if (!rows.has(who)) rows.set(who, { who, isOurs: lib === 'tfpersist', counts: {} });
    const { counts } = rows.get(who);
    for (const column of ['rounds', ...columns(result)]) counts[column] = (counts[column] ?? 0) + 1;
  }
  return [...rows.values()];
}

export function table(rows) {
  const shown = COUNTED.filter((column) => column !== 'failed' || rows.some(({ counts }) => counts.failed));
  const widths = shown.map((column) => Math.max(5, column.length));
  const line = (who, cells) => `${who.padEnd(34)}${cells.map((cell, i) => String(cell).padStart(widths[i] + 2)).join('')}`;
  return [line('', shown), ...rows.map(({ who, counts }) => line(who, shown.map((column) => counts[column] ?? 0)))].join('\n');
}

/** How many tears the rows of the control have. */
export const tears = (rows) => rows.filter(({ isOurs }) => !isOurs)
  .reduce((n, { counts }) => n + TEARS.reduce((sum, column) => sum + (counts[column] ?? 0), 0), 0);
