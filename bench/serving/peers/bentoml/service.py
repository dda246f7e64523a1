"""ONNX Runtime behind BentoML, in one thread; one worker, and every model at its own path."""

import os

import bentoml
import numpy
import onnxruntime


def session(name: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(
        f"{os.environ['MODELS']}/{name}.onnx", options, providers=["CPUExecutionProvider"]
    )


@bentoml.service(workers=1, metrics={"enabled": False}, logging={"access": {"enabled": False}})
class Onnx:
    def __init__(self) -> None:
        self.sessions = {
            file.removesuffix(".onnx"): session(file.removesuffix(".onnx"))
            for file in os.listdir(os.environ["MODELS"])
            if file.endswith(".onnx")
        }

    @bentoml.api
    def predict(self, model: str, data: numpy.ndarray) -> numpy.ndarray:
        return self.sessions[model].run(None, {"X": data.astype(numpy.float32, copy=False)})[0]
