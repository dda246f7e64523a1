import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { QuantumJob } from "../../../quantum/schemas.ts";
import { createJobRunner, type Job } from "../../../shared/jobs/index.ts";
import { call } from "../../support/application.ts";
import { toldBy } from "../../support/events.ts";
import { bellQasm, bellSource, type QuantumGround, quantumGround } from "../../support/quantum.ts";
import { bearer, createTokenFor, testAdminToken } from "../../support/tokens.ts";

let ground: QuantumGround;
beforeAll(async () => {
  ground = await quantumGround();
});
afterAll(() => ground.close());

async function submit(body: object): Promise<Job> {
  const answer = await call(ground.app, "POST", "/api/v1/quantum/jobs", body);
  expect(answer).toMatchObject({ status: 202 });
  return answer.body as Job;
}

async function quantumJob(id: string): Promise<QuantumJob> {
  const answer = await call(ground.app, "GET", `/api/v1/quantum/jobs/${id}`);
  expect(answer).toMatchObject({ status: 200 });
  return answer.body as QuantumJob;
}

async function run(body: object): Promise<{ job: Job; quantum: QuantumJob }> {
  const { id } = await submit(body);
  await ground.runner.drain();
  const job = (await call(ground.app, "GET", `/api/v1/jobs/${id}`)).body as Job;
  return { job, quantum: await quantumJob(id) };
}

/** Compiled and estimated at once, simulated for some seconds. */
const long = { language: "qsharp", source: bellSource, shots: 50_000 };

const stepsOf = (quantum: QuantumJob) => quantum.steps.map(({ step, status }) => `${step} ${status}`);

