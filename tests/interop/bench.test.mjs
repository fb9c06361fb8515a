// `make bench` itself: two cheap scenes through the code that measures everything, and the shape of what comes out. Times are not looked at.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { measure } from '../../scripts/bench/drive.mjs';
import { markdown } from '../../www/bench/report.mjs';
import { rowOf } from '../../www/bench/run.mjs';

const SCENES = ['localstorage 1 MB', 'http 16 MB, 4 shards'];
let result;
before(async () => { result = await measure({ quick: true, rounds: 1, memory: 0, only: (work) => SCENES.includes(work) }); });

test('each contender of each step has its samples, and no error', () => {
  const rows = ['localstorage 1 MB: save', 'localstorage 1 MB: load', 'http 16 MB, 4 shards: load'];
  assert.deepEqual(result.rows.map(({ work, step }) => `${work}: ${step}`), rows);
  for (const row of result.rows) {
    assert.deepEqual(row.errors, {});
    assert.deepEqual(Object.keys(row.samples), ['tfjs', 'raw', 'ours']);
    for (const list of Object.values(row.samples)) assert.ok(list.length >= 1 && list.every((ms) => ms > 0), JSON.stringify(row.samples));
    assert.ok(row.tfjs.ratio > 0 && row.raw.ratio > 0);
    assert.ok([true, false, 'noise'].includes(row.met));
  }
});

test('the table has a line for each row', () => {
  const lines = markdown(result).split('\n').filter((line) => line.startsWith('| '));
  assert.equal(lines.length, 2 + result.rows.length);
  assert.match(lines[2], /^\| localstorage 1 MB: save \| ms \| [\d.]+ \| [\d.]+ \| [\d.]+ \| [\d.]+/);
});

test('a row is judged by its medians, and by its rounds when those differ', () => {
  const judge = (tfjs, target) => rowOf({ work: 'w', step: 's', unit: 'ms', target }, { tfjs, ours: [10, 10, 10, 10] }, {});
  assert.equal(judge([20, 20, 20, 20], { tfjs: 2 }).met, true);
  assert.equal(judge([19, 19, 19, 25], { tfjs: 2 }).met, 'noise');
  assert.equal(judge([19, 19, 19, 19], { tfjs: 2 }).met, false);
  assert.equal(judge([20, 20, 20, 20], {}).met, undefined);
  assert.equal(judge([20, 20, 20, 20], { tfjs: 2, ours: 9 }).met, false);
});

test('a contender that fails is an error in its row; only ours misses a target by it', () => {
  const theirs = rowOf({ work: 'w', step: 's', unit: 'ms', target: { tfjs: 2 } }, { ours: [10] }, { tfjs: 'QuotaExceededError' });
  assert.equal(theirs.met, true);
  const ours = rowOf({ work: 'w', step: 's', unit: 'ms', target: { tfjs: 2 } }, { tfjs: [10] }, { ours: 'ERR_STORAGE' });
  assert.equal(ours.met, false);
  assert.match(markdown({ ...result, rows: [ours] }), /ERR_STORAGE/);
});
