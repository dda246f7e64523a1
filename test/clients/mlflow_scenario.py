"""What a data scientist does with MLflow's stock client, step by step, against the server whose address is given.

Prints one JSON line per step: {"step", "ok", "error"?, "seconds"}. Each step stands alone or says what it needs.
"""

import json
import math
import multiprocessing
import os
import queue
import sys
import tempfile
import threading
import time
import traceback
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

# The libraries of models are imported by the steps that need them: the eight processes below import this file again.

STEPS = []
STATE = {}
MAJOR = int(mlflow.__version__.split(".")[0])


def step(function=None, *, since=2):
    """Marks a step; `since` is the first major version of MLflow that knows what it does."""
    if function is None:
        return lambda decorated: step(decorated, since=since)
    if since <= MAJOR:
        STEPS.append(function)
    return function


def named(name):
    """MLflow 3 logs a model under a name, MLflow 2 at a path of the run."""
    return {"name": name} if MAJOR >= 3 else {"artifact_path": name}


def raises(error_code, call):
    try:
        call()
    except MlflowException as error:
        assert error.error_code == error_code, f"{error.error_code}: {error}"
        return str(error)
    raise AssertionError(f"no {error_code} was raised")


@step
def sets_an_experiment_and_finds_it_again():
    experiment = mlflow.set_experiment("flights")
    assert experiment.artifact_location == f"mlflow-artifacts:/{experiment.experiment_id}"
    assert mlflow.set_experiment("flights").experiment_id == experiment.experiment_id
    client = MlflowClient()
    client.set_experiment_tag(experiment.experiment_id, "team", "delays")
    found = client.search_experiments(filter_string="tags.team = 'delays' and name LIKE 'fli%'")
    assert [one.name for one in found] == ["flights"]
    assert client.get_experiment_by_name("no such") is None
    raises("RESOURCE_ALREADY_EXISTS", lambda: client.create_experiment("flights"))


@step
def logs_a_run_with_params_metrics_and_tags():
    with mlflow.start_run(run_name="first", tags={"kind": "demo"}) as run:
        mlflow.log_param("depth", 3)
        mlflow.log_params({"rate": 0.1, "note": "ünïcode ✓"})
        mlflow.log_metric("loss", 0.5, step=1)
        mlflow.log_metric("loss", 0.25, step=2)
        mlflow.log_metrics({"accuracy": 0.9, "auc": 0.8}, step=2)
        mlflow.set_tag("stage", "test")
        mlflow.set_tags({"a/b": "1", "c d": "2"})
        mlflow.set_tag("gone", "x")
        mlflow.delete_tag("gone")
    STATE["run_id"] = run.info.run_id
    read = mlflow.get_run(run.info.run_id)
    assert read.info.status == "FINISHED" and read.info.run_name == "first"
    assert read.info.end_time >= read.info.start_time
    assert read.data.params == {"depth": "3", "rate": "0.1", "note": "ünïcode ✓"}
    assert read.data.metrics == {"loss": 0.25, "accuracy": 0.9, "auc": 0.8}
    assert read.data.tags["a/b"] == "1" and read.data.tags["mlflow.runName"] == "first"
    assert "gone" not in read.data.tags
    history = MlflowClient().get_metric_history(run.info.run_id, "loss")
    assert [(one.step, one.value) for one in history] == [(1, 0.5), (2, 0.25)]


@step
def keeps_nan_and_infinities():
    with mlflow.start_run() as run:
        mlflow.log_metric("nan", float("nan"))
        mlflow.log_metrics({"up": float("inf"), "down": float("-inf")})
    metrics = mlflow.get_run(run.info.run_id).data.metrics
    assert math.isnan(metrics["nan"])
    assert metrics["up"] == sys.float_info.max and metrics["down"] == -sys.float_info.max


@step
def refuses_to_change_a_param():
    client = MlflowClient()
    client.log_param(STATE["run_id"], "depth", 3)
    message = raises("INVALID_PARAMETER_VALUE", lambda: client.log_param(STATE["run_id"], "depth", 4))
    assert "Changing param values is not allowed" in message


@step
def resumes_and_nests_runs():
    with mlflow.start_run(run_name="parent") as parent:
        with mlflow.start_run(run_name="child", nested=True) as child:
            mlflow.log_metric("m", 1)
    assert mlflow.get_run(child.info.run_id).data.tags["mlflow.parentRunId"] == parent.info.run_id
    with mlflow.start_run(run_id=parent.info.run_id):
        mlflow.log_metric("later", 2)
    read = mlflow.get_run(parent.info.run_id)
    assert read.data.metrics["later"] == 2 and read.info.status == "FINISHED"


