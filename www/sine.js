// The model of the page: a small network that learns a sine with TensorFlow.js.
const { tf } = globalThis;

export const inputs = Array.from({ length: 61 }, (_, i) => i / 30 - 1);
export const truth = (x) => Math.sin(Math.PI * x);

/** A network for a sine. Of the large one only the last layer learns: the others are random features of the input. */
function network(units) {
  const large = units > 100;
  const random = () => (large ? tf.initializers.randomUniform({ minval: -4, maxval: 4 }) : undefined);
  const first = { inputShape: [1], kernelInitializer: random(), biasInitializer: random() };
  const model = tf.sequential({
    layers: [
      tf.layers.dense({ units, activation: 'tanh', trainable: !large, ...first }),
      tf.layers.dense({ units, activation: 'tanh', trainable: !large }),
      tf.layers.dense({ units: 1 }),
    ],
  });
  model.compile({ optimizer: tf.train.adam(large ? 0.003 : 0.03), loss: 'meanSquaredError' });
  return { model, epochs: large ? 40 : 250 };
}

/** Learns one period of a sine. `onEpoch(fraction, loss)` is called as it goes. */
export async function train(units, onEpoch) {
  const { model, epochs } = network(units);
  const points = Array.from({ length: 16 }, (_, i) => i / 7.5 - 1);
  const xs = tf.tensor2d(points, [16, 1]);
  const ys = tf.tensor2d(points.map(truth), [16, 1]);
  let loss;
  const onEpochEnd = (epoch, logs) => { loss = logs.loss; onEpoch((epoch + 1) / epochs, loss); };
  await model.fit(xs, ys, { epochs, batchSize: 16, callbacks: { onEpochEnd } });
  tf.dispose([xs, ys]);
  return { model, loss, epochs };
}

export function predict(model) {
  return tf.tidy(() => model.predict(tf.tensor2d(inputs, [inputs.length, 1])).dataSync().slice());
}
