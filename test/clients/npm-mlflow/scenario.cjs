// What npm's `mlflow` client can do, call by call, against the server whose address is given. Prints one JSON line per
// call: {"step", "ok", "error"?}; the client itself prints every body that it sends.
const assert = require("node:assert/strict");
const MLflow = require("mlflow");

const { Experiments, Runs, Metrics, Artifacts } = new MLflow({ endpoint: process.argv[2] });

/** The client throws the answer as JSON inside a message. */
const fails = (status, call) =>
  assert.rejects(call, (error) => {
    const answer = JSON.parse(error.message.slice(error.message.indexOf("{")));
    return answer.status === status && typeof answer.data?.error_code === "string";
  });
const same = async (call, expected) => assert.deepEqual(await call, expected);

let experiment_id;
let run_id;

const steps = {
  "creates an experiment": async () => {
    ({ experiment_id } = await Experiments.create({ name: "from npm" }));
    assert.match(experiment_id, /^\d+$/);
  },
  "gets an experiment": async () => {
    const { experiment } = await Experiments.get({ experiment_id });
    assert.equal(experiment.name, "from npm");
  },
  "renames an experiment": async () => {
    await same(Experiments.update({ experiment_id, new_name: "renamed" }), {});
    assert.equal((await Experiments.get({ experiment_id })).experiment.name, "renamed");
  },
  "deletes and restores an experiment": async () => {
    await same(Experiments.delete({ experiment_id }), {});
    assert.equal((await Experiments.get({ experiment_id })).experiment.lifecycle_stage, "deleted");
    await same(Experiments.restore({ experiment_id }), {});
  },
  "creates a run": async () => {
    const tags = [{ key: "kind", value: "demo" }];
    const { run } = await Runs.create({ experiment_id, user_id: "ada", start_time: 1000, tags });
    run_id = run.info.run_id;
    assert.deepEqual([run.info.start_time, run.info.status], [1000, "RUNNING"]);
  },
  "logs metrics": async () => {
    for (const [step, value] of [0.5, 0.25].entries()) {
      await same(Runs.logMetric({ run_id, key: "loss", value, timestamp: 1000 + step, step }), {});
    }
  },
  "logs a parameter": () => same(Runs.logParameter({ run_id, key: "depth", value: "3" }), {}),
  "logs a batch": () =>
    same(
      Runs.logBatch({
        run_id,
        metrics: [{ key: "auc", value: 0.9, timestamp: 1000, step: 0 }],
        params: [{ key: "rate", value: "0.1" }],
        tags: [{ key: "batch", value: "yes" }],
      }),
      {},
    ),
  "sets and deletes a tag": async () => {
    await same(Runs.setTag({ run_id, key: "gone", value: "x" }), {});
    await same(Runs.deleteTag({ run_id, key: "gone" }), {});
  },
  "gets a run": async () => {
    const { data } = (await Runs.get({ run_id })).run;
    const pairs = (list) => Object.fromEntries(list.map(({ key, value }) => [key, value]));
    assert.deepEqual(pairs(data.params), { depth: "3", rate: "0.1" });
    assert.deepEqual(pairs(data.metrics), { loss: 0.25, auc: 0.9 });
    const { kind, batch, gone } = pairs(data.tags);
    assert.deepEqual({ kind, batch, gone }, { kind: "demo", batch: "yes", gone: undefined });
  },
  "reads the history of a metric, where MLflow's own server answers nothing": async () => {
    const { metrics } = await Metrics.getHistory({ run_id, metric_key: "loss" });
    assert.deepEqual(
      metrics.map(({ step, value }) => [step, value]),
      [
        [0, 0.5],
        [1, 0.25],
      ],
    );
  },
  "searches runs": async () => {
    const filter = "metrics.auc > 0.5 and params.depth = '3'";
    const { runs } = await Runs.search({ experiment_ids: [experiment_id], filter, max_results: 5 });
    assert.deepEqual(
      runs.map(({ info }) => info.run_id),
      [run_id],
    );
  },
  "ends a run": async () => {
    const { run_info } = await Runs.update({ run_id, status: "FINISHED", end_time: 2000 });
    assert.deepEqual([run_info.status, run_info.end_time], ["FINISHED", 2000]);
  },
  "lists artifacts": async () => {
    const { root_uri, files = [] } = await Artifacts.list({ run_id });
    assert.match(root_uri, /^mlflow-artifacts:/);
    assert.deepEqual(files, []);
  },
  "deletes and restores a run": async () => {
    await same(Runs.delete({ run_id }), {});
    assert.equal((await Runs.get({ run_id })).run.info.lifecycle_stage, "deleted");
    await same(Runs.restore({ run_id }), {});
  },
  "gets MLflow's errors as such": async () => {
    await fails(404, Runs.get({ run_id: "nobody" }));
    await fails(400, Runs.logParameter({ run_id, key: "depth", value: "4" }));
    // JSON has no NaN: the client sends null.
    await fails(400, Runs.logMetric({ run_id, key: "loss", value: Number.NaN, timestamp: 1 }));
  },
  "gets 404 for what MLflow has had no more since version 2, and for the address that the client misspells":
    async () => {
      await fails(404, Experiments.list());
      await fails(404, Experiments.setExperimentTag({ experiment_id, key: "k", value: "v" }));
    },
};

(async () => {
  for (const [step, run] of Object.entries(steps)) {
    const result = { step, ok: true };
    try {
      await run();
    } catch (error) {
      Object.assign(result, { ok: false, error: error.stack });
    }
    console.log(JSON.stringify(result));
  }
})();