@step
def logs_inputs():
    import pandas as pd

    frame = pd.DataFrame({"x": [1.0, 2.0], "y": [0, 1]})
    dataset = mlflow.data.from_pandas(frame, source="flights.csv", name="flights", targets="y")
    with mlflow.start_run() as run:
        mlflow.log_input(dataset, context="training")
    logged = mlflow.get_run(run.info.run_id).inputs.dataset_inputs[0]
    assert logged.dataset.name == "flights" and logged.tags[0].value == "training"
    found = mlflow.search_runs(filter_string="datasets.name = 'flights'", output_format="list")
    assert [one.info.run_id for one in found] == [run.info.run_id]


@step
def searches_runs_as_a_data_frame():
    frame = mlflow.search_runs(
        filter_string="metrics.accuracy > 0.5 and params.depth = '3' and tags.`c d` = '2' and attributes.status = 'FINISHED'",
        order_by=["metrics.loss DESC", "start_time"],
    )
    assert list(frame["run_id"]) == [STATE["run_id"]], frame
    assert frame["metrics.loss"][0] == 0.25
    raises("INVALID_PARAMETER_VALUE", lambda: mlflow.search_runs(filter_string="metrics.a > 1 OR metrics.b > 1"))


@step
def pages_through_many_runs():
    client = MlflowClient()
    experiment_id = client.create_experiment("pages")
    made = [client.create_run(experiment_id, start_time=1000 + index).info.run_id for index in range(25)]
    seen, token = [], None
    while True:
        page = client.search_runs([experiment_id], max_results=10, page_token=token)
        seen += [run.info.run_id for run in page]
        token = page.token
        if not token:
            break
    assert seen == made[::-1]
    raises("INVALID_PARAMETER_VALUE", lambda: client.search_runs([experiment_id], page_token="garbage"))


@step
def deletes_and_restores():
    client = MlflowClient()
    experiment_id = client.create_experiment("to delete")
    run_id = client.create_run(experiment_id).info.run_id
    client.delete_run(run_id)
    assert client.get_run(run_id).info.lifecycle_stage == "deleted"
    assert client.search_runs([experiment_id]) == []
    raises("INVALID_PARAMETER_VALUE", lambda: client.log_metric(run_id, "m", 1))
    client.restore_run(run_id)
    client.delete_experiment(experiment_id)
    assert client.get_experiment(experiment_id).lifecycle_stage == "deleted"
    client.restore_experiment(experiment_id)
    client.rename_experiment(experiment_id, "renamed")
    assert client.get_experiment(experiment_id).name == "renamed"


@step
def stores_and_fetches_artifacts():
    with mlflow.start_run() as run, tempfile.TemporaryDirectory() as directory:
        mlflow.log_dict({"a": 1}, "config/a.json")
        mlflow.log_text("hello ✓", "notes/read me.txt")
        big = Path(directory, "big.bin")
        content = os.urandom(3_000_000)
        big.write_bytes(content)
        Path(directory, "empty").write_bytes(b"")
        mlflow.log_artifacts(directory, "files")
        mlflow.log_table({"x": [1, 2]}, "table.json")
    client = MlflowClient()
    listed = {one.path: (one.is_dir, one.file_size) for one in client.list_artifacts(run.info.run_id)}
    assert listed["config"] == (True, None) and listed["table.json"][0] is False, listed
    files = {one.path: one.file_size for one in client.list_artifacts(run.info.run_id, "files")}
    assert files == {"files/big.bin": 3_000_000, "files/empty": 0}, files
    assert mlflow.artifacts.load_dict(f"runs:/{run.info.run_id}/config/a.json") == {"a": 1}
    assert mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/notes/read me.txt") == "hello ✓"
    with tempfile.TemporaryDirectory() as directory:
        mlflow.artifacts.download_artifacts(run_id=run.info.run_id, dst_path=directory)
        assert Path(directory, "files/big.bin").read_bytes() == content
        assert Path(directory, "files/empty").read_bytes() == b""
    repository = mlflow.store.artifact.artifact_repository_registry.get_artifact_repository(run.info.artifact_uri)
    repository.delete_artifacts("files")
    assert client.list_artifacts(run.info.run_id, "files") == []


