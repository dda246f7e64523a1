"""Fills the store of a stock MLflow server through MLflow's own store API, in one process.

usage: fill_mlflow.py DATABASE_URI ARTIFACT_DIRECTORY RUNS
"""

import math
import pathlib
import random
import sys
import time

import sqlalchemy
from mlflow.entities import (
    Dataset,
    DatasetInput,
    ExperimentTag,
    InputTag,
    LoggedModelOutput,
    LoggedModelStatus,
    LoggedModelTag,
    Metric,
    Param,
    RunStatus,
    RunTag,
)
from mlflow.entities.model_registry import ModelVersionTag, RegisteredModelTag
from mlflow.store.model_registry.sqlalchemy_store import SqlAlchemyStore as RegistryStore
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore as TrackingStore

START_MS = 1_700_000_000_000
STATUSES = [RunStatus.FINISHED, RunStatus.FINISHED, RunStatus.FAILED, RunStatus.KILLED, RunStatus.RUNNING]


@sqlalchemy.event.listens_for(sqlalchemy.engine.Engine, "connect")
def do_not_wait_for_the_disk(connection, _):
    connection.execute("PRAGMA synchronous = OFF")


def main(database: str, artifacts: pathlib.Path, runs: int) -> None:
    random.seed(7)
    store = TrackingStore(database, "mlflow-artifacts:/")
    registry = RegistryStore(database)
    experiments = [
        store.create_experiment(f"flights {n}", tags=[ExperimentTag("team", "air"), ExperimentTag("n", str(n))])
        for n in range(4)
    ]
    models = []
    before = None
    started = time.monotonic()
    for n in range(runs):
        experiment = experiments[n % len(experiments)]
        tags = [RunTag("n", str(n)), RunTag("mlflow.source.name", f"train {n % 7}.py"), RunTag("ünï", "ço∂é")]
        if n % 10 == 9:
            tags.append(RunTag("mlflow.parentRunId", before))
        run = store.create_run(experiment, "ada", START_MS + 1000 * n, tags, f"run {n}").info
        before = run.run_id
        metrics = metrics_of(n)
        store.log_batch(run.run_id, metrics[:900], params_of(n), [])
        if len(metrics) > 900:
            store.log_batch(run.run_id, metrics[900:], [], [])
        write(artifacts, run.artifact_uri, "notes/read me.txt", f"notes of run {n}\n".encode())
        if n % 50 == 0:
            write(artifacts, run.artifact_uri, "model/weights.bin", random.randbytes(100_000 + n))
            write(artifacts, run.artifact_uri, "model/empty", b"")
        if n % 10 == 0:
            dataset = Dataset(f"flights-{n % 30}", f"d{n % 30}", "local", "{}", '{"columns": []}', None)
            store.log_inputs(run.run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])
        if n % 100 == 0:
            models.append((run, log_model(store, artifacts, experiment, run, n)))
        status = STATUSES[n % len(STATUSES)]
        if status != RunStatus.RUNNING:
            store.update_run_info(run.run_id, status, START_MS + 1000 * n + 500, f"run {n}")
        if n % 25 == 24:
            store.delete_run(run.run_id)
    register(registry, models)
    deleted = store.create_experiment("abandoned")
    run = store.create_run(deleted, "ada", START_MS, [], "left behind").info
    store.log_batch(run.run_id, [Metric("loss", 1.0, START_MS, 0)], [], [])
    store.delete_experiment(deleted)
    print(f"filled with {runs + 1} runs in {time.monotonic() - started:.0f} s", flush=True)


def metrics_of(n):
    steps = 1500 if n % 500 == 1 else 5
    loss = [Metric("loss", 1 / (n + step + 1), START_MS + step, step) for step in range(steps)]
    odd = [Metric("odd/rate", value, START_MS + at, at) for at, value in enumerate([math.nan, math.inf, -math.inf, 0.0])]
    return loss + [Metric("accuracy", random.random(), START_MS, -3)] + (odd if n % 20 == 0 else [])


def params_of(n):
    return [Param("depth", str(n % 12)), Param("note", "x" * (n % 300)), Param("seed", str(n))]


def log_model(store, artifacts, experiment, run, n):
    model = store.create_logged_model(
        experiment, f"trees-{n}", run.run_id, [LoggedModelTag("kind", "gbm")], [], "sklearn"
    )
    write(artifacts, model.artifact_location, "MLmodel", b"flavors: {}\n")
    store.log_batch(
        run.run_id,
        [Metric("auc", 0.5 + n / 1e5, START_MS, 0, model_id=model.model_id, dataset_name="holdout", dataset_digest="h1")],
        [],
        [],
    )
    store.log_outputs(run.run_id, [LoggedModelOutput(model.model_id, 3)])
    return store.finalize_logged_model(model.model_id, LoggedModelStatus.READY)


def register(registry, models):
    for name in ["late-flights", "long-flights"]:
        registry.create_registered_model(name, [RegisteredModelTag("team", "air")], f"the model {name}")
        for at, (run, model) in enumerate(models[:20]):
            source = f"models:/{model.model_id}" if at % 2 else f"{run.artifact_uri}/model"
            registry.create_model_version(
                name, source, run.run_id, [ModelVersionTag("at", str(at))], None, f"version {at}",
                model_id=model.model_id if at % 2 else None,
            )  # fmt: skip
        registry.set_registered_model_alias(name, "champion", "1")
        registry.transition_model_version_stage(name, "1", "Production", False)


def write(artifacts, uri, path, content):
    file = artifacts / uri.removeprefix("mlflow-artifacts:").lstrip("/") / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


if __name__ == "__main__":
    main(sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3]))
