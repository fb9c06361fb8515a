// MobileNet v1 as tf.layers builds it, with random weights: 13 MB of a frozen backbone, and a head that is trained on its features.
import { hex, numbers } from './bytes.mjs';

const [SIDE, CLASSES] = [32, 3]; // the weights are as large whatever the images are
/** Stride and filters of each of its blocks. */
const BLOCKS = [[1, 64], [2, 128], [1, 128], [2, 256], [1, 256], [2, 512], ...Array(5).fill([1, 512]), [2, 1024], [1, 1024]];

/** Without its top, frozen. */
function backbone() {
  const { conv2d, depthwiseConv2d, batchNormalization, reLU, globalAveragePooling2d } = tf.layers;
  const input = tf.input({ shape: [SIDE, SIDE, 3] });
  let seed = 1;
  /** So that neither nothing nor everything comes through, whatever the number of inputs that each unit has. */
  const scaled = (inputs) => tf.initializers.randomNormal({ stddev: Math.sqrt(2 / inputs), seed: seed++ });
  const common = { padding: 'same', useBias: false, trainable: false };
  const after = (layer, from) => reLU({ maxValue: 6 }).apply(batchNormalization({ trainable: false }).apply(layer.apply(from)));
  let x = after(conv2d({ ...common, filters: 32, kernelSize: 3, strides: 2, kernelInitializer: scaled(27) }), input);
  for (const [strides, filters] of BLOCKS) {
    x = after(depthwiseConv2d({ ...common, kernelSize: 3, strides, depthwiseInitializer: scaled(9) }), x);
    x = after(conv2d({ ...common, filters, kernelSize: 1, kernelInitializer: scaled(x.shape[3]) }), x);
  }
  return tf.model({ inputs: input, outputs: globalAveragePooling2d({ dataFormat: 'channelsLast' }).apply(x) });
}

const images = (seed, count) => tf.tensor(numbers(seed, count * SIDE * SIDE * 3), [count, SIDE, SIDE, 3]);

/** The bits of what a model says to two images. */
export const answers = async (model) => hex((await model.predict(images(99, 2)).data()).slice().buffer);

/** Transfer learning: the whole model, `train()` for one epoch of its head, and how many bytes the head has, the optimizer's included. */
export function transferLearning() {
  const body = backbone();
  const layers = [tf.layers.dense({ units: 32, activation: 'relu' }), tf.layers.dense({ units: CLASSES, activation: 'softmax' })];
  const features = tf.input({ shape: [1024] });
  const onTop = (from) => layers.reduce((x, layer) => layer.apply(x), from);
  const head = tf.model({ inputs: features, outputs: onTop(features) });
  const whole = tf.model({ inputs: body.inputs, outputs: onTop(body.outputs[0]) });
  const loss = 'categoricalCrossentropy';
  head.compile({ optimizer: tf.train.adam(0.001), loss });
  whole.compile({ optimizer: head.optimizer, loss });
  const seen = body.predict(images(1, 6)); // once: it is frozen
  const labels = tf.oneHot(tf.tensor1d([0, 1, 2, 0, 1, 2], 'int32'), CLASSES);
  const bytes = (tensors) => tensors.reduce((sum, { size }) => sum + 4 * size, 0);
  return {
    whole,
    train: () => head.fit(seen, labels, { epochs: 1, shuffle: false, verbose: 0 }),
    headBytes: async () => bytes(head.getWeights()) + bytes((await head.optimizer.getWeights()).map(({ tensor }) => tensor)),
    wholeBytes: bytes(body.getWeights()),
  };
}