@step
def logs_registers_and_loads_a_sklearn_model():
    from mlflow.models import infer_signature
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    features, target = load_iris(return_X_y=True)
    model = LogisticRegression(max_iter=500).fit(features, target)
    with mlflow.start_run() as run:
        mlflow.log_params(model.get_params())
        mlflow.log_metric("accuracy", model.score(features, target))
        info = mlflow.sklearn.log_model(
            model,
            **named("iris"),
            signature=infer_signature(features, model.predict(features)),
            input_example=features[:2],
            registered_model_name="iris",
            pip_requirements=["scikit-learn"],
        )
    assert int(info.registered_model_version) == 1
    STATE["iris"] = (info, run.info.run_id)
    version = MlflowClient().get_model_version("iris", "1")
    assert version.run_id == run.info.run_id and version.current_stage == "None" and version.status == "READY"
    for uri in (info.model_uri, "models:/iris/1", "models:/iris/latest", f"runs:/{run.info.run_id}/iris"):
        loaded = mlflow.pyfunc.load_model(uri)
        assert (loaded.predict(features) == model.predict(features)).all(), uri


@step(since=3)
def finds_the_model_that_was_logged():
    info, run_id = STATE["iris"]
    logged = mlflow.get_logged_model(info.model_id)
    assert logged.status == "READY" and logged.source_run_id == run_id
    assert logged.params["max_iter"] == "500"
    assert [output.model_id for output in mlflow.get_run(run_id).outputs.model_outputs] == [info.model_id]
    found = mlflow.search_logged_models(filter_string="name = 'iris' and metrics.accuracy > 0.9", output_format="list")
    assert [one.model_id for one in found] == [info.model_id]
    assert json.loads(logged.tags["mlflow.modelVersions"])[0]["name"] == "iris"


@step
def autologs_sklearn():
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    features, target = load_iris(return_X_y=True)
    mlflow.sklearn.autolog(log_input_examples=True)
    try:
        with mlflow.start_run() as run:
            LogisticRegression(max_iter=300).fit(features, target)
    finally:
        mlflow.sklearn.autolog(disable=True)
    read = mlflow.get_run(run.info.run_id)
    assert read.data.params["max_iter"] == "300" and read.data.metrics["training_score"] > 0.9
    assert read.inputs.dataset_inputs
    assert MAJOR < 3 or read.outputs.model_outputs


def doubling():
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", "two"], ["y"])],
        "doubling",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 2])],
        [helper.make_tensor("two", TensorProto.FLOAT, [1], [2.0])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@step
def logs_an_onnx_model_and_loads_it_by_alias():
    import numpy as np
    import onnx
    from mlflow.models import infer_signature

    example = np.ones((1, 2), dtype=np.float32)
    with mlflow.start_run():
        for _ in range(2):
            mlflow.onnx.log_model(
                doubling(),
                **named("doubling"),
                signature=infer_signature({"x": example}, {"y": 2 * example}),
                registered_model_name="doubling",
                pip_requirements=["onnxruntime"],
            )
    client = MlflowClient()
    client.set_registered_model_alias("doubling", "champion", "1")
    client.set_registered_model_alias("doubling", "champion", "2")
    assert client.get_model_version_by_alias("doubling", "champion").version == "2"
    assert client.get_registered_model("doubling").aliases == {"champion": "2"}
    loaded = mlflow.onnx.load_model("models:/doubling@champion")
    onnx.checker.check_model(loaded)
    predicted = mlflow.pyfunc.load_model("models:/doubling@champion").predict({"x": example})
    assert (predicted["y"] == 2 * example).all()
    client.delete_registered_model_alias("doubling", "champion")
    raises("INVALID_PARAMETER_VALUE", lambda: client.get_model_version_by_alias("doubling", "champion"))
    raises("INVALID_PARAMETER_VALUE", lambda: client.set_registered_model_alias("doubling", "latest", "1"))


@step
def moves_versions_through_stages():
    import numpy as np

    client = MlflowClient()
    client.transition_model_version_stage("doubling", "1", "production")
    client.transition_model_version_stage("doubling", "2", "Production", archive_existing_versions=True)
    assert client.get_model_version("doubling", "1").current_stage == "Archived"
    latest = client.get_latest_versions("doubling", ["Production"])
    assert [one.version for one in latest] == ["2"]
    assert mlflow.pyfunc.load_model("models:/doubling/Production").predict({"x": np.ones((1, 2), np.float32)}) is not None


@step
def tags_describes_copies_and_searches_the_registry():
    client = MlflowClient()
    client.set_registered_model_tag("iris", "owner", "ada")
    client.set_model_version_tag("iris", "1", "checked", "yes")
    client.update_registered_model("iris", "flowers")
    client.update_model_version("iris", "1", "the first")
    assert client.get_registered_model("iris").description == "flowers"
    assert client.get_model_version("iris", "1").tags == {"checked": "yes"}
    names = [one.name for one in client.search_registered_models("tags.owner = 'ada' and name LIKE 'ir%'")]
    assert names == ["iris"]
    assert [one.name for one in client.search_registered_models(order_by=["name DESC"])] == ["iris", "doubling"]
    versions = client.search_model_versions("name = 'doubling'", order_by=["version_number ASC"])
    assert [one.version for one in versions] == ["1", "2"]
    copied = client.copy_model_version("models:/iris/1", "copy of iris")
    assert copied.version == "1"
    assert mlflow.pyfunc.load_model("models:/copy of iris/1") is not None
    client.rename_registered_model("copy of iris", "iris copy")
    client.delete_model_version("iris copy", "1")
    client.delete_registered_model("iris copy")
    raises("RESOURCE_DOES_NOT_EXIST", lambda: client.get_registered_model("iris copy"))
    client.delete_registered_model_tag("iris", "owner")
    client.delete_model_version_tag("iris", "1", "checked")
    assert client.get_registered_model("iris").tags == {}


@step
def registers_a_model_from_a_run():
    from sklearn.linear_model import LogisticRegression

    with mlflow.start_run() as run:
        mlflow.sklearn.log_model(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), **named("model"), pip_requirements=["scikit-learn"])
    version = mlflow.register_model(f"runs:/{run.info.run_id}/model", "from run")
    assert version.version == "1"
    assert mlflow.sklearn.load_model("models:/from run/1").predict([[1.0]])[0] == 1
    client = MlflowClient()
    client.create_registered_model("plain")
    for source in ("/etc/passwd", "file:///etc", "mlflow-artifacts:/1/../../x"):
        raises("INVALID_PARAMETER_VALUE", lambda: client.create_model_version("plain", source))


