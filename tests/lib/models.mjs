// Models that real TF.js builds and trains in the page, and what they say: predictions and weights, bit for bit.
import { hex, join, numbers, random } from './bytes.mjs';

const layersOf = () => globalThis.tf.layers;

function sequential() {
  const { dense } = layersOf();
  return tf.sequential({ layers: [
    dense({ units: 8, activation: 'relu', inputShape: [4] }),
    dense({ units: 3, activation: 'softmax' }),
  ] });
}

function functional() {
  const { dense, concatenate } = layersOf();
  const left = tf.input({ shape: [4], name: 'left' });
  const right = tf.input({ shape: [2], name: 'right' });
  const joined = concatenate().apply([dense({ units: 3 }).apply(left), dense({ units: 3, activation: 'tanh' }).apply(right)]);
  return tf.model({ inputs: [left, right], outputs: dense({ units: 2, activation: 'sigmoid' }).apply(joined) });
}

function cnn() {
  const { conv2d, batchNormalization, maxPooling2d, flatten, dense } = layersOf();
  return tf.sequential({ layers: [
    conv2d({ inputShape: [6, 6, 2], filters: 4, kernelSize: 3, activation: 'relu' }),
    batchNormalization(), // its moving averages are not trainable: they stand at the end of the weights
    maxPooling2d({ poolSize: 2 }),
    flatten(),
    dense({ units: 2, activation: 'softmax' }),
  ] });
}

function lstm() {
  const { lstm: layer, dense } = layersOf();
  return tf.sequential({ layers: [layer({ units: 5, inputShape: [4, 3] }), dense({ units: 1 })] });
}

function embedding() {
  const { embedding: layer, globalAveragePooling1d, dense } = layersOf();
  return tf.sequential({ layers: [
    layer({ inputDim: 10, outputDim: 4, inputLength: 5 }),
    globalAveragePooling1d(),
    dense({ units: 2, activation: 'softmax' }),
  ] });
}

/** Kind of model -> how it is built, what it is saved with. */
export const KINDS = {
  sequential: { build: sequential },
  functional: { build: functional },
  cnn: { build: cnn },
  lstm: { build: lstm },
  embedding: { build: embedding, integers: 10 },
  optimizer: { build: sequential, save: { includeOptimizer: true } },
  metadata: {
    build: sequential,
    metadata: {
      note: 'ünï \u{1F600} "quoted"', labels: ['a', 'b'], deep: { b: 1, a: [0.1, 1e21, -5e-324, null, true] }, 7: 'seven',
    },
  },
  graph: { graph: true },
};

/** Inputs (or targets) of the shape of the model's, the same for the same seed. */
function tensorsFor(symbolic, seed, integers) {
  return symbolic.map(({ shape }, i) => {
    const full = [6, ...shape.slice(1)];
    const size = full.reduce((a, b) => a * b, 1);
    const values = numbers(seed + i, size);
    return tf.tensor(integers ? values.map((v) => Math.floor(Math.abs(v) * integers)) : values, full);
  });
}

const alone = (list) => (list.length === 1 ? list[0] : list);

async function train(model, { integers }) {
  const random01 = random(1);
  model.setWeights(model.getWeights().map((w) => tf.tensor(Array.from({ length: w.size }, random01), w.shape)));
  model.compile({ optimizer: tf.train.adam(0.01), loss: 'meanSquaredError', metrics: ['mae'] });
  const xs = tensorsFor(model.inputs, 10, integers);
  const ys = tensorsFor(model.outputs, 20);
  await model.fit(alone(xs), alone(ys), { epochs: 2, batchSize: 3, shuffle: false, verbose: 0 });
}