describe("the life of a quantum job", () => {
  it("goes through every step and ends with a verdict", async () => {
    const { job, quantum } = await run({
      language: "qsharp",
      source: bellSource,
      name: "bell",
      tags: ["demo"],
      shots: 2000,
      expected: { uniform: ["00", "(One, One)"], alpha: 1e-4 },
    });
    expect(stepsOf(quantum)).toEqual([
      "compile passed",
      "test passed",
      "estimate passed",
      "price passed",
      "gates passed",
      "submit passed",
      "run passed",
      "judge passed",
      "log skipped",
    ]);
    expect(quantum).toMatchObject({
      status: "succeeded",
      name: "bell",
      tags: ["demo"],
      workspace: "local",
      error: null,
      tests: [{ name: "main.BothAgree", passed: true }],
      estimate: { physicalQubits: 450 },
      price: { amount: 0 },
      workspaceJob: { status: "Completed", usage: { shots: 2000 }, cost: { amount: 0, currency: "USD" } },
      histogram: { shots: 2000, otherOutcomes: 0 },
      verdict: { verdict: "consistent" },
    });
    expect(quantum.histogram?.top.map(({ outcome }) => outcome).sort()).toEqual(["00", "11"]);
    expect(job).toMatchObject({
      state: "succeeded",
      attempt: 1,
      result: { id: job.id, status: "succeeded" },
    });
    const logs = (await call(ground.app, "GET", `/api/v1/jobs/${job.id}/logs`)).body as {
      items: { text: string }[];
    };
    const text = logs.items.map((line) => line.text).join("\n");
    for (const { step } of quantum.steps) expect(text).toContain(`${step}: `);
  });

  it.each(["ketline.simulator.base", "ketline.simulator.adaptive"])(
    "on %s goes by way of QIR, whose gates are counted",
    async (target) => {
      const { quantum } = await run({
        language: "openqasm",
        source: bellQasm,
        target,
        expected: { uniform: ["00", "11"], alpha: 1e-4 },
      });
      expect(quantum).toMatchObject({
        status: "succeeded",
        gates: { oneQubit: 1, twoQubit: 1, measurements: 2, qubits: 2 },
        verdict: { verdict: "consistent" },
      });
    },
  );

  it("on the noisy simulator is judged by distance, with the noise allowed for", async () => {
    const noise = { pX: 0.2, pY: 0, pZ: 0, loss: 0 };
    const expected = { uniform: ["00", "11"], alpha: 1e-4 };
    const body = { language: "qsharp", source: bellSource, target: "ketline.simulator.noisy", noise };
    const strict = await run({ ...body, policy: { testsPass: false }, expected });
    expect(strict.quantum.verdict).toMatchObject({ verdict: "deviates", chiSquare: null });
    const lenient = await run({ ...body, expected: { ...expected, allowedDistance: 0.6 } });
    expect(lenient.quantum.verdict).toMatchObject({ verdict: "consistent" });
  });

  it("says so when the outcomes are not what was declared", async () => {
    const { quantum } = await run({
      language: "qsharp",
      source: bellSource,
      expected: { uniform: ["00", "01"] },
    });
    expect(quantum.status).toBe("succeeded");
    expect(quantum.verdict).toMatchObject({ verdict: "deviates", impossible: [{ outcome: "11" }] });
  });

  it("takes an entry with arguments, and several files", async () => {
    const { quantum } = await run({
      language: "qsharp",
      files: [
        {
          name: "Gates.qs",
          text: "operation Flip(n : Int, q : Qubit) : Unit { for _ in 1..n { X(q); } } export Flip;",
        },
        {
          name: "main.qs",
          text: "import Gates.Flip; operation Run(n : Int) : Result { use q = Qubit(); Flip(n, q); MResetZ(q) }",
        },
      ],
      entry: "Run",
      arguments: [3],
      target: "ketline.simulator.base",
      shots: 10,
      expected: { probabilities: { "1": 1 } },
    });
    expect(quantum).toMatchObject({ status: "succeeded", verdict: { verdict: "consistent" } });
  });

  it("logs to a run of its experiment, or to the run that is named", async () => {
    const body = {
      language: "qsharp",
      source: bellSource,
      name: "logged",
      expected: { uniform: ["00", "11"], alpha: 1e-4 },
    };
    const { quantum } = await run({ ...body, log: { experiment: "quantum" } });
    expect(stepsOf(quantum).at(-1)).toBe("log passed");
    const read = async () =>
      (await call(ground.app, "GET", `/api/2.0/mlflow/runs/get?run_id=${quantum.runId}`)).body as {
        run: {
          info: { status: string };
          data: { metrics: { key: string }[]; tags: { key: string; value: string }[] };
        };
      };
    const { run: first } = await read();
    expect(first.info.status).toBe("FINISHED");
    expect(first.data.metrics.map(({ key }) => key)).toContain("quantum.total_variation");
    expect(first.data.tags).toContainEqual({ key: "quantum.verdict", value: "consistent" });
    const artifacts = await call(
      ground.app,
      "GET",
      `/api/2.0/mlflow/artifacts/list?run_id=${quantum.runId}&path=quantum`,
    );
    expect(JSON.stringify(artifacts.body)).toContain("quantum/histogram.svg");
    const again = await run({ ...body, log: { runId: quantum.runId } });
    expect(again.quantum.runId).toBe(quantum.runId);
  });

  it("keeps its result when the run to log to is not there, and says why", async () => {
    const { quantum } = await run({ language: "qsharp", source: bellSource, log: { runId: "nowhere" } });
    expect(quantum.status).toBe("succeeded");
    expect(quantum.steps.at(-1)).toMatchObject({ step: "log", status: "failed" });
    expect(quantum.steps.at(-1)?.message).toContain("nowhere");
  });

  it("leaves no run under way when it cannot log to it, and says why on the run", async () => {
    const here = await quantumGround({}, (tracking) => ({
      ...tracking,
      putArtifact: async () => {
        throw new Error("The artifacts have no room.");
      },
    }));
    try {
      const body = { language: "qsharp", source: bellSource, log: { experiment: "quantum" } };
      const submitted = await call(here.app, "POST", "/api/v1/quantum/jobs", body);
      await here.runner.drain();
      const { id } = submitted.body as Job;
      const quantum = (await call(here.app, "GET", `/api/v1/quantum/jobs/${id}`)).body as QuantumJob;
      expect(quantum).toMatchObject({ status: "succeeded" });
      expect(quantum.steps.at(-1)).toMatchObject({ step: "log", status: "failed" });
      const run = await call(here.app, "GET", `/api/2.0/mlflow/runs/get?run_id=${quantum.runId}`);
      expect(run.body).toMatchObject({ run: { info: { status: "FAILED" } } });
      expect(JSON.stringify(run.body)).toContain("The artifacts have no room.");
    } finally {
      await here.close();
    }
  });
});

