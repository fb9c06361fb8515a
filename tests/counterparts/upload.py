"""The server of TF.js's own example, for uploads: rebuilds the Keras model that was sent and says what it is.

Prints its URL as a line of JSON when it is ready; ends with SIGTERM.
  POST, PUT /upload    the model: its summary, its predictions for the JSON inputs in the query `inputs`, and how it was sent
  POST, PUT /guarded   the same behind `Authorization: Bearer let-me-in`
  POST, PUT /echo      how it was sent, whatever it is
  any /status/CODE     that status, with a body
"""
import json
import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import numpy
import tensorflowjs
from flask import Flask, Response, jsonify, request
from flask_cors import CORS
from werkzeug.serving import make_server

app = Flask(__name__)
CORS(app, supports_credentials=True)


def how_it_was_sent():
    parts = [
        {"field": field, "filename": part.filename, "type": part.content_type, "bytes": len(part.read())}
        for field, part in request.files.items(multi=True)
    ]
    for part in request.files.values():
        part.seek(0)
    headers = {name: request.headers.get(name) for name in ("X-Key", "Authorization") if name in request.headers}
    return {"method": request.method, "parts": parts, "fields": list(request.form), "headers": headers,
            "cookies": dict(request.cookies)}


@app.route("/upload", methods=["POST", "PUT"])
def upload():
    weights = request.files["model.weights.bin"].read()
    text = request.files["model.json"].read()
    # TF.js's example asks for a name scope as well, which today's tf_keras does not put into the names of weights.
    model = tensorflowjs.converters.deserialize_keras_model(text, weight_data=[weights])
    lines = []
    model.summary(print_fn=lines.append)
    inputs = json.loads(request.args.get("inputs", "null"))
    predictions = None if inputs is None else model.predict(numpy.array(inputs, "float32"), verbose=0).tolist()
    request.files["model.json"].seek(0)
    request.files["model.weights.bin"].seek(0)
    return jsonify(summary="\n".join(lines), predictions=predictions, json=text.decode(), **how_it_was_sent())


@app.route("/guarded", methods=["POST", "PUT"])
def guarded():
    if request.headers.get("Authorization") != "Bearer let-me-in":
        return Response("who are you?", 401)
    return upload()


@app.route("/echo", methods=["POST", "PUT"])
def echo():
    return jsonify(how_it_was_sent())


@app.route("/status/<int:code>", methods=["GET", "POST", "PUT"])
def status(code):
    return Response(f"this is what {code} looks like", code)


if __name__ == "__main__":
    server = make_server("127.0.0.1", 0, app, threaded=True)
    print(json.dumps({"url": f"http://127.0.0.1:{server.port}"}), flush=True)
    server.serve_forever()
