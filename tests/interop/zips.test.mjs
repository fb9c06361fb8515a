// Models in zips, as other programs pack them; and zips that are damaged or lie, of which none loads as a wrong model.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { print } from '../lib/artifacts.mjs';
import { random } from '../lib/bytes.mjs';
import { ENGINES, openIn } from '../lib/engines.mjs';
import { publishPlain } from '../lib/published.mjs';
import { zipOf } from '../lib/zips.mjs';

const { artifacts, files } = publishPlain(4000, 1500);
const inFolder = files.map(([name, bytes]) => [`model/${name}`, bytes]);
const others = [['README.md', '# {"modelTopology": {}}'], ['docs/', ''], ['docs/weights.bin', 'no'], ['package.json', '{"name": "app"}']];
/** What the archiver of macOS adds to each file. */
const resourceForks = inFolder.map(([name]) => [`__MACOSX/${name.replace('/', '/._')}`, '\0\x05\x16\x07\0\x02\0\0Mac OS X        ']);

const ZIPS = {
  'stored': zipOf(files),
  'deflated': zipOf(files, { method: 'DEFLATED' }),
  'in a folder, last to first': zipOf([['model/', ''], ...inFolder.toReversed()], { method: 'DEFLATED' }),
  'among other files and folders': zipOf([...others, ...inFolder], { method: 'DEFLATED' }),
  'by macOS': zipOf([...resourceForks, ...inFolder], { method: 'DEFLATED' }),
  'with a configuration that has comments': zipOf([['tsconfig.json', '{\n  // strict\n "strict": true }'], ...inFolder]),
  'with sizes of 64 bits': zipOf(files, { zip64: true }),
  'with a comment at the end': zipOf(files, { comment: 'This is the comment of an archive. '.repeat(1800) }),
  'behind a program that unpacks it': Buffer.concat([Buffer.from('PK\x03\x04'), Buffer.alloc(3000, 7), zipOf(files)]),
  'with names in all scripts': zipOf(inFolder.map(([name, bytes]) => [name.replace('model/', 'ünï 模型 \u{1F600}/'), bytes])),
};

const encoded = (zip) => zip.toString('base64');
const u32 = (zip, at, value) => { const changed = Buffer.from(zip); changed.writeUInt32LE(value, at); return changed; };
/** Where the central directory's row of that file begins. */
const row = (zip, name) => { const at = zip.lastIndexOf(name) - 46; assert.equal(zip.readUInt32LE(at), 0x02014b50); return at; };

let made;
/** 50 MB of zeros, and a directory that says that they are the 1500 bytes of a shard. */
function bomb() {
  const zeros = files.map(([name, bytes]) => [name, name.includes('1of3') ? Buffer.alloc(50e6) : bytes]);
  made ??= zipOf(zeros, { method: 'DEFLATED' });
  return u32(made, row(made, 'group1-shard1of3.bin') + 24, 1500);
}

