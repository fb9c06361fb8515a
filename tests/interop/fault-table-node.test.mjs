// Every call of the file system that a verb makes fails, one at a time: the old model is intact, or the new one is complete.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { IN_NODE } from '../lib/fault-scenes.mjs';
import { faults, markdown, said, scenesOf, UPDATE, write } from '../lib/fault-table.mjs';
import { install, play } from '../lib/faults-node.mjs';
import { KINDS } from '../lib/faults.mjs';
import { PACKAGE } from '../lib/node.mjs';

const PART = 'In Node';
const lib = await import(PACKAGE);
await lib.default();
install();

const written = new Map();
after(() => { if (UPDATE) write(PART, written, IN_NODE.map(({ name }) => name)); });

for (const scene of IN_NODE) {
  test(scene.name, async () => {
    const rows = await play(lib, scene);
    assert.deepEqual(faults(scene.name, rows), []);
    written.set(scene.name, markdown(rows, KINDS));
    if (!UPDATE) assert.equal(written.get(scene.name), said(PART, scene.name), `tests/fault-table.md, ${scene.name}`);
  });
}

test('the table has no scene that is not played', () => {
  if (UPDATE) return; // it is written at the end
  assert.deepEqual(scenesOf(PART).filter((name) => !IN_NODE.some((scene) => scene.name === name)), []);
});
