// Model JSONs that mean harm, or might: for every loader. Each is a model with one weight `w` of 4 bytes in `w.bin`, but for one thing.

const spec = { name: 'w', shape: [1], dtype: 'float32' };
const model = (more = {}) => ({
  modelTopology: { class_name: 'Test' }, format: 'layers-model', generatedBy: 'tests', convertedBy: null,
  weightsManifest: [{ paths: ['w.bin'], weights: [spec] }], ...more,
});
const text = (value) => Buffer.from(JSON.stringify(value));
const raw = (json) => Buffer.from(json);
const manifest = (weightsManifest) => text(model({ weightsManifest }));
const weight = (change) => manifest([{ paths: ['w.bin'], weights: [{ ...spec, ...change }] }]);
/** A model with `json` in the place of the text `"HERE"`. */
const put = (value, json) => raw(JSON.stringify(value).replace('"HERE"', () => json));
const nested = (levels) => '['.repeat(levels) + ']'.repeat(levels);
const shape = (json) => put(model({ weightsManifest: [{ paths: ['w.bin'], weights: [{ ...spec, shape: 'HERE' }] }] }), json);
const many = (count, of) => Array.from({ length: count }, (_, i) => of(i)).join(',');
const MB = 2 ** 20;

const LOADS = ['loads'];
const MANIFEST = ['ERR_MANIFEST'];
/** There are bytes, but not so many. */
const SIZE = ['ERR_SIZE_MISMATCH', 'ERR_MANIFEST'];
const of = (expected, cases) => Object.fromEntries(Object.entries(cases).map(([name, make]) => [name, { make, expected }]));