for (const engine of ENGINES) {
  describe(engine, () => {
    let page;
    before(async () => { page = await openIn(engine); });
    /** What becomes of each zip: `{ value: print }` or `{ error }`. */
    const taken = (zips, name = 'm.zip') => page.evaluate(async ({ zips, name }) => {
      const { load } = await T.library('tfpersist');
      const outcomes = [];
      for (const zip of zips) outcomes.push(await T.attempt(async () => T.print(await load([new File([T.fromBase64(zip)], name)]))));
      return outcomes;
    }, { zips: zips.map(encoded), name });

    for (const [name, zip] of Object.entries(ZIPS)) {
      test(name, async () => assert.deepEqual(await taken([zip]), [{ value: await print(artifacts) }]));
    }

    test('a zip of any name, as a File, a Blob, a list of one, and copied', async () => {
      const found = await page.evaluate(async (zip) => {
        const { load, browserFiles, copyModel } = await T.library('tfpersist');
        const bytes = T.fromBase64(zip);
        const file = new File([bytes], 'download');
        await copyModel(file, 'memory://zip');
        const models = [load(file), load(new Blob([bytes])), load([file]), browserFiles([file]).load(), load('memory://zip')];
        return Promise.all(models.map(async (model) => T.print(await model)));
      }, encoded(ZIPS.deflated));
      assert.deepEqual(found, Array(5).fill(await print(artifacts)));
    });

    test('a bit of a stored zip flipped, each 151st in turn: refused, or the same model', async () => {
      const zip = ZIPS.stored;
      const flipped = Array.from({ length: Math.floor((zip.length * 8) / 151) }, (_, i) => {
        const changed = Buffer.from(zip);
        changed[Math.floor((i * 151) / 8)] ^= 1 << ((i * 151) % 8);
        return changed;
      });
      const expected = await print(artifacts);
      const outcomes = await taken(flipped);
      const codes = new Map();
      for (const [i, { value, error }] of outcomes.entries()) {
        const what = error ? error.code ?? error.name : value === expected ? 'the same' : 'ANOTHER MODEL';
        codes.set(what, (codes.get(what) ?? []).concat(Math.floor((i * 151) / 8)));
      }
      const allowed = ['ERR_CHECKSUM', 'ERR_MANIFEST', 'ERR_SIZE_MISMATCH', 'ERR_NOT_SUPPORTED', 'the same'];
      for (const [what, where] of codes) assert.ok(allowed.includes(what), `${what}, of the bytes ${where}`);
      assert.ok(codes.get('ERR_CHECKSUM').length > outcomes.length / 2, JSON.stringify([...codes.keys()]));
    });

    test('cut at 200 places: refused', async () => {
      for (const zip of [ZIPS.stored, ZIPS.deflated]) {
        const next = random(9);
        const outcomes = await taken(Array.from({ length: 100 }, () => zip.subarray(0, 4 + Math.floor(next() * (zip.length - 4)))));
        assert.deepEqual([...new Set(outcomes.map(({ error }) => error?.code))], ['ERR_MANIFEST']);
      }
    });

    test('a flipped byte of weights, stored and deflated: the error names the file', async () => {
      for (const zip of [ZIPS.stored, ZIPS.deflated]) {
        const at = zip.readUInt32LE(row(zip, 'group1-shard2of3.bin') + 42) + 600; // where the file begins, and into it
        const changed = Buffer.from(zip);
        changed[at] ^= 0x10;
        const [{ error }] = await taken([changed]);
        assert.ok(['ERR_CHECKSUM', 'ERR_MANIFEST', 'ERR_SIZE_MISMATCH'].includes(error.code), JSON.stringify(error));
        assert.ok(JSON.stringify(error).includes('group1-shard2of3.bin'), JSON.stringify(error));
        if (zip === ZIPS.stored) assert.equal(error.code, 'ERR_CHECKSUM');
      }
    });

    test('a bomb: 50 MB of zeros behind a size of 1500 bytes; a size of 4 GB that is not there', async () => {
      const huge = u32(ZIPS.stored, row(ZIPS.stored, 'group1-shard1of3.bin') + 24, 0xfffffff0);
      const begun = performance.now();
      const outcomes = await taken([bomb(), huge]);
      assert.ok(performance.now() - begun < 5000);
      for (const { error } of outcomes) assert.ok(['ERR_SIZE_MISMATCH', 'ERR_CHECKSUM', 'ERR_MANIFEST'].includes(error?.code), JSON.stringify(error));
    });

    test('packed by another method, empty, without a model, with two: errors that say so', async () => {
      const two = [...files, ['other/model.json', files[0][1]]];
      const [bzip2, empty, none, twice, missing] = (await taken([
        zipOf(files, { method: 'BZIP2' }), zipOf([]), zipOf(others), zipOf(two), zipOf([...files.slice(0, 2), ...others]),
      ])).map(({ error }) => error);
      assert.equal(bzip2.code, 'ERR_NOT_SUPPORTED');
      assert.match(bzip2.message, /stored|deflated/);
      assert.equal(empty.code, 'ERR_MANIFEST');
      assert.equal(none.code, 'ERR_MANIFEST');
      assert.equal(twice.code, 'ERR_MANIFEST');
      assert.deepEqual(twice.problems.map(({ file }) => file), ['model.json', 'other/model.json']);
      assert.deepEqual(missing.problems, ['2', '3'].map((i) => ({ file: `group1-shard${i}of3.bin`, problem: 'missing' })));
    });

    test('progress counts the files in it, and ends at exactly 1', async () => {
      const rows = await page.evaluate(async (zip) => {
        const { load } = await T.library('tfpersist');
        const rows = [];
        await load(new Blob([T.fromBase64(zip)]), { onProgress: (fraction, detail) => rows.push([fraction, structuredClone(detail)]) });
        return rows;
      }, encoded(ZIPS.deflated));
      assert.equal(rows.at(-1)[0], 1);
      assert.ok(rows.every(([fraction], i) => i === 0 || fraction >= rows[i - 1][0]));
      assert.deepEqual(rows.filter(([, { file }]) => file).map(([, { file }]) => file.loaded).sort(), [1000, 1500, 1500]);
    });
  });
}
