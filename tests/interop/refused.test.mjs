// Saves that cannot succeed: what each rejects with, and that the old model stays.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { open } from '../lib/suite.mjs';

const page = await open();

/** Saves that cannot succeed: what they reject with. */
const REFUSED = {
  'too few bytes': 'ERR_SIZE_MISMATCH',
  'too many bytes': 'ERR_SIZE_MISMATCH',
  'a stream that ends early': 'ERR_SIZE_MISMATCH',
  'a stream that breaks': undefined,
  'an unknown dtype': 'ERR_MANIFEST',
  'a negative shape': 'ERR_MANIFEST',
  'two weights of one name': 'ERR_MANIFEST',
  'a topology in a circle': undefined,
  'a signal that has fired': 'reason',
  'a signal that fires meanwhile': 'reason',
  'an option that does not exist': 'ERR_INVALID_ARGUMENT',
  'overwrite: false': 'ERR_ALREADY_EXISTS',
};

describe('whatever makes a save fail, the old model stays byte for byte, and TF.js loads it', () => {
  for (const store of ['localstorage', 'indexeddb']) {
    test(store, async () => {
      const result = await page.evaluate((at) => T.refusedSaves(at), `${store}://m`);
      assert.deepEqual(result.map((r) => r.name), Object.keys(REFUSED));
      for (const { name, error, code, untouched, loads } of result) {
        assert.ok(error, `${name}: was not refused`);
        assert.equal(code, REFUSED[name] ?? code, `${name}: ${JSON.stringify(error)}`);
        assert.ok(untouched && loads, `${name}: the old model suffered`);
      }
    });
  }
});
