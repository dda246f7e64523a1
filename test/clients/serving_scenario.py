"""Asks for predictions with stock clients, against the server whose address is given, and compares them with what
ONNX Runtime itself gives in Python for the same files.

Prints one JSON line per step: {"step", "ok", "error"?, "seconds"}.
"""

import json
import sys
import time
import traceback

import mlflow
import numpy as np
import pandas as pd
import requests
import tritonclient.http as triton
from mlflow.pyfunc.scoring_server.client import ScoringServerClient
from tritonclient.utils import InferenceServerException

from serving_models import X_IRIS, expected_outputs, models, register

STEPS = []
STATE = {}


def step(function):
    STEPS.append(function)
    return function


def agree(actual, expected, name):
    if expected.dtype.kind in "OSU":
        texts = np.array([one.decode() if isinstance(one, bytes) else one for one in actual.ravel()])
        assert (texts == expected.ravel().astype(str)).all(), name
    else:
        np.testing.assert_allclose(actual.reshape(expected.shape), expected, rtol=1e-5, atol=1e-5, err_msg=name)


@step
def registers_models_of_four_tools_bare_and_as_mlflow_models():
    STATE["models"] = register(STATE["directory"])
    assert len(STATE["models"]) == 15


def triton_inputs(inputs, binary):
    datatypes = {"f": "FP32", "O": "BYTES"}
    for name, values in inputs.items():
        one = triton.InferInput(name, list(values.shape), datatypes[values.dtype.kind])
        one.set_data_from_numpy(values, binary_data=binary)
        yield one


def ask_with_triton(name, binary):
    inputs, expected = STATE["models"][name]
    outputs = [triton.InferRequestedOutput(output, binary_data=binary) for output in expected]
    result = STATE["triton"].infer(name, list(triton_inputs(inputs, binary)), outputs=outputs, request_id=f"{name}-1")
    assert result.get_response()["id"] == f"{name}-1"
    for output, value in expected.items():
        agree(result.as_numpy(output), value, f"{name}.{output}")


@step
def tritonclient_predicts_in_json():
    for name in STATE["models"]:
        ask_with_triton(name, binary=False)


@step
def tritonclient_predicts_in_binary():
    for name in STATE["models"]:
        ask_with_triton(name, binary=True)


@step
def tritonclient_predicts_with_packed_bodies():
    inputs, expected = STATE["models"]["linear"]
    for algorithm in ["gzip", "deflate"]:
        result = STATE["triton"].infer(
            "linear",
            list(triton_inputs(inputs, True)),
            request_compression_algorithm=algorithm,
        )
        agree(result.as_numpy("variable"), expected["variable"], algorithm)


@step
def tritonclient_reads_metadata_readiness_repository_and_statistics():
    client = STATE["triton"]
    assert client.is_server_live() and client.is_server_ready()
    assert client.get_server_metadata()["name"] == "ketline"
    assert client.is_model_ready("forest") and client.is_model_ready("forest", "1")
    assert not client.is_model_ready("nobody")
    metadata = client.get_model_metadata("table")
    assert [one["datatype"] for one in metadata["inputs"]] == ["BYTES", "FP32", "FP32"]
    assert metadata["inputs"][0]["shape"] == [-1, 1]
    client.unload_model("forest")
    client.load_model("forest")
    index = {one["name"]: one for one in client.get_model_repository_index()}
    assert index["forest"]["state"] == "READY" and set(STATE["models"]) <= set(index)
    rows = len(X_IRIS[::7])
    stats = client.get_inference_statistics("forest")["model_stats"][0]
    assert stats["inference_count"] == 2 * rows and stats["inference_stats"]["success"]["count"] == 2


@step
def tritonclient_understands_errors():
    one = triton.InferInput("X", [1, 4], "FP64")
    one.set_data_from_numpy(np.zeros((1, 4)))
    for name, fault in [("forest", "FP64; the model takes FP32"), ("nobody", "no registered model")]:
        try:
            STATE["triton"].infer(name, [one])
        except InferenceServerException as error:
            assert fault in error.message(), error
        else:
            raise AssertionError("no error")


def invoke(name, **kwargs):
    return requests.post(f"{STATE['url']}/serving/{name}/invocations", timeout=60, **kwargs)


