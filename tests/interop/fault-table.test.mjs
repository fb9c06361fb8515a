// Every host call of every verb fails, one at a time, in every way it can: the old model is intact, or the new one is complete.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inPage, inTransit, inWorker, NAMES, PART, playAll } from '../lib/fault-players.mjs';
import { IN_PAGE, IN_TRANSIT, IN_WORKER } from '../lib/fault-scenes.mjs';
import { scenesOf, UPDATE } from '../lib/fault-table.mjs';

/** Between stores no call is made that is not made within one: Chromium's page alone will do for them. */
const single = (scenes) => scenes.filter(({ between, name }) => !between && !/:.*:.*:/.test(name));
/** A few for Firefox, which takes ten times as long to make and delete a database. */
const few = (scenes) => scenes.filter(({ name }) => /^(localstorage:..m → n: move, no|.*m: (save, over|remove|save, there))/.test(name));

playAll([
  ['chromium', 'in a page', inPage, IN_PAGE],
  ['chromium', 'with a server and downloads', inTransit, IN_TRANSIT],
  ['chromium', 'in a worker', inWorker, single(IN_WORKER)],
  ['firefox', 'in a page', inPage, few(IN_PAGE)],
]);

test('the table has no scene that is not played', () => {
  if (UPDATE) return; // it is written at the end
  assert.deepEqual(scenesOf(PART).filter((name) => !NAMES.includes(name)), []);
});
