// Legal artifacts off the beaten track, for the page: what real models seldom show.
import { graphArtifacts } from './models.mjs';
import { noise, numbers } from './bytes.mjs';

const head = { format: 'layers-model', generatedBy: 'tests', convertedBy: null };
const topology = (name) => ({
  class_name: 'Model', config: { name, layers: [] }, keras_version: 'tfjs-layers 4.22.0', backend: 'tensor_flow.js',
});
const floats = (name, ...shape) => ({ name, shape, dtype: 'float32' });

async function allDtypes() {
  const tensors = {
    float32: tf.tensor(numbers(1, 6), [2, 3]),
    int32: tf.tensor([-1, 2 ** 31 - 1, -(2 ** 31)], [3], 'int32'),
    bool: tf.tensor([true, false, true, true, false], [5], 'bool'),
    string: tf.tensor(['', 'plain', 'ünï \u{1F600}', 'a\u0000b'], [2, 2], 'string'),
    complex64: tf.complex([1, -2.5, 3], [0.5, 0, -1e-30]),
    scalar: tf.scalar(7, 'int32'),
    'no strings': tf.tensor([], [0, 2], 'string'),
    'no elements': tf.tensor([], [0, 3]),
    float32b: tf.tensor([1.5, -0, 3.4e38]), // stands at an odd address, after bool and string
  };
  const { data, specs } = await tf.io.encodeWeights(tensors);
  return { modelTopology: topology('dtypes'), ...head, weightData: data, weightSpecs: specs };
}

function quantised() {
  const weightSpecs = [
    { ...floats('a', 3), quantization: { dtype: 'uint8', min: -0.5, scale: 0.003921568859368563, original_dtype: 'float32' } },
    { ...floats('b', 2, 2), quantization: { dtype: 'uint16', min: 1e-7, scale: 5e-324, original_dtype: 'float32' } },
    { ...floats('c', 3), quantization: { dtype: 'float16', original_dtype: 'float32' } },
    { name: 'd', shape: [2], dtype: 'int32', quantization: { dtype: 'uint8', min: -3, scale: 1 } },
    floats('e', 2),
  ];
  return { modelTopology: topology('quantised'), ...head, weightSpecs, weightData: noise(5, 3 + 8 + 6 + 2 + 8) };
}

function pieces() {
  const whole = noise(6, 48);
  // Cut in the middle of weights and of elements, with an empty piece.
  const weightData = [whole.slice(0, 5), new ArrayBuffer(0), whole.slice(5, 6), whole.slice(6, 48)];
  return { modelTopology: topology('pieces'), ...head, weightData, weightSpecs: [floats('a', 3), floats('b', 3, 3)] };
}

function everyField() {
  return {
    ...graphArtifacts(),
    modelInitializer: { node: [{ name: 'init', op: 'NoOp' }], versions: {} },
    initializerSignature: { outputs: { done: { name: 'init:0' } } },
    userDefinedMetadata: { structuredOutputKeys: ['y'], note: 'ünï' },
    trainingConfig: {
      loss: 'meanSquaredError', metrics: { y: 'acc' },
      optimizer_config: { class_name: 'SGD', config: { learningRate: 0.1 } },
    },
  };
}

function strangeTopology() {
  const modelTopology = {
    z: 1, a: 2, numbers: [1e21, 1e-7, 123456789012345680000, 0.1, 5e-324, 1.0], text: '\u2028"\\</script>\u{1F600}', deep: {},
  };
  let at = modelTopology.deep;
  for (let i = 0; i < 30; i++) at = at.deep = { i };
  return { modelTopology, ...head, weightData: new ArrayBuffer(0), weightSpecs: [] };
}

/**
 * Name -> how they are made, and where TF.js cannot read its own save back: in Local Storage a missing part becomes
 * the text `undefined`.
 */
export const CASES = {
  'every dtype': { make: allDtypes },
  'quantised weights': { make: quantised },
  'weights in pieces': { make: pieces },
  'every field': { make: everyField },
  'a strange topology': { make: strangeTopology },
  'topology only': { make: () => ({ modelTopology: topology('bare'), ...head }), unreadable: ['localstorage'] },
  'weights only': {
    make: () => ({ weightSpecs: [floats('w', 4)], weightData: numbers(7, 4).buffer }), unreadable: ['localstorage'],
  },
};
