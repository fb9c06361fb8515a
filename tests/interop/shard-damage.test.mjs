// Damaged shards and a damaged catalog: typed errors from a load, damage from `verify`, a listing that tells of all others, and a model
// that can be removed and saved again. And a shard that claims another's key is found out.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { open } from '../lib/suite.mjs';

/** In the page: how each damage shows, and whether the path can be removed and saved to again. Damages are texts of functions. */
async function scene({ scheme, damages }) {
  const { save, load, listModels, verify, removeModel, sweep } = await T.sharded();
  const at = (path) => `${scheme}://${path}`;
  const model = T.layered('m', [['a', 40000, 1], ['b', 20000, 2]]);
  const options = { layout: 'sharded' };
  const code = ({ value, error }) => error?.code ?? error?.message ?? value;
  const out = {};
  for (const [name, [damage, argument]] of Object.entries(damages)) {
    await T.clearAll();
    await save(model, at('m'), options);
    await save(T.layered('other', [['c', 4000, 3]]), at('other'), options);
    await sweep();
    await (0, eval)(`(${damage})`)(argument, scheme);
    const same = async (artifacts) => (await T.print(artifacts) === await T.print(model) ? 'the same' : 'other bytes');
    const listed = await T.attempt(async () => {
      const rows = await listModels(at(''));
      return [rows[at('m')]?.damage?.code ?? Boolean(rows[at('m')]), rows[at('other')]?.damage?.code ?? Boolean(rows[at('other')])].join();
    });
    const told = {
      load: code(await T.attempt(async () => same(await load(at('m'))))),
      verifying: code(await T.attempt(async () => same(await load(at('m'), { verify: true })))),
      verify: code(await T.attempt(async () => (await verify(at('m'))).damage?.code ?? 'sound')),
      listed: code(listed),
    };
    // The sweep must get along with whatever there is.
    told.sweep = code(await T.attempt(async () => typeof await sweep()));
    told.overwrite = code(await T.attempt(async () => { await save(model, at('m'), options); return same(await load(at('m'), { verify: true })); }));
    await (0, eval)(`(${damage})`)(argument, scheme).catch(() => {});
    told.remove = code(await T.attempt(async () => { await removeModel(at('m')); return at('m') in await listModels(at('')); }));
    told.again = code(await T.attempt(async () => { await save(model, at('m'), options); return same(await load(at('m'), { verify: true })); }));
    out[name] = told;
  }
  return out;
}

const change = (text) => [`(how, scheme) => T.reshape(scheme, ${text})`];
/** Of the row of the model in an object store; what it becomes. */
const row = (store, text) => [`() => T.tamper('${store}', (row) => (row.key.endsWith('://m') ? (${text})(row) : row))`];
const all = (store, text) => [`() => T.tamper('${store}', ${text})`];

const CORRUPT = { load: 'ERR_CORRUPT', verifying: 'ERR_CORRUPT', verify: 'ERR_CORRUPT' };
const SOUND = { load: 'the same', verifying: 'the same', verify: 'sound' };
const LISTED = { listed: 'true,true' };
const MARKED = { listed: 'ERR_CORRUPT,true' };

