"""What MLflow's stock client does with large artifacts: in parts, through the links that Ketline hands out.

Arguments: the server's address, and a seed for the content. Environment: MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE and MLFLOW_MULTIPART_*_CHUNK_SIZE
small, and MLFLOW_ENABLE_PROXY_MULTIPART_* as the case needs it.
Prints one JSON line per step, {"step", "ok", "error"?}, and at the end {"requests": {...}}: how often each way was taken.
"""

import collections
import hashlib
import json
import os
import random
import sys
import tempfile
import traceback

import mlflow
import requests

mlflow.set_tracking_uri(sys.argv[1])
SEED = int(sys.argv[2])
CLIENT = mlflow.MlflowClient()
RUN = CLIENT.create_run("0").info.run_id
STEPS = []
REQUESTS = collections.Counter()


def kind_of(url):
    if "comp=block&" in url:
        return "part"
    if "sig=" in url:
        return "signed download"
    for name in ("mpu/create", "mpu/complete", "mpu/abort", "presigned"):
        if f"mlflow-artifacts/{name}" in url:
            return name
    return "stream" if "mlflow-artifacts/artifacts/" in url else "other"


def counted(send):
    """Sees every request of the client, and changes none."""

    def wrapper(self, request, **kwargs):
        REQUESTS[kind_of(request.url)] += 1
        return send(self, request, **kwargs)

    return wrapper


requests.adapters.HTTPAdapter.send = counted(requests.adapters.HTTPAdapter.send)


def step(function):
    STEPS.append(function)
    return function


def write(path, size):
    content = random.Random(SEED).randbytes(size)
    with open(path, "wb") as file:
        file.write(content)
    return hashlib.sha256(content).hexdigest()


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


@step
def uploads_a_large_file_and_gets_the_same_bytes_back():
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "large é.bin")
        expected = write(path, 60 * 1024 * 1024 + 7)
        CLIENT.log_artifact(RUN, path, "models")
        [listed] = CLIENT.list_artifacts(RUN, "models")
        assert listed.file_size == 60 * 1024 * 1024 + 7, listed
        fetched = CLIENT.download_artifacts(RUN, "models/large é.bin", directory)
        assert digest(fetched) == expected


@step
def uploads_a_small_file_in_one_piece():
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "small.bin")
        expected = write(path, 1000)
        CLIENT.log_artifact(RUN, path)
        assert digest(CLIENT.download_artifacts(RUN, "small.bin", directory)) == expected


for function in STEPS:
    result = {"step": function.__name__.replace("_", " "), "ok": True}
    try:
        function()
    except BaseException:
        result = {**result, "ok": False, "error": traceback.format_exc()}
    print(json.dumps(result), flush=True)
print(json.dumps({"requests": REQUESTS}), flush=True)
