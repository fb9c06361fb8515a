// Two at one folder of file://, exhaustively: before each single step that the one takes on the disk, the other does all of
// its work. Whatever the step, a path shows one whole model, and no save that was acknowledged is lost.
import assert from 'node:assert/strict';
import fsp from 'node:fs/promises';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { plain, print } from '../lib/artifacts.mjs';
import { contents, folder, names, PACKAGE } from '../lib/node.mjs';

const { load, moveModel, removeModel, save } = await import(PACKAGE);
const STEPS = ['mkdir', 'stat', 'readFile', 'writeFile', 'link', 'rename', 'unlink', 'rmdir', 'open', 'readdir'];
/** What a file that is open does. That one which was read is closed, nobody waits for. */
const ofHandles = (how) => ['stat', 'read', 'write', 'sync', ...(how === 'r' ? [] : ['close'])];
const models = Object.fromEntries(['A', 'B', 'C'].map((name, i) => [name, plain(name, i + 1, 40000)]));
const prints = new Map();
for (const [name, model] of Object.entries(models)) prints.set(await print(model), name);

const code = (error) => error.code ?? `${error}`;
/** The name of the model, a code, or what should not be. */
const verdict = (loading) => loading.then(async (found) => prints.get(await print(found)) ?? 'a mixture').catch(code);

