import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import { systemActor } from "../../../shared/identity/index.ts";
import { call } from "../../support/application.ts";
import { flightsBytes } from "../../support/flights.ts";
import { lateFlights } from "../../support/late-flights.ts";
import { type TrainingGround, trainingGround } from "../../support/training.ts";

let ground: TrainingGround;
afterEach(() => ground.close());

const addFlights = async (share: number) =>
  ground.addDataset("flights", "parquet", await flightsBytes({ share, format: "parquet" }));
const submit = (spec: object, query = "") => call(ground.app, "POST", `/api/v1/training${query}`, spec);
const jobOf = async (id: string) =>
  (await call(ground.app, "GET", `/api/v1/jobs/${id}`)).body as {
    state: string;
    error: string | null;
    attempt: number;
    progress: number;
    result: { runId: string; decision: { promoted: boolean; champion: number | null } };
  };
const runsOf = async (name: string) => {
  const actor = systemActor("test");
  const experimentId = await ground.tracking.ensureExperiment(name, actor);
  const answer = await call(ground.app, "POST", "/api/2.0/mlflow/runs/search", {
    experiment_ids: [experimentId],
  });
  const { runs } = answer.body as { runs: { info: { run_id: string; status: string } }[] };
  return runs.map(({ info }) => info.status);
};

/** How its runs ended, the newest first. */
const endsOf = async (name: string) => {
  const experimentId = await ground.tracking.ensureExperiment(name, systemActor("test"));
  const search = { experiment_ids: [experimentId] };
  const answer = await call(ground.app, "POST", "/api/2.0/mlflow/runs/search", search);
  const { runs = [] } = answer.body as {
    runs?: { info: { status: string }; data: { tags: { key: string; value: string }[] } }[];
  };
  return runs.map(({ info: { status }, data }) => {
    const reason = data.tags.find(({ key }) => key === "ketline.end_reason")?.value;
    return reason === undefined ? { status } : { status, reason };
  });
};

/** Submits a training and kills the process that runs it while its run is under way. @returns its id */
async function killedInTheMiddle(attempts?: number): Promise<string> {
  const { id } = (await submit({ ...lateFlights, registeredModel: "late" })).body as { id: string };
  if (attempts !== undefined) {
    const jobs = ground.database.tables<{ job: { id: string; max_attempts: number } }>();
    await jobs.updateTable("job").set({ max_attempts: attempts }).where("id", "=", id).execute();
  }
  const script = fileURLToPath(new URL("../../support/one-job.child.ts", import.meta.url));
  const child = spawn(process.execPath, [script, ground.directory, id], { stdio: "inherit" });
  const ended = once(child, "exit");
  while ((await endsOf("late")).length === 0 && child.exitCode === null) await new Promise(setImmediate);
  child.kill("SIGKILL");
  await ended;
  expect(await endsOf("late")).toEqual([{ status: "RUNNING" }]);
  return id;
}

describe("a training that is interrupted", () => {
  it("after its version was registered goes on with that version, and registers no other", async () => {
    let calls = 0;
    ground = await trainingGround((registry) => ({
      ...registry,
      async setAlias(...change) {
        if (++calls === 1) throw new Error("The process died here.");
        return registry.setAlias(...change);
      },
    }));
    await addFlights(0.005);
    const { id } = (await submit({ ...lateFlights, registeredModel: "late" })).body as { id: string };
    await ground.runner.drain();
    expect(await jobOf(id)).toMatchObject({ state: "queued", attempt: 1 });
    ground.clock.advance(3600_000);
    await ground.runner.sweep();
    await ground.runner.drain();
    expect(await jobOf(id)).toMatchObject({
      state: "succeeded",
      attempt: 2,
      result: { decision: { promoted: true }, model: { version: 1 } },
    });
    expect(await ground.registry.listVersions("late")).toHaveLength(1);
    expect(await ground.registry.getByAlias("late", "champion")).toMatchObject({ version: 1 });
    expect(await runsOf("late")).toEqual(["FINISHED"]);
  });

  it("by a kill of its process is tried again, and its first run has failed with the reason", async () => {
    ground = await trainingGround();
    await addFlights(0.2);
    const id = await killedInTheMiddle();
    ground.clock.set(Date.now() + 3600_000);
    await ground.runner.sweep();
    await ground.runner.drain();
    expect(await jobOf(id)).toMatchObject({ state: "succeeded", attempt: 2 });
    expect(await endsOf("late")).toEqual([
      { status: "FINISHED" },
      { status: "FAILED", reason: expect.stringMatching(/went away in the middle; another attempt follows/) },
    ]);
  });

  it("by a kill in its last attempt has failed, and so has its run, with the reason", async () => {
    ground = await trainingGround();
    await addFlights(0.2);
    const id = await killedInTheMiddle(1);
    ground.clock.set(Date.now() + 3600_000);
    await ground.runner.sweep();
    const job = await jobOf(id);
    expect(job).toMatchObject({ state: "failed", error: expect.stringMatching(/went away each time/) });
    expect(await endsOf("late")).toEqual([{ status: "FAILED", reason: job.error }]);
  });

  it("by a kill and cancelled then has its run ended, with who cancelled it", async () => {
    ground = await trainingGround();
    await addFlights(0.2);
    const id = await killedInTheMiddle();
    ground.clock.set(Date.now() + 3600_000);
    await call(ground.app, "POST", `/api/v1/jobs/${id}/cancel`, { reason: "no longer needed" });
    expect(await jobOf(id)).toMatchObject({ state: "cancelled" });
    expect(await endsOf("late")).toMatchObject([
      { status: "FAILED", reason: expect.stringMatching(/no longer needed/) },
    ]);
  });

  it("by a cancel ends soon, with its run killed and nothing registered, and leaves the process alive", async () => {
    ground = await trainingGround();
    await addFlights(0.2);
    const { id } = (await submit({ ...lateFlights, registeredModel: "late" })).body as { id: string };
    const attempt = ground.runner.runOne(id);
    while ((await jobOf(id)).progress === 0) await new Promise(setImmediate);
    await call(ground.app, "POST", `/api/v1/jobs/${id}/cancel`, { reason: "changed my mind" });
    await attempt;
    expect(await jobOf(id)).toMatchObject({
      state: "cancelled",
      error: expect.stringMatching(/changed my mind/),
    });
    expect(await runsOf("late")).toEqual(["KILLED"]);
    expect(await ground.registry.getNewestReady("late")).toBeNull();
  });

  it("by a rival that takes the alias meanwhile compares itself with the rival", async () => {
    let rival: (() => Promise<void>) | undefined;
    ground = await trainingGround((registry) => ({
      ...registry,
      async setAlias(...change) {
        const act = rival;
        rival = undefined;
        await act?.();
        return registry.setAlias(...change);
      },
    }));
    await addFlights(0.01);
    const poor = { ...lateFlights, features: [{ column: "distance" }], registeredModel: "late" };
    await ground.train(poor);
    await ground.train({ ...poor, features: [{ column: "origin" }], promotion: { policy: "never" } });
    rival = () => ground.registry.setAlias("late", "champion", 2, { actor: systemActor("rival") });
    const job = await ground.train({ ...lateFlights, registeredModel: "late" });
    expect(job.result.decision).toMatchObject({ promoted: true, champion: 2 });
    expect((await ground.registry.listVersions("late")).map(({ version }) => version)).toEqual([3, 2, 1]);
    expect(await ground.registry.getByAlias("late", "champion")).toMatchObject({ version: 3 });
  });
});