/** A graph model as the converter writes it, small: y = relu(x W + b). */
export function graphArtifacts() {
  const float = { type: 'DT_FLOAT' };
  const dims = (...sizes) => ({ dim: sizes.map((size) => ({ size: String(size) })) });
  const constant = (name, ...sizes) => ({
    name, op: 'Const', attr: { dtype: float, value: { tensor: { dtype: 'DT_FLOAT', tensorShape: dims(...sizes) } } },
  });
  const node = [
    { name: 'x', op: 'Placeholder', attr: { dtype: float, shape: { shape: dims(-1, 4) } } },
    constant('w', 4, 3),
    constant('b', 3),
    { name: 'xw', op: 'MatMul', input: ['x', 'w'], attr: { T: float, transpose_a: { b: false }, transpose_b: { b: false } } },
    { name: 'xwb', op: 'BiasAdd', input: ['xw', 'b'], attr: { T: float, data_format: { s: 'TkhXQw==' } } },
    { name: 'y', op: 'Relu', input: ['xwb'], attr: { T: float } },
  ];
  const tensor = (name, ...sizes) => ({ name: `${name}:0`, dtype: 'DT_FLOAT', tensorShape: dims(...sizes) });
  return {
    modelTopology: { node, library: {}, versions: { producer: 1, minConsumer: 0 } },
    format: 'graph-model',
    generatedBy: '2.15.0',
    convertedBy: 'TensorFlow.js Converter v4.22.0',
    signature: { inputs: { x: tensor('x', -1, 4) }, outputs: { y: tensor('y', -1, 3) } },
    weightSpecs: [{ name: 'w', shape: [4, 3], dtype: 'float32' }, { name: 'b', shape: [3], dtype: 'float32' }],
    weightData: numbers(30, 15).buffer,
  };
}

/** A trained model of the kind. */
export async function build(kind) {
  const recipe = KINDS[kind];
  if (recipe.graph) return tf.loadGraphModel(tf.io.fromMemory(graphArtifacts()));
  const model = recipe.build();
  await train(model, recipe);
  if (recipe.metadata) model.setUserDefinedMetadata(recipe.metadata);
  return model;
}

const bits = async (tensor) => hex((await tensor.data()).slice().buffer);

/** The bits of the predictions for fixed inputs. */
export async function predict(kind, model) {
  const inputs = KINDS[kind].graph ? [tf.tensor(numbers(10, 24), [6, 4])] : tensorsFor(model.inputs, 10, KINDS[kind].integers);
  return Promise.all([model.predict(alone(inputs))].flat().map(bits));
}

/** All that a model knows: weights with names, optimizer state, metadata. */
export async function knowledge(kind, model) {
  if (KINDS[kind].graph) {
    const weights = Object.entries(model.weights).map(async ([name, [tensor]]) => [name, tensor.shape, await bits(tensor)]);
    return { weights: await Promise.all(weights), signature: model.modelSignature };
  }
  const names = [...model.trainableWeights, ...model.nonTrainableWeights].map((w) => w.originalName);
  const { optimizer } = model;
  const state = optimizer ? await optimizer.getWeights() : [];
  return {
    names,
    weights: await Promise.all(model.getWeights().map(async (w) => [w.shape, w.dtype, await bits(w)])),
    optimizer: await Promise.all(state.map(async ({ name, tensor }) => [name, tensor.shape, await bits(tensor)])),
    metadata: model.getUserDefinedMetadata() ?? null,
  };
}

/** What `decodeWeights` of TF.js makes of the artifacts: name, dtype and values of each weight. */
export function decoded({ weightData, weightSpecs }) {
  const tensors = tf.io.decodeWeights(join(weightData), weightSpecs);
  return Object.entries(tensors).map(([name, t]) => [name, t.dtype, t.shape, Array.from(t.dataSync())]);
}

/** One more epoch, of a model of kind `optimizer`, with the optimizer that it was loaded with. */
export async function goOnTraining(model) {
  const xs = tensorsFor(model.inputs, 40);
  const ys = tensorsFor(model.outputs, 50);
  await model.fit(alone(xs), alone(ys), { epochs: 1, batchSize: 3, shuffle: false, verbose: 0 });
}
