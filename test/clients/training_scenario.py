"""Loads a model that Ketline trained, as any client of MLflow does. Arguments: the server's address, the model's URI."""

import json
import sys

import mlflow
import onnx
import pandas as pd

mlflow.set_tracking_uri(sys.argv[1])
uri = sys.argv[2]

frame = pd.DataFrame(
    {
        "distance": [500.0, 2000.0, float("nan")],
        "origin": ["ORD", "", "nowhere"],
        "destination": ["SFO", "SFO", ""],
        "hour": [18.0, 5.0, 12.0],
        "dayOfWeek": [5.0, 1.0, 7.0],
    }
)

graph = mlflow.onnx.load_model(uri)
onnx.checker.check_model(graph, full_check=True)

model = mlflow.pyfunc.load_model(uri)
predicted = model.predict(frame)
example = model.input_example

print(
    json.dumps(
        {
            "probabilities": predicted["probabilities"].tolist(),
            "labels": predicted["label"].tolist(),
            "example": [len(model.predict(example)["label"]), sorted(example)],
            "inputs": [i.name for i in model.metadata.signature.inputs],
        }
    )
)
