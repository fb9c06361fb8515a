// Runs a scene: its contenders in turn, A B C A B C, after a round that does not count; medians, ratios, and whether the targets are met.

export const CONTENDERS = { tfjs: 'TF.js', raw: 'raw platform call', ours: 'tfpersist' };
const PATIENCE = 60000; // ms for one step: TF.js has promises that never settle

const median = (list) => {
  const sorted = list.toSorted((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
};
const quarters = (list) => {
  const sorted = list.toSorted((a, b) => a - b);
  return [sorted[Math.floor((sorted.length - 1) / 4)], sorted[Math.ceil(((sorted.length - 1) * 3) / 4)]];
};
const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/** What went wrong, in a word. */
export const nameOf = (error) => error?.code || `${error?.name}: ${error?.message}`.slice(0, 120);

async function inTime(work) {
  let timer;
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error('not settled in a minute')), PATIENCE); });
  try {
    return await Promise.race([work(), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Garbage and dirty pages of one contender are not the next one's: by the driver's `settle` where there is one. */
async function rest() {
  await globalThis.settle?.();
  await pause(40);
}

/** One contender once: step -> milliseconds, or the name of the error. A step after one that failed is not tried. */
async function turn(scene, name, state) {
  const contender = scene.contenders[name];
  const times = {};
  try {
    await contender.before?.(state);
    for (const step of Object.keys(scene.steps)) {
      if (!contender[step]) continue;
      const started = performance.now();
      const value = await inTime(() => contender[step](state));
      times[step] = contender.timed ? value : performance.now() - started;
      await contender.check?.[step]?.(state, value);
    }
  } catch (error) {
    times.error = nameOf(error);
  }
  await inTime(async () => contender.after?.(state)).catch(() => {}); // what it had is gone, or was never there
  return times;
}

/** name -> step -> samples, and name -> error. */
async function collect(scene, { rounds, share }) {
  const names = Object.keys(CONTENDERS).filter((name) => scene.contenders[name]);
  const [samples, errors, state] = [{}, {}, await inTime(async () => scene.setup?.()) ?? {}];
  const started = performance.now();
  const count = scene.small ? 2 * rounds + 1 : rounds; // small ones are quick, and noisy
  for (let round = 0; round <= count; round++) {
    if (round > 1 && performance.now() - started > share) break;
    for (const name of names.filter((each) => !errors[each])) {
      await rest();
      const { error, ...times } = await turn(scene, name, state);
      if (error) errors[name] = error;
      if (round > 0) for (const [step, ms] of Object.entries(times)) ((samples[name] ??= {})[step] ??= []).push(ms);
    }
  }
  await inTime(async () => scene.teardown?.(state));
  return { samples, errors };
}

const paired = (above, below) => above.map((n, i) => n / below[i]).filter(Number.isFinite);

/** How a ratio is to be read: its median, the middle half of its rounds, the target, and whether that is met: 'noise' if only some rounds do. */
function judge(ratio, rounds, target, atLeast) {
  const [low, high] = quarters(rounds);
  const reached = (n) => (atLeast ? n >= target : n <= target);
  const met = target === undefined ? undefined : reached(ratio) || (reached(atLeast ? high : low) ? 'noise' : false);
  return { ratio, low, high, target, met };
}

/** A row of the result: medians and ratios of one step. `target`: { tfjs: at least, raw: at most, ours: at most }. */
export function rowOf({ work, step, unit, target = {}, note }, samples, errors) {
  const lists = Object.fromEntries(Object.keys(CONTENDERS).filter((name) => samples[name]?.length).map((name) => [name, samples[name]]));
  const values = Object.fromEntries(Object.entries(lists).map(([name, list]) => [name, median(list)]));
  const row = { work, step, unit, note, values, rounds: lists.ours?.length ?? 0, samples: lists, errors };
  const { tfjs, raw, ours } = lists;
  if (ours && tfjs) row.tfjs = judge(values.tfjs / values.ours, paired(tfjs, ours), target.tfjs, true);
  if (ours && raw) row.raw = judge(values.ours / values.raw, paired(ours, raw), target.raw, false);
  if (ours && target.ours) row.ours = judge(values.ours, ours, target.ours, false);
  const asked = Object.entries(target).filter(([, value]) => value !== undefined).map(([name]) => name);
  row.target = target;
  // Where TF.js or the engine fails and we do not, there is nothing to reach.
  const met = asked.map((name) => row[name]?.met ?? Boolean(ours && name !== 'ours' && errors[name]));
  if (met.length) row.met = met.every((each) => each === true) || (met.every(Boolean) ? 'noise' : false);
  return row;
}

/** The rows of a scene. It never throws: a contender that fails is an error in the row. */
export async function runScene(scene, { rounds = 7, share = Infinity } = {}) {
  let found = { samples: {}, errors: {} };
  try {
    found = await collect(scene, { rounds, share });
  } catch (error) {
    found.errors.setup = nameOf(error);
  }
  const { samples, errors } = found;
  return Object.entries(scene.steps).map(([step, target]) => {
    const own = Object.fromEntries(Object.entries(samples).map(([name, steps]) => [name, steps[step]]));
    return rowOf({ work: scene.work, step, unit: 'ms', target, note: scene.note }, own, errors);
  });
}