/** Damage -> what is done, and what is told. */
const DAMAGES = {
  'shards are gone': [change('() => undefined'), { ...CORRUPT, ...LISTED }],
  'shards are shorter': [change('(bytes) => bytes.slice(0, -4)'), { ...CORRUPT, ...LISTED }],
  'shards are empty': [change('() => new Uint8Array(0)'), { ...CORRUPT, ...LISTED }],
  'a byte is another': [change('(bytes) => { bytes[100] ^= 1; return bytes; }'), { ...CORRUPT, load: 'other bytes', ...LISTED }],
  'rows of shards are gone': [all('shards', '() => undefined'), { ...SOUND, ...LISTED }],
  'rows of shards are empty': [all('shards', '({ key }) => ({ key })'), { ...SOUND, ...LISTED }],
  'rows of shards are nonsense': [all('shards', '(row) => ({ ...row, pieces: new Uint8Array(23) })'), { ...SOUND, ...LISTED }],
  'the row is empty': [row('models', '({ key }) => ({ key })'), { ...CORRUPT, ...MARKED }],
  'the row has no info': [row('models', '({ info, ...row }) => row'), { ...CORRUPT, ...MARKED }],
  'the row tells of other bytes': [row('models', '(row) => ({ ...row, info: { ...row.info, weightDataBytes: 8 } })'), { ...CORRUPT, ...LISTED }],
  'the row has no date': [row('models', '(row) => ({ ...row, info: { ...row.info, dateSaved: "soon" } })'), { ...CORRUPT, ...MARKED }],
  'the row names no shards': [row('models', '(row) => ({ ...row, shards: [] })'), { ...CORRUPT, ...LISTED }],
  'the row names what is no name': [row('models', '(row) => ({ ...row, shards: [7, null, {}] })'), { ...CORRUPT, ...LISTED }],
  'the row names others\' shards': [row('models', '(row) => ({ ...row, shards: row.shards.map((name) => `${name}0`) })'), { ...CORRUPT, ...LISTED }],
  'the header is gone': [row('headers', '() => undefined'), { ...CORRUPT, ...LISTED }],
  'the header is empty': [row('headers', '({ key }) => ({ key })'), { ...CORRUPT, ...LISTED }],
  'the header has no artifacts': [row('headers', '(row) => ({ ...row, artifacts: 7 })'), { ...CORRUPT, ...LISTED }],
  'the header has other artifacts': [row('headers', '(row) => ({ ...row, artifacts: { modelTopology: {}, weightSpecs: [] } })'), { ...CORRUPT, ...LISTED }],
  'the header has no weights': [row('headers', '({ weights, ...row }) => row'), { ...CORRUPT, ...LISTED }],
  'weights that are not rows': [row('headers', '(row) => ({ ...row, weights: new Uint8Array(35) })'), { ...CORRUPT, ...LISTED }],
  'weights of zeros': [row('headers', '(row) => ({ ...row, weights: new Uint8Array(72) })'), { ...CORRUPT, ...LISTED }],
  'weights that lie nowhere': [row('headers', '(row) => ({ ...row, weights: new Uint8Array(72).fill(255) })'), { ...CORRUPT, ...LISTED }],
  'half of the weights': [row('headers', '(row) => ({ ...row, weights: row.weights.slice(0, 36) })'), { ...CORRUPT, ...LISTED }],
  'weights twice': [row('headers', '(row) => ({ ...row, weights: Uint8Array.from([...row.weights, ...row.weights]) })'), { ...CORRUPT, ...LISTED }],
  'weights as a text': [row('headers', '(row) => ({ ...row, weights: "weights" })'), { ...CORRUPT, ...LISTED }],
  'pieces that lie past the end of their shard': [row('headers', '(row) => { row.weights[29] = 200; return row; }'), { ...CORRUPT, ...LISTED }],
  'the secret is gone': [all('meta', '() => undefined'), { ...CORRUPT, load: 'the same', ...LISTED }],
  'the secret is another': [all('meta', '(row) => ({ ...row, secret: new Uint8Array(192) })'), { ...CORRUPT, load: 'the same', ...LISTED }],
  'the secret is no secret': [all('meta', '(row) => ({ ...row, secret: "secret" })'), { ...CORRUPT, load: 'the same', ...LISTED }],
  'pending rows of nobody': [['() => T.plant("pending", { key: "x" }).then(() => T.plant("pending", { key: "y", shards: 7 }))'], { ...SOUND, ...LISTED }],
  'rows of nobody': [['() => Promise.all(["models", "headers", "shards"].map((store) => T.plant(store, { key: 7, shards: "no" })))'], { ...SOUND, ...LISTED }],
};
const REPAIRED = { sweep: 'number', overwrite: 'the same', remove: false, again: 'the same' };