@step(since=3)
def logs_metrics_onto_a_logged_model():
    model = mlflow.initialize_logged_model(name="evaluated", params={"k": "v"})
    with mlflow.start_run() as run:
        mlflow.log_metric("f1", 0.75, step=4, model_id=model.model_id)
    mlflow.finalize_logged_model(model.model_id, "READY")
    mlflow.set_logged_model_tags(model.model_id, {"good": "yes"})
    read = mlflow.get_logged_model(model.model_id)
    assert [(one.key, one.value, one.run_id) for one in read.metrics] == [("f1", 0.75, run.info.run_id)]
    assert read.tags["good"] == "yes"
    client = MlflowClient()
    client.delete_logged_model_tag(model.model_id, "good")
    client.delete_logged_model(model.model_id)
    raises("RESOURCE_DOES_NOT_EXIST", lambda: mlflow.get_logged_model(model.model_id))


@contextmanager
def receiver():
    """A receiver of webhooks on loopback: its URL, and a queue of (headers, body as text)."""
    received = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"thanks")
            received.put((self.headers, body))

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/hook", received
        finally:
            server.shutdown()


@step(since=3)
def makes_finds_changes_and_deletes_webhooks():
    from mlflow.entities.webhook import WebhookEvent, WebhookStatus

    client = MlflowClient()
    made = client.create_webhook("first", "https://example.com/first", ["model_version.created"], description="d", secret="geheim")
    assert made.secret is None and made.status == WebhookStatus.ACTIVE and made.description == "d"
    assert made.events == [WebhookEvent("model_version", "created")]
    read = client.get_webhook(made.webhook_id)
    assert (read.name, read.url, read.events) == (made.name, made.url, made.events)
    others = [client.create_webhook(f"w{index}", f"https://example.com/{index}", ["prompt.created"]) for index in range(4)]
    page = client.list_webhooks(max_results=2)
    rest = client.list_webhooks(max_results=100, page_token=page.token)
    assert len(page) == 2 and rest.token in (None, "")
    assert {one.webhook_id for one in [*page, *rest]} == {one.webhook_id for one in [made, *others]}
    events = ["model_version_alias.created", "registered_model.created"]
    changed = client.update_webhook(made.webhook_id, name="renamed", events=events, status="DISABLED")
    assert (changed.name, changed.url, changed.status) == ("renamed", made.url, WebhookStatus.DISABLED)
    assert [str(one) for one in changed.events] == events and changed.description == "d"
    for url in ("   ", "ftp://example.com", "http://[invalid"):
        assert "ebhook URL" in raises("INVALID_PARAMETER_VALUE", lambda: client.update_webhook(made.webhook_id, url=url))
    raises("INVALID_PARAMETER_VALUE", lambda: client.create_webhook("-", "https://example.com", ["prompt.created"]))
    for one in [made, *others]:
        client.delete_webhook(one.webhook_id)
    for call in (client.get_webhook, client.delete_webhook, client.test_webhook):
        assert f"Webhook with ID {made.webhook_id} not found" in raises("RESOURCE_DOES_NOT_EXIST", lambda: call(made.webhook_id))
    assert client.list_webhooks() == []