/** Name -> how the bytes are made, and what may come of a load, whichever. */
export const JSONS = {
  ...of(MANIFEST, {
    'null': () => raw('null'), 'a number': () => raw('5'), 'a text': () => raw('"model"'), 'a list': () => raw('[]'), 'true': () => raw('true'),
    'an empty object': () => raw('{}'), 'nothing': () => raw(''), 'half of it': () => text(model()).subarray(0, 80),
    'UTF-16': () => Buffer.from(JSON.stringify(model()), 'utf16le'),
    '100,000 levels, none closed': () => raw(`{"modelTopology":${'['.repeat(1e5)}`),
    '100,000 levels as the manifest': () => put(model({ weightsManifest: 'HERE' }), nested(1e5)),
    '100,000 levels as a shape': () => shape(nested(1e5)),
    'a manifest that only has a length': () => manifest({ length: 1, 0: { paths: ['w.bin'], weights: [spec] } }),
    'a manifest of null': () => manifest([null]), 'of numbers': () => manifest([1, 2]), 'of lists': () => manifest([[], []]),
    'a manifest that is a text': () => manifest('w.bin'), 'that is true': () => manifest(true),
    'paths that only have a length': () => manifest([{ paths: { length: 1, 0: 'w.bin' }, weights: [spec] }]),
    'paths that are a text': () => manifest([{ paths: 'w.bin', weights: [spec] }]),
    'a path that is a list': () => manifest([{ paths: [['w.bin']], weights: [spec] }]),
    'weights that are null': () => manifest([{ paths: ['w.bin'], weights: null }]),
    'a weight that is null': () => manifest([{ paths: ['w.bin'], weights: [null] }]),
    'a weight without a shape': () => weight({ shape: undefined }),
    'a shape of 2^53': () => shape('[9007199254740992]'), 'of 2^64 + 1': () => shape('[18446744073709551617]'), 'of 1e308': () => shape('[1e308]'),
    'of 1e999': () => shape('[1e999]'), 'of -1e999': () => shape('[-1e999]'), 'of 1e8 times 1e8': () => shape('[1e8, 1e8]'),
    'of 2^53 - 1 floats': () => shape('[9007199254740991]'), 'of -1': () => shape('[-1]'), 'of -1 times -1': () => shape('[-1, -1]'),
    'of 1.5': () => shape('[1.5]'), 'of "1"': () => shape('["1"]'), 'of "NaN"': () => shape('["NaN"]'), 'of null': () => shape('[null]'),
    'of true': () => shape('[true]'), 'of a list': () => shape('[[1]]'), 'of an object': () => shape('[{}]'),
    'a shape that is a number': () => shape('1'), 'a text': () => shape('"1"'), 'only a length': () => shape('{"length": 1, "0": 1}'),
    'a shape of 300 axes': () => shape(`[${many(300, () => 1)}]`), 'of a million axes': () => shape(`[${many(1e6, () => 1)}]`),
    'a dtype of the prototype': () => weight({ dtype: 'constructor' }), 'a dtype that is a list': () => weight({ dtype: ['float32'] }),
    'a quantization of texts': () => weight({ quantization: { dtype: 'uint8', min: '0', scale: '1' } }),
    'a quantization that is a text': () => weight({ quantization: 'uint8' }),
    'a name that is a number': () => weight({ name: 7 }),
    'half a surrogate pair as a name': () => put(model({ weightsManifest: [{ paths: ['w.bin'], weights: [{ ...spec, name: 'HERE' }] }] }), '"\\ud800"'),
    'half a surrogate pair as a path': () => put(model({ weightsManifest: [{ paths: ['HERE'], weights: [spec] }] }), '"\\udc00.bin"'),
    'a name of 100 MB': () => weight({ name: 'x'.repeat(100 * MB) }), 'a path of 100 MB': () => manifest([{ paths: ['x'.repeat(100 * MB)], weights: [spec] }]),
    'a name twice': () => manifest([{ paths: ['w.bin'], weights: [spec, spec] }]),
    'a name twice, in two groups': () => manifest([{ paths: ['w.bin'], weights: [spec] }, { paths: ['v.bin'], weights: [spec] }]),
    'a path twice': () => manifest([{ paths: ['w.bin', 'w.bin'], weights: [spec] }]),
    'a path twice, in two groups': () => manifest([{ paths: ['w.bin'], weights: [spec] }, { paths: ['w.bin'], weights: [{ ...spec, name: 'v' }] }]),
    'a million paths': () => put(model({ weightsManifest: [{ paths: 'HERE', weights: [spec] }] }), `[${many(1e6, (i) => `"${i}.bin"`)}]`),
    'more weights than anybody has': () => put(model({ weightsManifest: [{ paths: ['w.bin'], weights: 'HERE' }] }),
      `[${many(1e5 + 1, (i) => `{"name":"${i}","shape":[0],"dtype":"bool"}`)}]`),
    'more weights than anybody has, in groups': () => put(model({ weightsManifest: 'HERE' }),
      `[${many(11, (g) => `{"paths":[],"weights":[${many(1e4, (i) => `{"name":"${g} ${i}","shape":[0],"dtype":"bool"}`)}]}`)}]`),
    'a million weights, 100 MB': () => put(model({ weightsManifest: [{ paths: ['w.bin'], weights: 'HERE' }] }),
      `[${many(1e6, (i) => `{"name":"weight ${i} of so many that nobody could have them all","shape":[0],"dtype":"float32"}`)}]`),
    'groups of 2^53 bytes together': () => manifest([0, 1, 2].map((i) => ({ paths: [`${i}.bin`], weights: [{ name: `${i}`, shape: [2 ** 52], dtype: 'bool' }] }))),
  }),
  ...of(SIZE, {
    'a claim of 2^52 bytes': () => weight({ shape: [2 ** 52], dtype: 'bool' }), 'of 4 GB': () => weight({ shape: [1e9] }),
    'of 1 GB': () => weight({ shape: [2 ** 28] }), 'of no bytes': () => weight({ shape: [0] }), 'of 1e-400': () => shape('[1e-400]'),
    'of 2^53 - 1 texts': () => weight({ shape: [2 ** 53 - 1], dtype: 'string' }),
  }),
  ...of(LOADS, {
    'as it should be': () => text(model()),
    'a byte order mark': () => Buffer.concat([raw('\ufeff'), text(model())]),
    '100,000 levels as the topology': () => put(model({ modelTopology: { deep: 'HERE' } }), nested(1e5)),
    'no UTF-8 in the metadata': () => Buffer.from(JSON.stringify(model({ userDefinedMetadata: { note: '\xff\xfe\xc0\x80' } })), 'latin1'),
    'half a surrogate pair in the metadata': () => put(model({ userDefinedMetadata: { note: 'HERE' } }), '"\\ud800"'),
    '__proto__ among the fields': () => raw(`{"__proto__":{"polluted":1,"weightSpecs":[],"toString":1},${JSON.stringify(model()).slice(1)}`),
    '__proto__ in the metadata': () => put(model({ userDefinedMetadata: 'HERE' }), '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}'),
    '__proto__ in the topology': () => put(model({ modelTopology: 'HERE' }), '{"__proto__":{"polluted":1}}'),
    '__proto__ in a weight': () => put(model({ weightsManifest: [{ paths: ['w.bin'], weights: ['HERE'] }] }),
      '{"__proto__":{"polluted":1,"shape":[9]},"name":"w","shape":[1],"dtype":"float32"}'),
    'fields of the prototype': () => text(model({ toString: 'x', hasOwnProperty: 'x', constructor: 'x', valueOf: null })),
    ...Object.fromEntries(['__proto__', 'constructor', 'toString', '', '../w', 'w\0', '\u202e'].map((name) => [`a weight called ${JSON.stringify(name)}`, () => weight({ name })])),
    '100 MB of blanks': () => Buffer.concat([text(model()), Buffer.alloc(100 * MB, ' ')]),
    '100 MB of text': () => text(model({ userDefinedMetadata: { note: 'x'.repeat(100 * MB) } })),
    '10,000 weights': () => put(model({ weightsManifest: [{ paths: ['w.bin'], weights: 'HERE' }] }),
      `[${many(1e4, (i) => `{"name":"${i}","shape":[0],"dtype":"float32"}`)},{"name":"w","shape":[1],"dtype":"float32"}]`),
  }),
};

