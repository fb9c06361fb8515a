"""Makes tests/fixtures/quantize.txt with the quantizer of TF.js's real converter: run it with .venv/bin/python when it shall change.

A line a case: dtype, min and scale (the bits of a float64; 0 for float16), the float32 numbers and what the converter stores for them,
all of it hexadecimal, little-endian.
"""
import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import numpy
from tensorflowjs import quantization

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "fixtures", "quantize.txt")

random = numpy.random.default_rng(5)
CASES = {
    "as weights are": random.normal(size=300),
    "small": random.normal(size=60) * 1e-3,
    "tiny": random.normal(size=60) * 1e-41,
    "huge": random.normal(size=60) * 1e37,
    "above zero": random.uniform(0.5, 2, size=60),
    "below zero": random.uniform(-7, -0.1, size=60),
    "from zero": numpy.abs(random.normal(size=60)) * (numpy.arange(60) > 0),
    "up to zero": -numpy.abs(random.normal(size=60)) * (numpy.arange(60) > 0),
    "far to one side": random.uniform(-0.001, 1, size=60),
    "steps, so that some lie half way": numpy.arange(-255, 256) / 64,
    "one": [0.3],
    "two": [-1.5, 1e-9],
    "a constant": [-0.1] * 7,
    "zeros": [0.0] * 5,
    "two neighbours": [1.0, numpy.nextafter(numpy.float32(1), numpy.float32(2))],
}
# What only float16 takes: around each step of its exponent, half ways, subnormal and infinite numbers. Not what becomes infinite: we refuse that.
steps = numpy.float32(2.0) ** numpy.arange(-27, 16, dtype="float32")
edges = numpy.concatenate([steps * numpy.float32(1 + k / 4096) for k in (0, 1, 2, 3, 5, 6, 7, 4093, 4094, 4095)])
edges = edges[edges < 65520]
HALVES = {"edges": numpy.concatenate([edges, -edges, [65504.0, 65519.0, -65519.0, numpy.inf, -numpy.inf, 0.0, -0.0, 1e-45]])}


def bits(number):
    return numpy.array(number, dtype="<f8").tobytes().hex()


def main():
    fits = {name: case for name, case in CASES.items() if name != "huge"}
    with open(OUT, "w") as file:
        for dtype, cases in (("uint8", CASES), ("uint16", CASES), ("float16", fits | HALVES)):
            for case in cases.values():
                data = numpy.array(case, dtype="<f4")
                stored, how = quantization.quantize_weights(data, numpy.dtype(dtype).type)
                parts = [dtype, bits(how.get("min", 0)), bits(how.get("scale", 0)), data.tobytes().hex(), stored.tobytes().hex()]
                file.write(" ".join(parts) + "\n")


main()