@step(since=3)
def webhooks_are_told_what_happens_and_signed():
    from mlflow.webhooks.delivery import _generate_hmac_signature
    from mlflow.webhooks.types import EVENT_TO_PAYLOAD_CLASS
    from mlflow.entities.webhook import WebhookEvent

    client = MlflowClient()
    events = [f"{entity}.{action}" for entity, action in EVENT_TO_PAYLOAD_CLASS]

    def check(headers, text, event):
        body = json.loads(text)
        assert f"{body['entity']}.{body['action']}" == event, body
        kind = WebhookEvent.from_str(event)
        assert body["data"].keys() == EVENT_TO_PAYLOAD_CLASS[(kind.entity, kind.action)].__annotations__.keys(), body
        signed = _generate_hmac_signature("geheim", headers["X-MLflow-Delivery-Id"], headers["X-MLflow-Timestamp"], text)
        assert headers["X-MLflow-Signature"] == signed
        return body["data"]

    with receiver() as (url, received):
        webhook = client.create_webhook("told", url, events, secret="geheim")
        for event in events:
            result = client.test_webhook(webhook.webhook_id, event)
            assert (result.success, result.response_status, result.response_body) == (True, 200, "thanks"), result
            check(*received.get(timeout=60), event)
        client.create_registered_model("told", tags={"team": "delays"}, description="d")
        client.create_model_version("told", "s3://bucket/model", tags={"a": "b"})
        client.set_model_version_tag("told", "1", "checked", "yes")
        client.delete_model_version_tag("told", "1", "checked")
        client.set_registered_model_alias("told", "champion", "1")
        client.delete_registered_model_alias("told", "champion")
        data = [check(*received.get(timeout=60), event) for event in events[:6]]
        assert data[0] == {"name": "told", "tags": {"team": "delays"}, "description": "d"}
        assert data[4] == {"name": "told", "alias": "champion", "version": "1"}
        mlflow.genai.register_prompt("greeting", "Hello {{name}}!", tags={"tone": "warm"})
        assert check(*received.get(timeout=60), "prompt.created")["name"] == "greeting"
        assert check(*received.get(timeout=60), "prompt_version.created")["template"] == "Hello {{name}}!"
        client.delete_webhook(webhook.webhook_id)
        client.set_registered_model_tag("told", "after", "deletion")
    assert client.list_webhooks() == []


def log_from_one_process(uri, experiment_id, worker):
    mlflow.set_tracking_uri(uri)
    client = MlflowClient()
    run_id = client.create_run(experiment_id, run_name=f"worker {worker}").info.run_id
    for index in range(25):
        client.log_metric(run_id, "loss", 1 / (index + 1), step=index)
        client.log_param(run_id, f"p{index}", worker)
    client.log_metric(os.environ["SHARED_RUN"], "shared", worker, step=worker)
    client.set_terminated(run_id)
    return run_id


@step
def eight_processes_log_at_once():
    client = MlflowClient()
    experiment_id = client.create_experiment("eight processes")
    shared = client.create_run(experiment_id).info.run_id
    os.environ["SHARED_RUN"] = shared
    with multiprocessing.get_context("spawn").Pool(8) as pool:
        jobs = [(mlflow.get_tracking_uri(), experiment_id, worker) for worker in range(8)]
        run_ids = pool.starmap(log_from_one_process, jobs)
    for worker, run_id in enumerate(run_ids):
        run = client.get_run(run_id)
        assert len(run.data.params) == 25 and set(run.data.params.values()) == {str(worker)}
        assert len(client.get_metric_history(run_id, "loss")) == 25
        assert run.data.metrics["loss"] == 1 / 25
    assert sorted(one.value for one in client.get_metric_history(shared, "shared")) == list(range(8))
    assert client.get_run(shared).data.metrics["shared"] == 7


def main(uri):
    mlflow.set_tracking_uri(uri)
    for function in STEPS:
        started = time.perf_counter()
        result = {"step": function.__name__.replace("_", " "), "ok": True}
        try:
            function()
        except Exception:
            result = {**result, "ok": False, "error": traceback.format_exc()}
        while mlflow.active_run() is not None:
            mlflow.end_run("FAILED")
        print(json.dumps({**result, "seconds": round(time.perf_counter() - started, 2)}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