describe("a quantum job ends early", () => {
  it("refused, where a gate of its policy does not pass", async () => {
    const { job, quantum } = await run({
      language: "qsharp",
      source: bellSource,
      policy: { maxPhysicalQubits: 449 },
    });
    expect(quantum).toMatchObject({ status: "refused", workspaceJob: null, histogram: null });
    expect(quantum.error).toContain("450 physical qubits estimated, at most 449 allowed");
    expect(quantum.policy).toContainEqual(
      expect.objectContaining({ gate: "maxPhysicalQubits", passed: false }),
    );
    expect(job).toMatchObject({ state: "failed", attempt: 1 });
  });

  it("refused, where a unit test fails", async () => {
    const source = `${bellSource}\n@Test() operation Never() : Unit { Fact(false, "never"); }`;
    const { quantum } = await run({ language: "qsharp", source });
    expect(quantum.status).toBe("refused");
    expect(quantum.error).toContain("main.Never");
  });

  it("refused, where the program does not fit the target's profile", async () => {
    const source = "operation Main() : Int { use q = Qubit(); H(q); MResetZ(q) == One ? 1 | 0 }";
    const { quantum } = await run({ language: "qsharp", source, target: "ketline.simulator.base" });
    expect(quantum).toMatchObject({ status: "refused" });
    expect(quantum.error).toMatch(/fitsProfile: main\.qs:1:\d+/);
  });

  it("failed, where the profile asked for is more than the target can do", async () => {
    const { quantum } = await run({
      language: "qsharp",
      source: bellSource,
      target: "ketline.simulator.base",
      profile: "adaptive_ri",
    });
    expect(quantum).toMatchObject({
      status: "failed",
      error: expect.stringContaining("can do base at most"),
    });
  });

  it("failed, where the program does not compile, with the place", async () => {
    const { job, quantum } = await run({ language: "qsharp", source: "operation Main() : Int { Nope() }" });
    expect(quantum).toMatchObject({ status: "failed" });
    expect(quantum.error).toMatch(/^main\.qs:1:26: .*Nope/);
    expect(job).toMatchObject({ state: "failed", attempt: 1, error: quantum.error });
  });

  it("failed, where its entry is not there or its arguments do not fit, before anything runs", async () => {
    const body = { language: "qsharp", source: "operation F(n : Int) : Int { n }" };
    const missing = await run({ ...body, entry: "G" });
    expect(missing.quantum).toMatchObject({ status: "failed", workspaceJob: null });
    expect(missing.quantum.error).toContain('no callable "G"');
    const unfit = await run({ ...body, entry: "F", arguments: ["x"] });
    expect(unfit.quantum.error).toContain('The argument n is "x"');
    const ambiguous = await run({ ...body, entry: "F(1, 2)" });
    expect(ambiguous.quantum.error).toMatch(/^entry:1:/);
  });

  it("for good: its job, tried again, says so", async () => {
    const { job } = await run({ language: "qsharp", source: "operation Main() : Int { Nope() }" });
    await call(ground.app, "POST", `/api/v1/jobs/${job.id}/retry`);
    await ground.runner.drain();
    const again = (await call(ground.app, "GET", `/api/v1/jobs/${job.id}`)).body as Job;
    expect(again).toMatchObject({ state: "failed", error: expect.stringContaining("Submit it anew") });
  });

  it("failed, where shots fail while the program runs", async () => {
    const source =
      'operation Main() : Int { use q = Qubit(); H(q); if MResetZ(q) == One { fail "tails"; } 0 }';
    const { quantum } = await run({ language: "qsharp", source, shots: 100 });
    expect(quantum.status).toBe("failed");
    expect(quantum.error).toMatch(/\d+ of 100 shots failed: .*tails/);
    expect(quantum.workspaceJob).toMatchObject({ status: "Failed" });
  });

  it("cancelled, before it begins", async () => {
    const { id } = await submit({ language: "qsharp", source: bellSource });
    const answer = await call(ground.app, "POST", `/api/v1/quantum/jobs/${id}/cancel`, {
      reason: "not needed",
    });
    expect(answer).toMatchObject({ status: 200, body: { status: "cancelled" } });
    expect((await call(ground.app, "GET", `/api/v1/jobs/${id}`)).body).toMatchObject({ state: "cancelled" });
    expect((await quantumJob(id)).error).toContain("not needed");
  });

  it("cancelled, while it runs: its workspace's job is cancelled too", async () => {
    const { id } = await submit(long);
    const attempt = ground.runner.runOne(id);
    while ((await quantumJob(id)).workspaceJob === null) await new Promise(setImmediate);
    const answer = await call(ground.app, "POST", `/api/v1/quantum/jobs/${id}/cancel`);
    expect(answer.status).toBe(200);
    await attempt;
    expect(await quantumJob(id)).toMatchObject({ status: "cancelled" });
    expect((await call(ground.app, "GET", `/api/v1/jobs/${id}`)).body).toMatchObject({ state: "cancelled" });
    const again = await call(ground.app, "POST", `/api/v1/quantum/jobs/${id}/cancel`);
    expect(again.status).toBe(200);
  });

  it("cancelled through its job under /api/v1/jobs, once it is looked after", async () => {
    const { id } = await submit({ language: "qsharp", source: bellSource });
    await call(ground.app, "POST", `/api/v1/jobs/${id}/cancel`);
    expect((await quantumJob(id)).status).toBe("queued");
    await ground.timer("quantum-follow");
    expect((await quantumJob(id)).status).toBe("cancelled");
  });
});