/** Runs `work`, and `intrusion` before its step `at`; resolves with that step's name, `undefined` when there are fewer. */
async function interrupted(t, work, at, intrusion) {
  let [count, name] = [0, undefined];
  const watch = (owner, step, described) => {
    const original = owner[step];
    t.mock.method(owner, step, async (...args) => {
      if (name === undefined && count++ === at) {
        name = `${step} ${described(args)}`;
        await intrusion();
      }
      const made = await original.apply(owner, args);
      if (step === 'open') ofHandles(args[1]).forEach((name) => watch(made, name, () => 'of a handle'));
      return made;
    });
  };
  for (const step of STEPS) watch(fsp, step, (args) => String(args.at(step === 'rename' || step === 'link' ? 1 : 0)).replace(/.*\//, ''));
  try {
    await work();
  } finally {
    t.mock.restoreAll();
  }
  return name;
}

/**
 * All steps of `work`; `check` gives what is wrong after one of them. Before each, `before` is made anew: models that are saved one
 * over the other; `-` is a weights.bin that no model names, as a process that is killed leaves it.
 */
async function everyStep(t, before, work, intrusion, check) {
  const wrong = [];
  for (let at = 0; ; at++) {
    const url = `file://${folder()}/m`;
    for (const model of before) {
      if (model === '-') {
        await fsp.mkdir(url.slice(7), { recursive: true });
        await fsp.writeFile(`${url.slice(7)}/weights.bin`, 'nobody names it');
      } else await save(models[model], url);
    }
    await sleep(10); // file systems have clocks of some milliseconds
    let outcome;
    const was = contents(url.slice(7, -2));
    const running = async () => { outcome = work === load ? await verdict(load(url)) : await work(url).then(() => 'done', code); };
    const name = await interrupted(t, running, at, () => intrusion(url));
    if (name === undefined) {
      assert.ok(at > 2, `${at} steps`);
      t.diagnostic(`${at} steps`);
      break;
    }
    const problem = await check({ url, outcome, now: await verdict(load(url)), same: isDeepStrictEqual(contents(url.slice(7, -2)), was) });
    if (problem) wrong.push(`${problem}, when the other comes before step ${at}, ${name}`);
  }
  assert.deepEqual(wrong, []);
}

const saves = (...list) => async (url) => { for (const name of list) await save(models[name], url); };
const among = (...allowed) => (found, what) => (allowed.includes(found) ? undefined : `${what}: ${found}`);

for (const [before, intruder] of [['A', 'B'], ['A', 'BC'], ['BA', 'B'], ['BA', 'CB'], ['A', 'BA'], ['-A', 'BA']]) {
  test(`a load of ${before.at(-1)} (saved ${before}), while ${[...intruder].join(' and then ')} is saved: one of them`, (t) => everyStep(
    t, before, load, saves(...intruder), ({ outcome, now }) => among(...before, ...intruder)(outcome, 'loaded')
      ?? among(intruder.at(-1))(now, 'now')));
}

test('a load while the model is removed: it, or ERR_NOT_FOUND', (t) => everyStep(
  t, 'A', load, removeModel, ({ outcome }) => among('A', 'ERR_NOT_FOUND')(outcome, 'loaded')));

for (const [before, saved, intruder] of [['', 'A', 'B'], ['C', 'A', 'B'], ['CA', 'A', 'B'], ['CA', 'B', 'B'], ['CA', 'A', 'BC'], ['CAC', 'A', 'A'],
  ['-A', 'A', 'B'], ['-A', 'A', 'BA'], ['-', 'A', 'A'], ['-', 'A', 'B']]) {
  test(`a save of ${saved} over ${before || 'nothing'}, while ${[...intruder].join(' and then ')} is saved: a whole one is there`, (t) => everyStep(
    t, before, saves(saved), saves(...intruder), ({ url, now, outcome }) => {
      const left = names(url.slice(7)).filter((name) => name.endsWith('.tmp'));
      return among('done')(outcome, 'the save') ?? among(saved, intruder.at(-1))(now, 'now') ?? (left.length > 0 ? `left: ${left}` : undefined);
    }));
}

test('a save over a model that is removed meanwhile: the new one, or none', (t) => everyStep(
  t, 'A', saves('B'), removeModel, ({ now }) => among('B', 'ERR_NOT_FOUND')(now, 'now')));

const anew = (name) => async (url) => {
  await removeModel(url).catch(() => {});
  await save(models[name], url);
};
test('a save over a model that is removed meanwhile and saved anew: the one or the other', (t) => everyStep(
  t, 'A', saves('B'), anew('C'), ({ now }) => among('B', 'C')(now, 'now')));

test('a remove of a model that is removed meanwhile and saved anew: that one, or none', (t) => everyStep(
  t, 'A', removeModel, anew('C'), ({ now }) => among('C', 'ERR_NOT_FOUND')(now, 'now')));

test('a remove while another is saved: that one, or none', (t) => everyStep(
  t, 'A', removeModel, saves('B'), ({ now }) => among('B', 'ERR_NOT_FOUND')(now, 'now')));

for (const before of ['A', 'BA']) {
  test(`a move of A (saved ${before}) to memory:// while B is saved there: B is not lost`, (t) => everyStep(
    t, before, (url) => moveModel(url, 'memory://m'), saves('B'), async ({ now, outcome }) => {
      const moved = await verdict(load('memory://m'));
      await removeModel('memory://m').catch(() => {});
      return among('done')(outcome, 'the move') ?? (now === 'B' || moved === 'B' ? undefined : `now: ${now}, moved: ${moved}`);
    }));
}

/** Does the work with a file system of which this call fails; `which` sees its arguments. */
async function without(step, error, which, work) {
  const original = fsp[step];
  fsp[step] = (...args) => (which(...args) ? Promise.reject(Object.assign(new Error(error), { code: error })) : original.apply(fsp, args));
  try {
    return await work();
  } finally {
    fsp[step] = original;
  }
}

test('a move of A to memory:// while B is saved there, on a file system without links: B is not lost', (t) => everyStep(
  t, 'A', (url) => without('link', 'EPERM', () => true, () => moveModel(url, 'memory://m')), saves('B'), async ({ now }) => {
    const moved = await verdict(load('memory://m'));
    await removeModel('memory://m').catch(() => {});
    return now === 'B' || moved === 'B' ? undefined : `now: ${now}, moved: ${moved}`;
  }));

test('a remove that cannot look at what it put aside puts it back', async () => {
  const url = `file://${folder()}/m`;
  await save(models.A, url);
  const was = contents(url.slice(7));
  const outcome = await without('stat', 'EIO', (file) => file.endsWith('.tmp'), () => removeModel(url).catch(code));
  assert.deepEqual([outcome, contents(url.slice(7)), await verdict(load(url))], ['ERR_STORAGE', was, 'A']);
});

test('overwrite: false on a file system without links is not told as a model that is there', async () => {
  const url = `file://${folder()}/m`;
  const outcome = await without('link', 'EPERM', () => true, () => save(models.A, url, { overwrite: false }).catch(code));
  assert.deepEqual([outcome, await verdict(load(url))], ['ERR_STORAGE', 'ERR_NOT_FOUND']);
});

test('a move from memory:// to a folder while B is saved in it: one of them is there', async (t) => {
  const work = async (url) => {
    await save(models.A, 'memory://m');
    await moveModel('memory://m', url);
  };
  for (const before of ['', 'C']) {
    await everyStep(t, before, work, saves('B'), async ({ now, outcome }) => {
      // When it does not read back what it wrote, the source stays.
      if (outcome === 'ERR_STORAGE') return among('A')(await verdict(load('memory://m')), 'the source');
      return among('done')(outcome, 'the move') ?? among('A', 'B')(now, 'now');
    });
  }
});

for (const before of ['', 'A', 'CA', '-A']) {
  test(`a save over ${before || 'nothing'} that is killed at any step: the old model or the new one`, async (t) => {
    let kill; // from then on that save takes no step
    const work = (url) => Promise.race([save(models.B, url, { shardBytes: 15000 }), new Promise((resolve) => { kill = resolve; })]);
    const forever = () => new Promise(() => { kill(); });
    const old = before.replaceAll('-', '').at(-1) ?? 'ERR_NOT_FOUND';
    await everyStep(t, before, work, forever, async ({ url, now }) => {
      await save(models.C, url);
      return among(old, 'B')(now, 'now') ?? among('C')(await verdict(load(url)), 'the next save');
    });
  });

  for (const [system, ours] of [['EIO', 'ERR_STORAGE'], ['ENOSPC', 'ERR_QUOTA_EXCEEDED']]) {
    test(`a save over ${before || 'nothing'} of which any step fails with ${system}: as before, or the new model`, async (t) => {
      const fails = () => { throw Object.assign(new Error(system), { code: system }); };
      await everyStep(t, before, (url) => save(models.B, url, { shardBytes: 15000 }), fails, ({ now, outcome, same }) => {
        if (outcome === 'done') return among('B')(now, 'now');
        return among(ours)(outcome, 'the save') ?? (same ? undefined : 'something has changed');
      });
    });
  }

  test(`a save over ${before || 'nothing'} that is aborted when another has saved the same: that one stays`, async (t) => {
    let controller;
    const work = (url) => {
      controller = new AbortController();
      return save(models.B, url, { signal: controller.signal });
    };
    const intrusion = async (url) => {
      await save(models.B, url);
      controller.abort();
    };
    await everyStep(t, before, work, intrusion, ({ now }) => among('B')(now, 'now'));
  });
}
