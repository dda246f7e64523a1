/**
 * What a program does whose client was generated from /openapi.json: every path, body and answer below is checked by the
 * compiler. Prints a line of JSON for each step.
 */
import createClient from "openapi-fetch";
import type { components, paths } from "./generated/ketline.js";

const client = createClient<paths>({ baseUrl: process.argv[2] ?? "" });

let seen = { datasetVersion: "", jobId: "", experimentId: "", runId: "" };

const steps: Record<string, () => Promise<void>> = {
  async "describes a data set"() {
    const { data } = await client.PUT("/api/v1/datasets/{name}", {
      params: { path: { name: "points" } },
      body: {
        description: "Two columns",
        expectations: [
          { kind: "rows", min: 2 },
          { kind: "range", column: "x", min: 0, max: 10 },
        ],
      },
    });
    same(data?.expectations.length, 2);
  },
  async "registers a version of it"() {
    const { data } = await client.POST("/api/v1/datasets/{name}/versions", {
      params: { path: { name: "points" }, query: { format: "csv" } },
      body: "x,y\n1,2\n2,4\n3,6\n",
      bodySerializer: (text) => text as string,
    });
    const version: components["schemas"]["DatasetVersion"] | undefined = data?.version;
    seen = { ...seen, datasetVersion: version?.version ?? "", jobId: data?.job?.id ?? "" };
    same(seen.datasetVersion.length, 64);
  },
  async "follows the job to its end"() {
    for (;;) {
      const { data } = await client.GET("/api/v1/jobs/{id}", { params: { path: { id: seen.jobId } } });
      if (data?.state === "succeeded") return;
      if (data === undefined || data.state === "failed") throw new Error(data?.error ?? "there is no job");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  },
  async "reads the profile by its kind"() {
    const { data } = await client.GET("/api/v1/datasets/{name}/versions/{version}", {
      params: { path: { name: "points", version: "latest" } },
    });
    const x = data?.profile?.find((column) => column.name === "x");
    same(x?.kind === "numeric" ? x.mean : undefined, 2);
  },
  async "pages through a list"() {
    const { data } = await client.GET("/api/v1/datasets", { params: { query: { limit: 1 } } });
    same(
      data?.items.map(({ name }) => name),
      ["points"],
    );
  },
  async "hears what was wrong"() {
    const { error, response } = await client.GET("/api/v1/datasets/{name}", {
      params: { path: { name: "nothing" } },
    });
    same([response.status, error?.status, error?.title], [404, 404, "Not found"]);
  },
  async "creates an experiment of MLflow's API"() {
    const { data } = await client.POST("/api/2.0/mlflow/experiments/create", { body: { name: "generated" } });
    seen = { ...seen, experimentId: data?.experiment_id ?? "" };
    same(/^\d+$/.test(seen.experimentId), true);
  },
  async "starts a run and logs to it"() {
    const { data } = await client.POST("/api/2.0/mlflow/runs/create", {
      body: { experiment_id: seen.experimentId, run_name: "first" },
    });
    seen = { ...seen, runId: data?.run?.info?.run_id ?? "" };
    const { response } = await client.POST("/api/2.0/mlflow/runs/log-batch", {
      body: {
        run_id: seen.runId,
        metrics: [{ key: "loss", value: 0.25, timestamp: 0, step: 0 }],
        params: [{ key: "depth", value: "3" }],
      },
    });
    same(response.status, 200);
  },
  async "searches runs"() {
    const { data } = await client.POST("/api/2.0/mlflow/runs/search", {
      body: { experiment_ids: [seen.experimentId], filter: "metrics.loss < 1" },
    });
    same(
      data?.runs?.map(({ data: logged }) => logged?.metrics?.[0]?.value),
      [0.25],
    );
  },
  async "asks what models there are"() {
    const { data } = await client.POST("/v2/repository/index", { body: { ready: true } });
    same(data, []);
  },
  async "checks a quantum program"() {
    const { data } = await client.POST("/api/v1/quantum/check", {
      body: { language: "qsharp", source: "operation Main() : Result { use q = Qubit(); H(q); MResetZ(q) }" },
    });
    same([data?.ok, data?.diagnostics], [true, []]);
  },
  async "makes a schedule and reads it again"() {
    const { data } = await client.PUT("/api/v1/schedules/{name}", {
      params: { path: { name: "nightly" } },
      body: {
        cron: "0 0 2 * * *",
        training: {
          dataset: "points",
          task: "regression",
          target: { column: "y" },
          features: [{ column: "x" }],
          split: { holdoutFraction: 0.5 },
        },
      },
    });
    same([data?.spec.overlap, data?.revision], ["skip", 1]);
  },
};

for (const [step, run] of Object.entries(steps)) {
  try {
    await run();
    console.log(JSON.stringify({ step, ok: true }));
  } catch (error) {
    console.log(JSON.stringify({ step, ok: false, error: String(error) }));
  }
}

function same(actual: unknown, expected: unknown): void {
  if (JSON.stringify(actual) !== JSON.stringify(expected)) {
    throw new Error(`${JSON.stringify(actual)} came, ${JSON.stringify(expected)} was right`);
  }
}
