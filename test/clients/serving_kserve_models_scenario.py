"""Asks the models of `serving_models.py` for predictions with KServe's InferenceRESTClient, against the server whose
address is given, and compares them with what ONNX Runtime gave (`expected.json` in the directory given).

Prints one JSON line per step: {"step", "ok", "error"?, "seconds"}.
"""

import asyncio
import json
import sys
import time
import traceback

import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest
from kserve.inference_client import RESTConfig
from kserve.protocol.infer_type import RequestedOutput

CLIENT = InferenceRESTClient(RESTConfig(protocol="v2", retries=1))
DATATYPES = {"f": ("FP32", np.float32), "O": ("BYTES", object)}


async def ask(url, name, inputs, expected, binary):
    sent = []
    for key, one in inputs.items():
        datatype, dtype = DATATYPES[one["type"]]
        tensor = InferInput(key, one["shape"], datatype)
        tensor.set_data_from_numpy(np.array(one["data"], dtype=dtype).reshape(one["shape"]), binary_data=binary)
        sent.append(tensor)
    wanted = [RequestedOutput(output, parameters={"binary_data": binary}) for output in expected]
    response = await CLIENT.infer(url, InferRequest(name, sent, request_outputs=wanted), model_name=name)
    outputs = {one.name: one.as_numpy() for one in response.outputs}
    assert outputs.keys() == expected.keys(), (name, outputs.keys())
    for key, one in expected.items():
        actual = outputs[key].ravel()
        if one["type"] in "OSU":
            assert [text.decode() if isinstance(text, bytes) else text for text in actual] == one["data"], (name, key)
        else:
            np.testing.assert_allclose(actual, one["data"], rtol=1e-5, atol=1e-5, err_msg=f"{name}.{key}")


async def main(url, directory):
    with open(f"{directory}/expected.json") as file:
        models = json.load(file)
    for name, (inputs, expected) in models.items():
        started = time.perf_counter()
        result = {"step": f"kserve asks {name} in json and in binary", "ok": True}
        try:
            for binary in [False, True]:
                await ask(url, name, inputs, expected, binary)
        except Exception:
            result = {**result, "ok": False, "error": traceback.format_exc()}
        print(json.dumps({**result, "seconds": round(time.perf_counter() - started, 2)}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
