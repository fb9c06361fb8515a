// Files that do not make a model: everything that is wrong comes in one error, which names every file. TF.js, with the same files,
// as the control: it rejects some, says less, and of some it never says anything.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { print } from '../lib/artifacts.mjs';
import { ENGINES, openIn } from '../lib/engines.mjs';
import { publish, publishPlain } from '../lib/published.mjs';

const { artifacts, files } = publishPlain(1000, 300);
const [json, one, two, three, four] = files;
const base64 = (rows) => rows.map(([name, bytes]) => [name, Buffer.from(bytes).toString('base64')]);
const named = ([, bytes], name) => [name, bytes];
const cut = ([name, bytes], end) => [name, bytes.subarray(0, end)];
const longer = ([name, bytes], more) => [name, Buffer.concat([bytes, Buffer.alloc(more)])];
const changed = (change) => publish(artifacts, 300, { change })[0];
const shards = [one, two, three, four];
const stray = ['notes.txt', 'what is this?'];

/** What is wrong -> the files, the error's code, and its problems (file, problem, expected, received). */
const PROBLEMS = {
  'a shard is missing': { files: [json, one, two, four], problems: [[three[0], 'missing']] },
  'all but one are missing': { files: [json, four], problems: [1, 2, 3].map((i) => [files[i][0], 'missing']) },
  'a file too many': { files: [...files, stray], problems: [['notes.txt', 'superfluous']] },
  'a second JSON, which is no model': { files: [...files, ['package.json', '{}']], problems: [['package.json', 'superfluous']] },
  'a shard twice': { files: [...files, one], problems: [[one[0], 'duplicate']] },
  'a shard and its second download': { files: [...files, named(one, 'group1-shard1of4 (1).bin')], problems: [['group1-shard1of4 (1).bin', 'duplicate']] },
  'truncated': { files: [json, one, cut(two, 299), three, four], code: 'ERR_SIZE_MISMATCH', problems: [[two[0], 'truncated', 300, 299]] },
  'empty': { files: [json, one, two, cut(three, 0), four], code: 'ERR_SIZE_MISMATCH', problems: [[three[0], 'truncated', 300, 0]] },
  'oversized': { files: [json, one, two, three, longer(four, 1)], code: 'ERR_SIZE_MISMATCH', problems: [[four[0], 'oversized', 100, 101]] },
  'one shorter, one longer': {
    files: [json, one, cut(two, 200), three, longer(four, 50)], code: 'ERR_SIZE_MISMATCH',
    problems: [[two[0], 'truncated', 300, 200], [four[0], 'oversized', 100, 150]],
  },
};

/** Two groups: what is wrong with one does not hide what is wrong with the other. */
const twoGroups = changed(([{ paths, weights: [w] }]) => [
  { paths: paths.slice(0, 3), weights: [{ ...w, name: 'a', shape: [225] }] },
  { paths: ['group2-shard1of1.bin'], weights: [{ ...w, name: 'b', shape: [25] }] },
]);
PROBLEMS['everything at once'] = {
  files: [named(twoGroups, 'm.json'), one, named(one, 'group1-shard1of4 (2).bin'), three, named(cut(four, 96), 'group2-shard1of1.bin'), stray],
  problems: [[two[0], 'missing'], ['group1-shard1of4 (2).bin', 'duplicate'], ['notes.txt', 'superfluous'],
    ['group2-shard1of1.bin', 'truncated', 100, 96]],
};

/** No JSON, several, or a broken one -> what the error says. */
const JSONS = {
  'no files at all': { files: [], says: { code: 'ERR_MANIFEST', message: /model JSON/ } },
  'no JSON': { files: shards, says: { code: 'ERR_MANIFEST', message: /model JSON.*shard1of4/ } },
  'a JSON that is no model': { files: [['package.json', '{"name": "x"}'], ...shards], says: { code: 'ERR_MANIFEST', message: /package\.json/ } },
  'two model JSONs': { files: [...files, named(json, 'other.json')], says: { code: 'ERR_MANIFEST', message: /model\.json.*other\.json/ } },
  'a JSON that is cut off': { files: [cut(json, 300), ...shards], says: { code: 'ERR_MANIFEST', file: 'model.json' } },
  'an empty model.json': { files: [cut(json, 0), ...shards], says: { code: 'ERR_MANIFEST', message: /model\.json/ } },
  'a page instead of the JSON': { files: [['model.json', '<!doctype html>'], ...shards], says: { code: 'ERR_MANIFEST', message: /model\.json/ } },
  'shards listed in the wrong order': {
    files: [changed(([g]) => [{ ...g, paths: g.paths.toReversed() }]), ...shards],
    says: { code: 'ERR_MANIFEST', message: /shard/ },
  },
  'a path that is listed twice': {
    files: [changed(([g]) => [{ ...g, paths: ['a.bin', 'a.bin'] }]), named(one, 'a.bin')],
    says: { code: 'ERR_MANIFEST', message: /a\.bin/ },
  },
  'a manifest that is no list': { files: [changed(() => ({ paths: [] })), ...shards], says: { code: 'ERR_MANIFEST', message: /weightsManifest/ } },
  'a path that is no text': { files: [changed(([g]) => [{ ...g, paths: [1] }]), ...shards], says: { code: 'ERR_MANIFEST', message: /paths/ } },
  'an unknown dtype': {
    files: [changed(([g]) => [{ ...g, weights: [{ ...g.weights[0], dtype: 'float64' }] }]), ...shards],
    says: { code: 'ERR_MANIFEST', message: /float64/ },
  },
};

