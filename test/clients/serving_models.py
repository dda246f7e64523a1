"""Models of scikit-learn, XGBoost, LightGBM and a network of one's own, with what ONNX Runtime itself gives in Python.

As a script: registers them at the server whose address is given, and writes `expected.json` into the directory given.
"""

import json
import sys

import lightgbm
import mlflow
import numpy as np
import onnxruntime
import pandas as pd
import xgboost
from mlflow import MlflowClient
from mlflow.models import infer_signature
from onnx import TensorProto, helper, numpy_helper
from onnxmltools import convert_lightgbm, convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType as ToolsFloat
from skl2onnx import convert_sklearn, to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import SVC

X_IRIS, Y_IRIS = load_iris(return_X_y=True)
X_IRIS = X_IRIS.astype(np.float32)
X_DIABETES, Y_DIABETES = load_diabetes(return_X_y=True)
X_DIABETES = X_DIABETES.astype(np.float32)
NAMES = np.array(["setosa", "versicolor", "virginica"])[Y_IRIS]



def network():
    """Two layers, with weights large enough for MLflow to keep them in a file of their own."""
    rng = np.random.default_rng(7)
    weights = {
        "W1": rng.normal(size=(10, 64)).astype(np.float32),
        "B1": rng.normal(size=64).astype(np.float32),
        "W2": rng.normal(size=(64, 1)).astype(np.float32),
    }
    graph = helper.make_graph(
        [
            helper.make_node("Gemm", ["X", "W1", "B1"], ["h"]),
            helper.make_node("Relu", ["h"], ["r"]),
            helper.make_node("MatMul", ["r", "W2"], ["Y"]),
        ],
        "network",
        [helper.make_tensor_value_info("X", TensorProto.FLOAT, ["batch", 10])],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, ["batch", 1])],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


def table_model():
    """Columns of text and numbers, each an input of its own."""
    frame = pd.DataFrame(
        {
            "carrier": np.array(["AA", "DL", "UA"])[Y_IRIS],
            "distance": X_IRIS[:, 0],
            "hour": X_IRIS[:, 1],
        }
    )
    columns = ColumnTransformer([("text", OneHotEncoder(), ["carrier"]), ("numbers", StandardScaler(), ["distance", "hour"])])
    model = make_pipeline(columns, LogisticRegression()).fit(frame, Y_IRIS == 1)
    types = [
        ("carrier", StringTensorType([None, 1])),
        ("distance", FloatTensorType([None, 1])),
        ("hour", FloatTensorType([None, 1])),
    ]
    inputs = {
        "carrier": frame[["carrier"]].to_numpy(dtype=object),
        "distance": frame[["distance"]].to_numpy(),
        "hour": frame[["hour"]].to_numpy(),
    }
    return convert_sklearn(model, initial_types=types, target_opset={"": 17, "ai.onnx.ml": 3}), inputs


def models():
    """Name, ONNX model as its tool writes it (ZipMap on), inputs to ask with."""
    iris = {"X": X_IRIS[::7]}
    diabetes = {"X": X_DIABETES[::20]}
    first = [("X", ToolsFloat([None, 4]))]
    tenth = [("X", ToolsFloat([None, 10]))]
    opset = {"target_opset": {"": 17, "ai.onnx.ml": 3}}

    def skl(model, data, target):
        return to_onnx(model.fit(data, target), data[:1], **opset)

    yield "logistic", skl(LogisticRegression(max_iter=500), X_IRIS, Y_IRIS), iris
    yield "logistic-names", skl(LogisticRegression(max_iter=500), X_IRIS, NAMES), iris
    yield "forest", skl(RandomForestClassifier(20, random_state=1), X_IRIS, NAMES), iris
    yield "forest-regressor", skl(RandomForestRegressor(20, random_state=1), X_DIABETES, Y_DIABETES), diabetes
    yield "boosting", skl(GradientBoostingRegressor(random_state=1), X_DIABETES, Y_DIABETES), diabetes
    yield "linear", skl(LinearRegression(), X_DIABETES, Y_DIABETES), diabetes
    yield "vectors", skl(make_pipeline(StandardScaler(), SVC()), X_IRIS, Y_IRIS), iris
    yield "clusters", skl(KMeans(3, n_init=3, random_state=1), X_IRIS, None), iris
    yield "perceptron", skl(MLPClassifier((16,), max_iter=50, random_state=1), X_IRIS, Y_IRIS), iris
    yield "table", *table_model()
    classifier = xgboost.XGBClassifier(n_estimators=10, max_depth=3).fit(X_IRIS, Y_IRIS)
    yield "xgboost", convert_xgboost(classifier, initial_types=first, target_opset=15), iris
    regressor = xgboost.XGBRegressor(n_estimators=10, max_depth=3).fit(X_DIABETES, Y_DIABETES)
    yield "xgboost-regressor", convert_xgboost(regressor, initial_types=tenth, target_opset=15), diabetes
    light = lightgbm.LGBMClassifier(n_estimators=5, verbose=-1).fit(X_IRIS, Y_IRIS)
    yield "lightgbm", convert_lightgbm(light, initial_types=first, target_opset=15), iris
    light = lightgbm.LGBMRegressor(n_estimators=5, verbose=-1).fit(X_DIABETES, Y_DIABETES)
    yield "lightgbm-regressor", convert_lightgbm(light, initial_types=tenth, target_opset=15), diabetes
    yield "network", network(), diabetes


def expected_outputs(model, inputs):
    """By ONNX Runtime in Python; a sequence of maps becomes the matrix of its values."""
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    outputs = dict(zip(names, session.run(None, inputs)))
    for name, value in outputs.items():
        if isinstance(value, list):
            outputs[name] = np.array([list(row.values()) for row in value], dtype=np.float32)
    return outputs


def register(directory):
    """Half of them bare, half through `mlflow.onnx.log_model`. Returns by name the inputs and what they give."""
    client = MlflowClient()
    mlflow.set_experiment("serving")
    registered = {}
    with mlflow.start_run() as run:
        for index, (name, model, inputs) in enumerate(models()):
            expected = expected_outputs(model, inputs)
            registered[name] = (inputs, expected)
            if index % 2 == 0 and name != "network":
                mlflow.log_dict({"of": name}, f"{name}/about.json")
                with open(f"{directory}/model.onnx", "wb") as file:
                    file.write(model.SerializeToString())
                mlflow.log_artifact(f"{directory}/model.onnx", name)
                client.create_registered_model(name)
                client.create_model_version(name, f"runs:/{run.info.run_id}/{name}", run.info.run_id)
            else:
                example = {key: value[:2] for key, value in inputs.items()}
                mlflow.onnx.log_model(
                    model,
                    name=name,
                    registered_model_name=name,
                    signature=infer_signature(example, expected),
                    pip_requirements=["onnxruntime"],
                )
    return registered


def tensors(values):
    """Arrays as JSON, for a client whose environment has neither these tools nor ONNX Runtime."""
    return {name: {"shape": one.shape, "type": one.dtype.kind, "data": one.ravel().tolist()} for name, one in values.items()}


if __name__ == "__main__":
    mlflow.set_tracking_uri(sys.argv[1])
    found = {name: [tensors(part) for part in parts] for name, parts in register(sys.argv[2]).items()}
    with open(f"{sys.argv[2]}/expected.json", "w") as file:
        json.dump(found, file)