for (const scheme of ['indexeddb', 'opfs']) {
  test(`${scheme}://: damage of every kind`, async () => {
    const page = await open({ html: 'bare' });
    const told = await page.evaluate(scene, { scheme, damages: Object.fromEntries(Object.entries(DAMAGES).map(([name, [damage]]) => [name, damage])) });
    for (const [name, [, expected]] of Object.entries(DAMAGES)) assert.deepEqual(told[name], { ...expected, ...REPAIRED }, name);
    await page.close();
  });

  describe(`${scheme}://, a shard that claims the key of another's bytes`, () => {
    test('is found out by `verify`, and by a load that verifies', async () => {
      const page = await open({ html: 'bare' });
      const told = await page.evaluate(async ({ scheme: at }) => {
        const { save, load, verify, removeModel } = await T.sharded();
        const [honest, evil] = [T.layered('honest', [['a', 8000, 1]]), T.layered('evil', [['a', 8000, 2]])];
        const options = { layout: 'sharded' };
        await save(honest, `${at}://honest`, options);
        const [[name, { pieces }]] = Object.entries((await T.catalog()).shards);
        await save(evil, `${at}://evil`, options);
        const rows = (await T.readDatabase('tfpersist')).stores.shards.records;
        const claimed = rows.find(({ key }) => key === name).pieces;
        await T.tamper('shards', (row) => ({ ...row, pieces: claimed }));
        await T.written(at, () => removeModel(`${at}://honest`));
        const again = await T.written(at, () => save(honest, `${at}://honest`, options));
        return {
          pieces: pieces.length, written: again.bytes,
          load: await T.print(await load(`${at}://honest`)) === await T.print(honest),
          verifying: (await T.attempt(() => load(`${at}://honest`, { verify: true }))).error,
          verify: T.tell((await verify(`${at}://honest`)).damage),
          evil: (await verify(`${at}://evil`)).damage === undefined,
        };
      }, { scheme });
      assert.deepEqual([told.pieces, told.written], [1, 0], 'the forged key was not used: nothing was shown');
      assert.equal(told.load, false);
      for (const error of [told.verifying, told.verify]) {
        assert.equal(error.code, 'ERR_CORRUPT');
        assert.match(error.expected, /^xxh3-128 [0-9a-f]{32}$/);
        assert.match(error.received, /^xxh3-128 [0-9a-f]{32}$/);
        assert.notEqual(error.expected, error.received);
      }
      assert.equal(told.evil, true, 'what evil itself has is sound');
      await page.close();
    });
  });
}

test('a database `tfpersist` that somebody else has made hides no record of TF.js\'s layout', async () => {
  const page = await open();
  const told = await page.evaluate(async () => {
    const { save, load, listModels, moveModel, removeModel, sweep } = await T.sharded();
    const model = T.plain('theirs', 1, 4000);
    await (await T.library('tf.io')).save(model, 'indexeddb://theirs');
    (await T.done(indexedDB.open('tfpersist'))).close();
    const rows = await listModels();
    const whole = async (url) => await T.print(await load(url)) === await T.print(model);
    const code = async (work) => (await T.attempt(work)).error?.code;
    const out = { rows: Object.entries(rows).map(([url, { damage }]) => [url, damage?.code, damage?.file]), loads: [await whole('indexeddb://theirs')] };
    await save(model, 'indexeddb://ours');
    await moveModel('indexeddb://ours', 'indexeddb://moved');
    out.loads.push(await whole('indexeddb://moved'));
    await removeModel('indexeddb://moved');
    out.refused = [await code(() => save(model, 'indexeddb://big', { layout: 'sharded' })), await code(() => sweep()), await code(() => load('indexeddb://none'))];
    return out;
  });
  const broken = ['ERR_CORRUPT', 'database tfpersist'];
  assert.deepEqual(told.rows.sort(), [['indexeddb://', ...broken], ['indexeddb://theirs', undefined, undefined], ['opfs://', ...broken]]);
  assert.deepEqual(told.loads, [true, true]);
  assert.deepEqual(told.refused, ['ERR_CORRUPT', 'ERR_CORRUPT', 'ERR_NOT_FOUND']);
  await page.close();
});