for (const engine of ENGINES) {
  describe(engine, () => {
    let page;
    before(async () => { page = await openIn(engine, { html: 'page' }); });
    const taken = async (rows, way = 'File[]') => page.evaluate(({ rows, way }) => T.taken(way, rows), { rows: base64(rows), way });

    for (const [name, { files: rows, code = 'ERR_MANIFEST', problems }] of Object.entries(PROBLEMS)) {
      test(`${name}: ${code}, and all files are named`, async () => {
        for (const given of [rows, rows.toReversed()]) {
          const { value, error } = await taken(given);
          assert.equal(value, undefined);
          assert.equal(error.code, code);
          const sorted = (list) => list.toSorted((a, b) => (a[0] < b[0] ? -1 : 1));
          const told = error.problems.map(({ file, problem, expected, received }) => (
            [file, problem, expected, received].filter((field) => field !== undefined)));
          assert.deepEqual(sorted(told), sorted(problems));
          for (const [file, , ...sizes] of problems) for (const text of [file, ...sizes]) assert.ok(error.message.includes(text), error.message);
        }
      });
    }

    for (const [name, { files: rows, says }] of Object.entries(JSONS)) {
      test(`${name}: ${says.code}`, async () => {
        const { value, error } = await taken(rows);
        assert.equal(value, undefined);
        for (const [field, wanted] of Object.entries(says)) {
          if (wanted instanceof RegExp) assert.match(error[field], wanted);
          else assert.equal(error[field], wanted, JSON.stringify(error));
        }
      });
    }

    test('a failed copy stores nothing', async () => {
      const urls = await page.evaluate(async (rows) => {
        const { copyModel, listModels } = await T.library('tfpersist');
        const { error } = await T.attempt(() => copyModel(T.filesOf(rows), 'indexeddb://copy'));
        return [error?.code, Object.keys(await listModels())];
      }, base64([json, one, cut(two, 1), three, four]));
      assert.deepEqual(urls, ['ERR_SIZE_MISMATCH', []]);
    });

    test('what is no file at all', async () => {
      const errors = await page.evaluate(async () => {
        const { load, browserFiles } = await T.library('tfpersist');
        const out = [];
        for (const what of [[1], ['model.json'], [null], {}, null, undefined, 7, new Date()]) {
          out.push([(await T.attempt(() => load(what))).error?.code, (await T.attempt(async () => browserFiles(what).load())).error?.code]);
        }
        return out;
      });
      const allowed = ['ERR_INVALID_ARGUMENT', 'ERR_INVALID_URL', 'ERR_UNKNOWN_SCHEME', 'ERR_MANIFEST'];
      for (const code of errors.flat()) assert.ok(allowed.includes(code), JSON.stringify(errors));
    });
  });
}

test('TF.js as the control: what never settles, what it rejects, what it loses', async () => {
  const page = await openIn('chromium', { html: 'page' });
  const outcomes = await page.evaluate(async ({ rows }) => {
    const [json, ...shards] = rows;
    const list = new DataTransfer();
    for (const file of T.filesOf(rows)) list.items.add(file);
    const short = (outcome) => outcome.value ?? outcome.error.name;
    const tf_ = async (files) => short(await T.takenByTF(files));
    return {
      'the JSON first': await tf_(rows),
      'the JSON last': await tf_([...shards, json]),
      'a broken JSON': await tf_([['model.json', btoa('{')], ...shards]),
      'a FileList': short(await T.attempt(async () => T.print(await tf.io.browserFiles(list.files).load()), 500)),
      'a second download': await tf_([json, ...shards.map(([name, bytes]) => [name.replace('.bin', ' (1).bin'), bytes])]),
      'a truncated shard': await tf_([json, ...shards.slice(0, 3), [shards[3][0], btoa('abc')]]).then((name) => name.length === 64 ? 'loads' : name),
    };
  }, { rows: base64(files) });
  assert.equal(outcomes['the JSON first'], await print(artifacts));
  assert.deepEqual({ ...outcomes, 'the JSON first': undefined }, {
    'the JSON first': undefined,
    'the JSON last': 'NeverSettled',
    'a broken JSON': 'NeverSettled',
    'a FileList': 'TypeError',
    'a second download': 'Error',
    'a truncated shard': 'loads',
  });
  await page.close();
});