@step
def requests_predicts_from_tables_and_tensors():
    for name, (inputs, expected) in STATE["models"].items():
        if len(inputs) == 1:
            frame = pd.DataFrame(inputs["X"].astype(float))
            tensors = {"inputs": {"X": inputs["X"].tolist()}}
        else:
            frame = pd.DataFrame({key: value.ravel() for key, value in inputs.items()})
            tensors = {"inputs": {key: value.tolist() for key, value in inputs.items()}}
        frame.columns = [str(column) for column in frame.columns]
        split = {"dataframe_split": frame.to_dict(orient="split")}
        rows = invoke(name, json=split).json()["predictions"]
        csv = invoke(name, data=frame.to_csv(index=False), headers={"content-type": "text/csv"}).json()["predictions"]
        assert rows == csv, name
        by_tensor = invoke(name, json=tensors).json()["predictions"]
        for output, value in expected.items():
            agree(np.array(by_tensor[output]), value, f"{name}.{output}")
            cells = [row[output] for row in rows]
            cells = [list(cell.values()) if isinstance(cell, dict) else cell for cell in cells]
            agree(np.array(cells), value, f"{name}.{output} by row")


@step
def requests_sends_missing_values_as_python_writes_them():
    inputs, _ = STATE["models"]["lightgbm-regressor"]
    rows = inputs["X"].copy()
    rows[0, 3] = np.nan
    model = next(one for name, one, _ in models() if name == "lightgbm-regressor")
    expected = expected_outputs(model, {"X": rows})
    body = json.dumps({"instances": rows.tolist()})
    assert "NaN" in body
    answer = invoke("lightgbm-regressor", data=body, headers={"content-type": "application/json"})
    agree(np.array(answer.json()["predictions"]["variable"]), expected["variable"], "with NaN")


@step
def mlflow_scoring_client_predicts():
    host = STATE["url"].removeprefix("http://")
    name, port = host.split(":")
    client = ScoringServerClient(name, f"{port}/serving/table")
    client.wait_server_ready(timeout=30)
    inputs, expected = STATE["models"]["table"]
    frame = pd.DataFrame({key: value.ravel() for key, value in inputs.items()})
    rows = client.invoke(frame).get_predictions()
    assert (rows["output_label"].to_numpy() == expected["output_label"]).all()


@step
def requests_moves_traffic_and_rolls_back():
    base = f"{STATE['url']}/api/v1/deployments/late"

    def body(name, reason):
        return {"variants": [{"name": "main", "model": name, "version": "1", "weight": 100}], "reason": reason}

    created = requests.put(base, json=body("logistic", "begin"), timeout=60)
    assert created.status_code == 201 and created.headers["etag"] == '"1"'
    stale = requests.put(base, json=body("forest", "next"), headers={"if-match": '"7"'}, timeout=60)
    assert stale.status_code == 412 and stale.headers["content-type"] == "application/problem+json"
    requests.put(base, json=body("logistic-names", "next"), headers={"if-match": '"1"'}, timeout=60).raise_for_status()
    inputs, _ = STATE["models"]["logistic"]
    result = STATE["triton"].infer("late", list(triton_inputs(inputs, True)))
    agree(result.as_numpy("output_label"), STATE["models"]["logistic-names"][1]["output_label"], "after the change")
    requests.post(f"{base}/rollback", json={"reason": "text is not wanted"}, timeout=60).raise_for_status()
    result = STATE["triton"].infer("late", list(triton_inputs(inputs, True)))
    agree(result.as_numpy("output_label"), STATE["models"]["logistic"][1]["output_label"], "after the rollback")
    history = requests.get(f"{base}/revisions", timeout=60).json()["items"]
    assert [one["change"] for one in history] == ["rollback", "change", "create"]


def main(url, directory):
    mlflow.set_tracking_uri(url)
    STATE.update(url=url, directory=directory, triton=triton.InferenceServerClient(url.removeprefix("http://")))
    for function in STEPS:
        started = time.perf_counter()
        result = {"step": function.__name__.replace("_", " "), "ok": True}
        try:
            function()
        except Exception:
            result = {**result, "ok": False, "error": traceback.format_exc()}
        print(json.dumps({**result, "seconds": round(time.perf_counter() - started, 2)}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
