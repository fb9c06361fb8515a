// Models of a wished size: float32 weights that nothing compresses, and a stamp with which each save is another one.

export const MB = 2 ** 20;
const STEP = 64 * 1024; // bytes from stamp to stamp, so that every shard has one

/** Numbers in [-1, 1) by xorshift32. */
function fill(floats) {
  let x = 2463534242;
  for (let i = 0; i < floats.length; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    floats[i] = x / 2 ** 31;
  }
}

/** Sizes of the weights: 4 to 16 MB each, and the head as one of its own. */
function cut(bytes, head) {
  const sizes = [];
  for (let left = bytes - head, i = 0; left > 0; left -= sizes.at(-1), i++) sizes.push(Math.min(left, [4, 8, 16, 12][i % 4] * MB));
  return head ? [...sizes, head] : sizes;
}

const topology = () => ({ class_name: 'Sequential', config: { name: 'bench', layers: [] }, keras_version: 'tfjs-layers 4.22.0', backend: 'tensor_flow.js' });

/** ModelArtifacts without bytes. */
export function header(bytes, { head = 0 } = {}) {
  const weightSpecs = cut(bytes, head).map((size, i) => ({ name: `layer_${i}/kernel`, shape: [size / 4], dtype: 'float32' }));
  return { modelTopology: topology(), format: 'layers-model', generatedBy: 'TensorFlow.js tfjs-layers v4.22.0', convertedBy: null, weightSpecs };
}

/** ModelArtifacts with `bytes` bytes of weights, the last `head` of them a weight of their own. */
export function modelOf(bytes, options) {
  const weightData = new ArrayBuffer(bytes);
  fill(new Float32Array(weightData));
  return { ...header(bytes, options), weightData };
}

let stamps = 0;

/** Makes another model of it, from byte `from` on: no two saves have a shard in common. */
export function stamp({ weightData }, from = 0) {
  const floats = new Float32Array(weightData);
  stamps += 1;
  for (let at = Math.ceil(from / STEP) * STEP; at < weightData.byteLength; at += STEP) floats[at / 4] = stamps;
}

/** Throws unless these are the weights: by length and stamps, without reading them all. */
export function check(loaded, artifacts) {
  const expected = new Uint8Array(artifacts.weightData);
  let start = 0;
  for (const piece of [loaded].flat()) {
    const bytes = new Uint8Array(piece);
    for (let at = Math.ceil(start / STEP) * STEP; at < start + bytes.length; at += STEP) {
      for (let i = at; i < Math.min(at + 4, start + bytes.length); i++) {
        if (bytes[i - start] !== expected[i]) throw new Error(`byte ${i} is another one`);
      }
    }
    start += bytes.length;
  }
  if (start !== expected.length) throw new Error(`${start} bytes of weights instead of ${expected.length}`);
}