describe("quantumJobEnded", () => {
  const told = (id: string) => toldBy(ground, "quantum.job.ended").filter(({ jobId }) => jobId === id);
  const target = "ketline.simulator";

  it("is told once, with the shots whose results were read and the time since the submission", async () => {
    const { id } = await submit({ language: "qsharp", source: bellSource, shots: 70 });
    ground.clock.advance(1500);
    expect(told(id)).toEqual([]);
    await ground.runner.drain();
    await ground.timer("quantum-follow");
    expect((await call(ground.app, "POST", `/api/v1/quantum/jobs/${id}/cancel`)).status).toBe(409);
    const event = { jobId: id, workspace: "local", target, state: "succeeded", shots: 70, durationMs: 1500 };
    expect(told(id)).toEqual([event]);
  });

  it("is told of a refusal, which ran no shots, and not again when its job is retried", async () => {
    const policy = { maxPhysicalQubits: 1 };
    const { job } = await run({ language: "qsharp", source: bellSource, policy });
    await call(ground.app, "POST", `/api/v1/jobs/${job.id}/retry`);
    await ground.runner.drain();
    const event = { jobId: job.id, workspace: "local", target, state: "refused", shots: null, durationMs: 0 };
    expect(told(job.id)).toEqual([event]);
  });

  it("is told of a cancellation by the first who sees it", async () => {
    const { id } = await submit({ language: "qsharp", source: bellSource });
    await call(ground.app, "POST", `/api/v1/jobs/${id}/cancel`);
    await Promise.all([1, 2, 3].map(() => ground.timer("quantum-follow")));
    await call(ground.app, "POST", `/api/v1/quantum/jobs/${id}/cancel`);
    const event = { jobId: id, workspace: "local", target, state: "cancelled", shots: null, durationMs: 0 };
    expect(told(id)).toEqual([event]);
  });
});

describe("quantum jobs survive", () => {
  it("a stop in the middle: the same workspace job is finished once", async () => {
    const { id } = await submit(long);
    const { jobs, queue, clock, logger } = ground;
    const first = createJobRunner({ jobs, queue, clock, logger, concurrency: 1, instanceId: "first" });
    const attempt = first.runOne(id);
    while ((await quantumJob(id)).workspaceJob === null) await new Promise(setImmediate);
    await first.stop(0);
    await attempt;
    expect(["submitted", "executing"]).toContain((await quantumJob(id)).status);
    expect((await call(ground.app, "GET", `/api/v1/jobs/${id}`)).body).toMatchObject({ state: "queued" });
    await ground.runner.drain();
    const quantum = await quantumJob(id);
    expect(quantum).toMatchObject({ status: "succeeded", histogram: { shots: long.shots } });
    expect(stepsOf(quantum).filter((step) => step.startsWith("submit"))).toHaveLength(1);
  });

  it("being submitted twice under one key", async () => {
    const body = { language: "qsharp", source: bellSource, idempotencyKey: "once" };
    const first = await submit(body);
    const second = await submit(body);
    expect(second.id).toBe(first.id);
  });
});