/** Those take longer than the others may. */
export const isLarge = (bytes) => bytes.length > 10 * MB;

/** Paths that lead out of the model's folder, or to another server. */
export const paths = (elsewhere) => [
  `${elsewhere}/w.bin`, elsewhere.replace('http:', ''), `${elsewhere.replace('http:', '')}/w.bin`, `/${elsewhere.replace('http:', '')}/w.bin`, `\\\\${elsewhere.slice(7)}\\w.bin`,
  `${elsewhere.toUpperCase()}/w.bin`, ` ${elsewhere}/w.bin`, `\t${elsewhere}/w.bin`, `http:\n${elsewhere.slice(5)}/w.bin`, `@${elsewhere.slice(7)}/w.bin`, `:80@${elsewhere.slice(7)}/w.bin`,
  'file:///etc/passwd', 'blob:http://x/y', 'data:application/octet-stream;base64,AAAAAA==', 'javascript:1', 'C:\\w.bin', '//host.invalid/w.bin',
];

/** What every error has: a code of ours. */
export const CODES = ['ERR_INVALID_URL', 'ERR_UNKNOWN_SCHEME', 'ERR_NOT_SUPPORTED', 'ERR_NOT_FOUND', 'ERR_ALREADY_EXISTS', 'ERR_QUOTA_EXCEEDED',
  'ERR_HTTP_STATUS', 'ERR_NETWORK', 'ERR_MANIFEST', 'ERR_SIZE_MISMATCH', 'ERR_CHECKSUM', 'ERR_CORRUPT', 'ERR_INVALID_ARGUMENT', 'ERR_STORAGE'];
