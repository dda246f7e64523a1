import { afterEach, describe, expect, it } from "vitest";
import { call } from "../../../support/application.ts";
import { flightsBytes } from "../../../support/flights.ts";
import { lateFlights } from "../../../support/late-flights.ts";
import { type TrainingGround, trainingGround } from "../../../support/training.ts";

let ground: TrainingGround;
afterEach(() => ground.close());

interface Repeated {
  readonly identical: boolean;
  readonly before: { readonly sha256: string };
  readonly after: { readonly sha256: string };
  readonly differences: readonly { readonly what: string; readonly before: string; readonly after: string }[];
}

async function reproduce(runId: string): Promise<Repeated> {
  const answer = await call(ground.app, "POST", `/api/v1/training/${runId}/reproduce`);
  expect(answer.status, JSON.stringify(answer.body)).toBe(202);
  await ground.runner.drain();
  const { id } = answer.body as { id: string };
  const job = (await call(ground.app, "GET", `/api/v1/jobs/${id}`)).body as {
    error: string | null;
    result: Repeated;
  };
  expect(job.error).toBeNull();
  return job.result;
}

const late = { ...lateFlights, slices: [] };
const numbers = [{ column: "distance" }, { column: "hour" }];
const minutes = { ...late, task: "regression", target: { column: "delay" }, features: numbers };
const random = { holdoutFraction: 0.3, seed: 5 };
const trees = { kind: "boosting", trees: 15 };
const runs: readonly object[] = [
  late,
  minutes,
  { ...late, algorithm: trees },
  { ...minutes, algorithm: trees },
  { ...late, split: random },
  { ...minutes, split: random, rowKey: ["origin", "date"] },
  { ...late, algorithm: { ...trees, rowFraction: 0.5, columnFraction: 0.5, seed: 7 } },
  { ...minutes, algorithm: { ...trees, loss: "quantile", quantile: 0.9 } },
  { ...minutes, algorithm: { ...trees, loss: "huber", earlyStopping: { rounds: 3 } } },
  { ...late, sample: { fraction: 0.7, seed: 3 }, where: [{ column: "distance", min: 200 }] },
];

describe("a run that is made again", () => {
  it("gives the same bytes, of ten runs", async () => {
    ground = await trainingGround();
    const file = await flightsBytes({ share: 0.003, format: "parquet" });
    const version = await ground.addDataset("flights", "parquet", file);
    const trained: string[] = [];
    for (const run of runs) {
      const { error, result } = await ground.train(run);
      expect(error).toBeNull();
      trained.push(result.runId);
    }
    // The runs are of the version that was the latest then.
    const other = await ground.addDataset(
      "flights",
      "parquet",
      await flightsBytes({ share: 0.004, format: "parquet" }),
    );
    expect(other).not.toBe(version);
    const files = new Set<string>();
    for (const runId of trained) {
      const repeated = await reproduce(runId);
      expect(repeated).toMatchObject({ identical: true, differences: [] });
      files.add(repeated.before.sha256);
    }
    expect(files.size).toBe(runs.length);
  }, 300_000);

  it("tells what is not as it was", async () => {
    ground = await trainingGround();
    await ground.addDataset("flights", "parquet", await flightsBytes({ share: 0.003, format: "parquet" }));
    const { result } = await ground.train(late);
    const artifacts = await ground.tracking.resolveArtifacts(`runs:/${result.runId}`);
    const content = await ground.blobs.get(`${artifacts}/training.json`);
    const record = (await new Response(content?.stream).json()) as {
      spec: { algorithm?: object };
      environment: object;
    };
    const changed = {
      ...record,
      spec: { ...record.spec, algorithm: { kind: "logistic", l2: 5 } },
      environment: { ...record.environment, node: "22.0.0" },
      codeVersion: "commit-0001",
    };
    await ground.blobs.put(`${artifacts}/training.json`, new TextEncoder().encode(JSON.stringify(changed)));
    const repeated = await reproduce(result.runId);
    expect(repeated.identical).toBe(false);
    expect(repeated.differences).toEqual([
      { what: "codeVersion", before: "commit-0001", after: "commit-1234" },
      { what: "node", before: "22.0.0", after: process.versions.node },
    ]);
    const unknown = await call(ground.app, "POST", "/api/v1/training/nothing/reproduce");
    expect(unknown).toMatchObject({ status: 404 });
  });
});