describe("reading quantum jobs", () => {
  it("gives the histogram as numbers beside what was expected, and as a picture", async () => {
    const { quantum } = await run({
      language: "qsharp",
      source: bellSource,
      name: "<bell>",
      expected: { probabilities: { "00": 0.5, "11": 0.5 }, alpha: 1e-4 },
    });
    const { body } = await call(ground.app, "GET", `/api/v1/quantum/jobs/${quantum.id}/histogram?limit=1`);
    const histogram = body as {
      shots: number;
      outcomes: { count: number; expected: number }[];
      otherShots: number;
    };
    expect(histogram).toMatchObject({ shots: 1000, otherOutcomes: 1, outcomes: [{ expected: 0.5 }] });
    expect(histogram.outcomes[0]!.count + histogram.otherShots).toBe(1000);
    const picture = await call(ground.app, "GET", `/api/v1/quantum/jobs/${quantum.id}/histogram.svg`);
    expect(picture.headers.get("content-type")).toBe("image/svg+xml");
    expect(picture.body).toContain('class="expected"');
    expect(picture.body).not.toContain("<bell>");
  });

  it("has no histogram before it has run", async () => {
    const { id } = await submit({ language: "qsharp", source: bellSource });
    const answer = await call(ground.app, "GET", `/api/v1/quantum/jobs/${id}/histogram`);
    expect(answer).toMatchObject({ status: 404, body: { detail: expect.stringContaining("queued") } });
  });

  it("lists them newest first, page by page, by status and target", async () => {
    const ids: string[] = [];
    const target = "ketline.simulator.adaptive";
    for (let index = 0; index < 3; index++) {
      ground.clock.advance(1000);
      ids.push((await submit({ language: "qsharp", source: bellSource, target })).id);
    }
    const path = `/api/v1/quantum/jobs?target=${target}&limit=2`;
    const first = (await call(ground.app, "GET", path)).body as {
      items: QuantumJob[];
      nextCursor: string;
    };
    expect(first.items.map(({ id }) => id)).toEqual([ids[2], ids[1]]);
    const second = await call(ground.app, "GET", `${path}&cursor=${first.nextCursor}`);
    expect((second.body as { items: QuantumJob[] }).items[0]).toMatchObject({ id: ids[0] });
    const none = await call(ground.app, "GET", `${path}&status=cancelled`);
    expect(none.body).toEqual({ items: [] });
  });

  it("does not know what is not there", async () => {
    expect(await call(ground.app, "GET", "/api/v1/quantum/jobs/nope")).toMatchObject({ status: 404 });
    expect(await call(ground.app, "POST", "/api/v1/quantum/jobs/nope/cancel")).toMatchObject({ status: 404 });
  });
});

describe("a submission is refused with what would be right", () => {
  it.each([
    [{ seed: 1 }, "takes no seed"],
    [{ shots: 0 }, "shots is 0"],
    [{ shots: 100_001 }, "shots is 100001"],
    [{ target: "ionq.qpu" }, "KETLINE_QUANTUM_WORKSPACE"],
    [{ target: "ketline.nothing" }, "ketline.simulator.noisy"],
    [{ noise: { pX: 0.1 } }, "ketline.simulator.noisy"],
    [{ expected: { probabilities: { "00": 0.4 } } }, "sum to 0.4"],
    [{ expected: {} }, "either probabilities or uniform"],
    [{ entry: "F(1)", arguments: [1] }, "name of a callable"],
    [{ files: [{ name: "a.qs", text: "" }] }, "either as"],
    [{ unknown: 1 }, "unknown"],
  ])("%j", async (changes, message) => {
    const body = { language: "qsharp", source: bellSource, ...changes };
    const answer = await call(ground.app, "POST", "/api/v1/quantum/jobs", body);
    expect(answer.status).toBe(400);
    expect((answer.body as { detail: string }).detail).toContain(message);
  });
});

