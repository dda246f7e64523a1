"""Asks for predictions with KServe's InferenceRESTClient, against the server whose address is given.

The server has the models `linear` (X [N, 3] FP32 → Y = X · (1, 10, 100) + 0.5) and `echo` (X BYTES → Y, the same).
Prints one JSON line per step: {"step", "ok", "error"?, "seconds"}.
"""

import asyncio
import json
import sys
import time
import traceback

import httpx
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest
from kserve.inference_client import RESTConfig
from kserve.protocol.infer_type import RequestedOutput

STEPS = []
CLIENT = InferenceRESTClient(RESTConfig(protocol="v2", retries=1))
X = np.array([[1, 2, 3], [4, 5, 6]], dtype=np.float32)
Y = np.array([[321.5], [654.5]], dtype=np.float32)


def step(function):
    STEPS.append(function)
    return function


def request_of(values, datatype, binary, name="X", outputs=None):
    one = InferInput(name, list(values.shape), datatype)
    one.set_data_from_numpy(values, binary_data=binary)
    return InferRequest("linear", [one], request_id="k-1", request_outputs=outputs)


@step
async def kserve_predicts_in_json(url):
    response = await CLIENT.infer(url, request_of(X, "FP32", False), model_name="linear")
    assert response.id == "k-1" and response.model_name == "linear"
    np.testing.assert_array_equal(response.outputs[0].as_numpy(), Y)


@step
async def kserve_predicts_in_binary(url):
    outputs = [RequestedOutput("Y", parameters={"binary_data": True})]
    headers = {}
    response = await CLIENT.infer(
        url, request_of(X, "FP32", True, outputs=outputs), model_name="linear", response_headers=headers
    )
    np.testing.assert_array_equal(response.outputs[0].as_numpy(), Y)
    assert headers["content-type"] == "application/octet-stream"
    assert headers["ketline-model-version"] == "1"


@step
async def kserve_sends_text(url):
    values = np.array(["été", ""], dtype=object)
    for binary in [False, True]:
        response = await CLIENT.infer(url, request_of(values, "BYTES", binary), model_name="echo")
        texts = [one.decode() if isinstance(one, bytes) else one for one in response.outputs[0].as_numpy()]
        assert texts == ["été", ""], texts


@step
async def kserve_sends_a_dict(url):
    body = {"inputs": [{"name": "X", "shape": [2, 3], "datatype": "FP32", "data": X.tolist()}]}
    response = await CLIENT.infer(url, body, model_name="linear")
    np.testing.assert_array_equal(response.outputs[0].as_numpy(), Y)


@step
async def kserve_probes(url):
    assert await CLIENT.is_server_live(url)
    assert await CLIENT.is_server_ready(url)
    assert await CLIENT.is_model_ready(url, "linear")


@step
async def kserve_shows_what_was_wrong(url):
    try:
        await CLIENT.infer(url, request_of(X.astype(np.float64), "FP64", False), model_name="linear")
    except httpx.HTTPStatusError as error:
        assert "FP64; the model takes FP32" in str(error), error
        assert error.response.status_code == 400
    else:
        raise AssertionError("no error")


async def main(url):
    for function in STEPS:
        started = time.perf_counter()
        result = {"step": function.__name__.replace("_", " "), "ok": True}
        try:
            await function(url)
        except Exception:
            result = {**result, "ok": False, "error": traceback.format_exc()}
        print(json.dumps({**result, "seconds": round(time.perf_counter() - started, 2)}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
