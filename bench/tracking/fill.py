"""Fills a stock MLflow database as its own store would, in bulk: over HTTP 26,000 runs would take an hour.

fill.py DATABASE_URI EXPERIMENT_ID FIRST COUNT METRICS PARAMS
The values are those of fill.ts: the same runs for both servers.
"""
import sys

import sqlalchemy as sa

uri, experiment, first, count, metrics, params = sys.argv[1], *map(int, sys.argv[2:7])
engine = sa.create_engine(uri)
meta = sa.MetaData()
meta.reflect(engine, only=["runs", "metrics", "latest_metrics", "params", "tags"])
tables = meta.tables
with engine.begin() as connection:
    for start in range(first, first + count, 500):
        numbers = range(start, min(start + 500, first + count))
        ids = {i: f"{i:032x}" for i in numbers}
        started = {i: 1_700_000_000_000 + i * 1000 for i in numbers}
        connection.execute(tables["runs"].insert(), [
            {"run_uuid": ids[i], "name": f"run-{i}", "source_type": "UNKNOWN", "source_name": "", "entry_point_name": "",
             "user_id": "bench", "status": "FINISHED", "start_time": started[i], "end_time": started[i] + 900,
             "source_version": "", "lifecycle_stage": "active", "experiment_id": experiment,
             "artifact_uri": f"mlflow-artifacts:/{experiment}/{ids[i]}/artifacts"} for i in numbers])
        points = [
            {"key": f"m{j}", "value": (i * 31 + j * 17) % 1000 / 1000, "timestamp": started[i], "step": 0,
             "is_nan": False, "run_uuid": ids[i]} for i in numbers for j in range(metrics)]
        connection.execute(tables["metrics"].insert(), points)
        connection.execute(tables["latest_metrics"].insert(), points)
        connection.execute(tables["params"].insert(), [
            {"key": f"p{j}", "value": f"v{(i * 7 + j) % 10}", "run_uuid": ids[i]}
            for i in numbers for j in range(params)])
        connection.execute(tables["tags"].insert(), [
            {"key": key, "value": value, "run_uuid": ids[i]} for i in numbers
            for key, value in (("mlflow.runName", f"run-{i}"), ("team", f"t{i % 3}"))])