describe("looking at programs", () => {
  const post = (path: string, body: object) => call(ground.app, "POST", `/api/v1/quantum/${path}`, body);

  it("checks them for a profile", async () => {
    const source = "operation Main() : Int {\n  use q = Qubit(); H(q);\n  MResetZ(q) == One ? 1 | 0\n}";
    expect(await post("check", { language: "qsharp", source })).toMatchObject({
      status: 200,
      body: { ok: true, diagnostics: [] },
    });
    const based = await post("check", { language: "qsharp", source, profile: "base" });
    expect(based).toMatchObject({ status: 200, body: { ok: false } });
    expect(JSON.stringify(based.body)).toContain("CapabilitiesCk");
    const tests = await post("check", { language: "qsharp", source: bellSource });
    expect(tests.body).toMatchObject({ ok: true, tests: ["main.BothAgree"] });
  });

  it("compiles them to QIR, or says where they do not fit", async () => {
    const good = await post("qir", { language: "openqasm", source: bellQasm });
    expect(good).toMatchObject({ status: 200, body: { profile: "base", gates: { twoQubit: 1 } } });
    expect((good.body as { qir: string }).qir).toContain("__quantum__qis__cx__body");
    const bad = await post("qir", { language: "qsharp", source: "operation Main() : Int { Nope() }" });
    expect(bad).toMatchObject({
      status: 400,
      body: { diagnostics: expect.arrayContaining([expect.objectContaining({ line: 1, column: 26 })]) },
    });
  });

  it("stops those that do not end, at the caller's cost", { timeout: 60_000 }, async () => {
    const source = "operation Main() : Int { mutable n = 0; while true { set n += 1; } n }";
    const answer = await post("circuits", { language: "qsharp", source, method: "simulate" });
    expect(answer).toMatchObject({ status: 413, body: { detail: expect.stringContaining("20 s") } });
  });

  it("draws them", async () => {
    const drawn = await post("circuits", { language: "qsharp", source: bellSource });
    expect((drawn.body as { text: string }).text).toContain("q0 ─H──●──M");
  });

  it("estimates them as a job, one answer for each of the parameters", async () => {
    const { body } = await post("estimates", {
      language: "qsharp",
      source: "operation Main() : Result { use q = Qubit(); T(q); Rz(0.3, q); MResetZ(q) }",
      parameters: [
        { qubitParams: { name: "qubit_gate_ns_e4" } },
        { estimateType: "frontier" },
        { constraints: { maxPhysicalQubits: 10 } },
      ],
    });
    await ground.runner.drain();
    const job = (await call(ground.app, "GET", `/api/v1/jobs/${(body as Job).id}`)).body as Job;
    expect(job.state).toBe("succeeded");
    const { estimates } = job.result as {
      estimates: { status: string; frontier?: unknown[]; code?: string }[];
    };
    expect(estimates.map(({ status }) => status)).toEqual(["success", "success", "failed"]);
    expect(estimates[1]!.frontier!.length).toBeGreaterThan(0);
    expect(estimates[2]!.code).toBe("Qdk.Qsc.Estimates.MaxPhysicalQubitsTooSmall");
  });

  it("fails an estimate whose parameters the estimator does not know, without trying again", async () => {
    const { body } = await post("estimates", {
      language: "qsharp",
      source: bellSource,
      parameters: [{ qubitParams: { name: "qubit_of_nobody" } }],
    });
    await ground.runner.drain();
    const job = (await call(ground.app, "GET", `/api/v1/jobs/${(body as Job).id}`)).body as Job;
    expect(job).toMatchObject({ state: "failed", attempt: 1 });
  });
});

describe("a hybrid loop", () => {
  it("minimises what a program computes, as a job with its way written down", async () => {
    const source = `operation Cosine(parameters : Double[], shots : Int) : Double {
      mutable sum = 0;
      for _ in 1..shots { use q = Qubit(); Ry(parameters[0], q); set sum += MResetZ(q) == Zero ? 1 | -1; }
      Std.Convert.IntAsDouble(sum) / Std.Convert.IntAsDouble(shots)
    }`;
    const body = {
      source,
      entry: "Cosine",
      initial: [1.5],
      shots: 400,
      method: { kind: "parameterShift", iterations: 8 },
    };
    const answer = await call(ground.app, "POST", "/api/v1/quantum/minimisations", body);
    expect(answer.status).toBe(202);
    await ground.runner.drain();
    const job = (await call(ground.app, "GET", `/api/v1/jobs/${(answer.body as Job).id}`)).body as Job;
    expect(job).toMatchObject({ state: "succeeded", kind: "quantum.minimise" });
    const { value, history } = job.result as { value: number; history: unknown[] };
    expect(value).toBeLessThan(-0.95);
    expect(history).toHaveLength(9);
    const refused = await call(ground.app, "POST", "/api/v1/quantum/minimisations", {
      ...body,
      entry: "F(1)",
    });
    expect(refused).toMatchObject({ status: 400 });
  });
});

describe("who may", () => {
  it("read is a viewer, submit a contributor", async () => {
    const guarded = await quantumGround({ env: { KETLINE_ADMIN_TOKEN: testAdminToken } });
    try {
      const viewer = bearer(await createTokenFor(guarded.app, "viewer"));
      const contributor = bearer(await createTokenFor(guarded.app, "contributor"));
      const body = { language: "qsharp", source: bellSource };
      const path = "/api/v1/quantum/jobs";
      expect((await call(guarded.app, "POST", path, body, viewer)).status).toBe(403);
      expect((await call(guarded.app, "POST", path, body, contributor)).status).toBe(202);
      expect((await call(guarded.app, "GET", path, undefined, viewer)).status).toBe(200);
      expect((await call(guarded.app, "GET", path)).status).toBe(401);
    } finally {
      await guarded.close();
    }
  });
});
