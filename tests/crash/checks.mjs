// What a round's end is called, from what is seen there: the whole old state, the whole new one, or what must not be.

/** Object stores or keys that belong together: of each group all, or none. */
const RECORD = ['models_store', 'model_info_store'];
const ROWS = ['models', 'headers'];
const GROUPS = {
  indexeddb: [RECORD, ROWS], // in both, the newer one counts, and the next write drops the other
  opfs: [ROWS],
  localstorage: [['info', 'model_metadata', 'model_topology', 'weight_data', 'weight_specs']],
};
const isWhole = (parts, groups = []) => groups.every((group) => [0, group.length].includes(group.filter((part) => parts.includes(part)).length))
  && parts.every((part) => groups.length === 0 || groups.flat().includes(part)) && (groups.length === 0 || parts.length > 0);
const schemeOf = (url) => url.split('://')[0];

/**
 * One URL: `absent`, a hash, `ghost: ...`, `torn: ...`, or `detected: ...`. Where `mayBeMixed`, what says of itself that it is damaged is
 * detected; whoever meets it is warned, and it can be removed or saved over.
 */
export function state(url, row, mayBeMixed) {
  const { listed, damage, parts = [], error, hash, mismatch } = row;
  if (!listed && parts.length === 0 && error) {
    return /^(ERR_NOT_FOUND|Error)/.test(error) ? 'absent' : `torn: nothing is there, but ${error}`; // tf.io's is an Error
  }
  if (mayBeMixed && listed && /^ERR_CORRUPT/.test(error ?? '')) return `detected: ${error}`;
  if (!listed) return `ghost: ${hash ? 'it can be loaded' : `in ${parts}`}, but is not listed`;
  if (!isWhole(parts, GROUPS[schemeOf(url)])) return `ghost: listed, but only in ${parts.join(', ') || 'nothing'}; ${error ?? 'it can be loaded'}`;
  if (error) return `torn: ${error}`;
  if (damage) return `ghost: listed as ${damage}, but it can be loaded`;
  return mismatch ? `torn: the listing's ${mismatch} is another model's` : hash;
}

const same = (found, wanted) => Object.keys({ ...found, ...wanted }).every((url) => found[url] === wanted[url]);

/** A name for the whole state when it is one that may be. */
function whole(found, { old, now, mayShowBoth }) {
  if (same(found, old)) return 'old';
  if (same(found, now)) return 'new';
  return mayShowBoth && same(found, { ...old, ...now }) ? 'both' : null;
}

/** Everything that is wrong with a state that is none of those, as `[column, words]`. */
function wrongs(states, { old, now, subject, mayBeMixed }) {
  const found = [];
  for (const [url, is] of Object.entries(states)) {
    const wanted = [old[url] ?? 'absent', now[url] ?? 'absent'];
    const [kind] = /^(ghost|torn|detected)(?=:)/.exec(is) ?? [];
    if (kind) found.push([kind === 'ghost' ? 'ghosts' : kind, `${url} ${is}`]);
    else if (is === 'absent' && !wanted.includes('absent')) found.push(['lost', `${url} is not there`]);
    else if (!wanted.includes(is)) found.push([mayBeMixed(url) ? 'silently wrong' : 'torn', `${url} is ${is}`]);
  }
  const stays = Object.values(now).includes(subject) && Object.values(old).includes(subject);
  if (stays && !Object.values(states).includes(subject)) found.push(['lost', 'the model is whole in neither place']);
  if (found.length === 0) found.push(['torn', 'each path by itself may be so, but not together']);
  return found;
}

/**
 * A move into Local Storage is as lasting as Local Storage: the copy is read back from it, but only the engine knows when it is on the
 * disk, and a browser that is killed before loses it, when the source in IndexedDB is gone for good. Exactly that, and nothing else.
 */
const isUnwritten = ({ verb, how, target }, found, { old, now }) => verb === 'out' && how === 'browser' && target === 'localstorage'
  && same(found, Object.fromEntries([['indexeddb', now], ['localstorage', old]].flatMap(([scheme, urls]) => (
    Object.entries(urls).filter(([url]) => schemeOf(url) === scheme)))));

/** What is saved in shards is on the disk when the promise resolves, unless it is asked for otherwise. */
const isStrict = ({ options, target, verb }) => options.durability === 'strict'
  || (['shards', 'opfs'].includes(target) && !options.layout && ['save', 'overwrite', 'checkpoint', 'over a record'].includes(verb));

/** Whether nobody promised that what has resolved outlives this: Local Storage's writes are on their way for a while. */
const mayForget = ({ how, store, target }) => how === 'browser' || (how === 'renderer' && [store, target].includes('localstorage'));

/**
 * The verdict: `{ name, wrongs }`. `rows` is what was seen, by URL; `old` and `now` are URL -> hash; `subject` is the hash of what is
 * moved or copied; `resolved` whether the promise had resolved before the end.
 */
export function judge(round, { rows, old, now, subject, resolved }) {
  // Local Storage has no transactions: what a kill leaves of the paths that were written may be damaged, if it says so.
  const mayBeMixed = (url) => round.how !== 'reload' && schemeOf(url) === 'localstorage' && old[url] !== now[url];
  const states = Object.fromEntries(Object.entries(rows).map(([url, row]) => [url, state(url, row, mayBeMixed(url))]));
  const found = Object.fromEntries(Object.entries(states).filter(([, is]) => is !== 'absent'));
  const name = whole(found, { ...round, old, now });
  if (!name && isUnwritten(round, found, { old, now })) {
    return { name, wrongs: [['not written', 'the copy was not yet on the disk, and the source is gone']], states };
  }
  const list = name ? [] : wrongs(states, { old, now, subject, mayBeMixed });
  const isKept = name === 'new' || list.some(([column]) => column === 'detected');
  if (resolved && !isKept) {
    const words = `the promise had resolved, and it is ${name ?? 'not there'}`;
    // Where both are there, the strict copy is: what is not on the disk yet is Local Storage's removal, which nobody promised.
    if (isStrict(round) && name !== 'both') list.push(['strict lost', words]);
    else if (mayForget(round)) list.push(['default lost', words]);
    else list.push(['lost', words]);
  }
  return { name, wrongs: list, states };
}
