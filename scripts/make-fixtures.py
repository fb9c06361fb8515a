"""Makes tests/fixtures/converter/ with TF.js's real converter: run it with .venv/bin/python when they shall change.

Small models in shards of a few hundred bytes, so that weights straddle shards; each folder has an `expected.json` with inputs and
what Keras predicts for them.
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import numpy
import tensorflow as tf
import tf_keras as keras

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "..", "tests", "fixtures", "converter")
CONVERTER = os.path.join(os.path.dirname(sys.executable), "tensorflowjs_converter")

FIXTURES = {  # folder -> options of the converter
    "layers": ["--output_format=tfjs_layers_model"],
    "layers-uint8": ["--output_format=tfjs_layers_model", "--quantize_uint8=*"],
    "layers-uint16": ["--output_format=tfjs_layers_model", "--quantize_uint16=*"],
    "layers-float16": ["--output_format=tfjs_layers_model", "--quantize_float16=*"],
    "graph": ["--output_format=tfjs_graph_model"],
}


def network():
    keras.utils.set_random_seed(7)
    model = keras.Sequential([
        keras.layers.Dense(12, activation="relu", input_shape=(4,), name="first"),
        keras.layers.BatchNormalization(name="norm"),
        keras.layers.Dense(9, activation="sigmoid", name="second"),
        keras.layers.Dense(3, activation="softmax", name="last"),
    ])
    model.compile("sgd", "categorical_crossentropy")
    xs = numpy.random.default_rng(1).normal(size=(32, 4)).astype("float32")
    ys = numpy.eye(3, dtype="float32")[numpy.arange(32) % 3]
    model.fit(xs, ys, epochs=3, verbose=0)
    return model


def main():
    model = network()
    inputs = numpy.random.default_rng(2).normal(size=(5, 4)).astype("float32")
    expected = {"inputs": inputs.tolist(), "predictions": model.predict(inputs, verbose=0).tolist()}
    shutil.rmtree(OUT, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        h5, saved_model = os.path.join(folder, "m.h5"), os.path.join(folder, "saved")
        model.save(h5)
        tf.saved_model.save(model, saved_model)
        for name, options in FIXTURES.items():
            is_graph = name == "graph"
            source = [saved_model, "--input_format=tf_saved_model"] if is_graph else [h5, "--input_format=keras"]
            to = os.path.join(OUT, name)
            subprocess.run([CONVERTER, source[1], *options, "--weight_shard_size_bytes=300", source[0], to], check=True)
            with open(os.path.join(to, "expected.json"), "w") as file:
                json.dump(expected, file)


main()