describe("a training that cannot be", () => {
  it("fails with its run failed, when the rows do not do", async () => {
    ground = await trainingGround();
    await addFlights(0.001);
    const job = await ground.train({ ...lateFlights, target: { column: "delay", greaterThan: 100_000 } });
    expect(job).toMatchObject({
      state: "failed",
      error: expect.stringMatching(/all \d+ training rows are of the class 0/),
    });
    expect(await runsOf("flights")).toEqual(["FAILED"]);
  });

  it("is refused at once, with what would be right", async () => {
    ground = await trainingGround();
    await addFlights(0.001);
    const refusals: [object, number, RegExp][] = [
      [{ ...lateFlights, dataset: "none" }, 404, /no data set "none"/],
      [{ ...lateFlights, version: "0123456789abcdef" }, 404, /no version/],
      [{ ...lateFlights, features: [{ column: "carrier" }] }, 400, /no column "carrier"; it has date, delay/],
      [{ ...lateFlights, features: [{ column: "delay" }] }, 400, /its own answer/],
      [{ ...lateFlights, features: [{ column: "date" }] }, 400, /derive its parts/],
      [
        { ...lateFlights, features: [{ column: "origin", kind: "numeric" }] },
        400,
        /text and cannot be numeric/,
      ],
      [{ ...lateFlights, features: [] }, 400, /features/],
      [{ ...lateFlights, target: { column: "origin" } }, 400, /needs truth values/],
      [{ ...lateFlights, target: { column: "delay", equals: "late" } }, 400, /can never hold/],
      [{ ...lateFlights, task: "regression" }, 400, /greaterThan/],
      [{ ...lateFlights, algorithm: { kind: "linear" } }, 400, /logistic for the task binary/],
      [{ ...lateFlights, where: [{ column: "origin", min: 3 }] }, 400, /does not fit/],
      [
        {
          ...lateFlights,
          split: { ...lateFlights.split, holdout: { from: "2001-02-01", to: "2001-04-01" } },
        },
        400,
        /overlaps/,
      ],
      [
        {
          ...lateFlights,
          split: { ...lateFlights.split, holdout: { from: "2001-04-01", to: "2001-03-01" } },
        },
        400,
        /split/,
      ],
      [
        { ...lateFlights, derive: [{ name: "hour", from: "delay", part: "hour" }] },
        400,
        /not a column of times/,
      ],
      [{ ...lateFlights, unknown: 1 }, 400, /unknown/],
    ];
    for (const [spec, status, message] of refusals) {
      const answer = await submit(spec);
      expect(answer.body, JSON.stringify(spec)).toMatchObject({
        status,
        detail: expect.stringMatching(message),
      });
    }
  });

  it("is not made of a version that failed its expectations", async () => {
    ground = await trainingGround();
    await call(ground.app, "PUT", "/api/v1/datasets/flights", { expectations: [{ kind: "rows", max: 1 }] });
    const version = await addFlights(0.001);
    const answer = await submit({ ...lateFlights, version });
    expect(answer.body).toMatchObject({
      status: 409,
      detail: expect.stringMatching(/rejected: There are \d+ rows/),
    });
  });

  it("is not made twice for one idempotency key", async () => {
    ground = await trainingGround();
    await addFlights(0.001);
    const [one, two] = [
      await submit(lateFlights, "?idempotencyKey=monday"),
      await submit(lateFlights, "?idempotencyKey=monday"),
    ];
    expect((two.body as { id: string }).id).toBe((one.body as { id: string }).id);
  });
});
