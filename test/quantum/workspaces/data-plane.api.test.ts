import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Answer, call } from "../../support/application.ts";
import {
  bellQasm,
  bellSource,
  type QuantumGround,
  quantumGround,
  workspacePath,
} from "../../support/quantum.ts";
import { bearer, createTokenFor, testAdminToken } from "../../support/tokens.ts";

let ground: QuantumGround;
beforeAll(async () => {
  ground = await quantumGround();
});
afterAll(() => ground.close());

type Body = Record<string, unknown>;
const plane = (method: string, path: string, body?: unknown) =>
  call(ground.app, method, `${workspacePath}/${path}`, body);
const pathOf = (url: unknown) => {
  const { pathname, search } = new URL(String(url));
  return pathname + search;
};
const codeOf = ({ body }: Answer) => (body as { error: { code: string; message: string } }).error;

/** Uploads an input and submits a job for it, as the stock client does. */
async function submit(id: string, input: string | Uint8Array, job: Body): Promise<Answer> {
  const { body } = await plane("POST", "storage/sasUri", { containerName: `job-${id}` });
  const container = String((body as { sasUri: string }).sasUri);
  const [address, query] = container.split("?");
  const blob = `${address}/inputData`;
  const uploaded = await call(ground.app, "PUT", pathOf(`${blob}?${query}`), input, {
    "x-ms-blob-type": "BlockBlob",
    "if-none-match": "*",
  });
  expect(uploaded.status).toBe(201);
  return plane("PUT", `jobs/${id}`, {
    name: id,
    itemType: "Job",
    providerId: "ketline",
    target: "ketline.simulator",
    containerUri: container,
    inputDataUri: blob,
    outputDataFormat: "microsoft.quantum-results.v2",
    inputParams: { shots: 50 },
    ...job,
  });
}

async function finished(id: string): Promise<Body> {
  await ground.runner.drain();
  return (await plane("GET", `jobs/${id}`)).body as Body;
}

const qirOf = async (source: string, profile: string) => {
  const body = { language: "qsharp", source, profile };
  return (await call(ground.app, "POST", "/api/v1/quantum/qir", body)).body as { qir: string };
};

describe("a job of the local workspace", () => {
  it("is submitted, run and read as on Azure", async () => {
    const put = await submit("bell", bellQasm, { inputDataFormat: "qasm.v3", tags: ["a"] });
    expect(put).toMatchObject({ status: 201, body: { id: "bell", status: "Waiting", itemType: "Job" } });
    const job = await finished("bell");
    expect(job).toMatchObject({
      status: "Completed",
      outputDataFormat: "microsoft.quantum-results.v2",
      tags: ["a"],
      errorData: null,
      costEstimate: { currencyCode: "USD", estimatedTotal: 0 },
      usage: { shots: 50 },
    });
    const results = await call(ground.app, "GET", pathOf(job.outputDataUri));
    const [result] = (results.body as { Results: { Histogram: { Display: string }[]; Shots: unknown[] }[] })
      .Results;
    expect(result!.Shots).toHaveLength(50);
    for (const { Display } of result!.Histogram) expect(["[0, 0]", "[1, 1]"]).toContain(Display);
  });

  it("reads Q#, gzip and QIR, and writes the first version of results where it is asked for", async () => {
    await submit("zipped", gzipSync(bellSource), { inputDataFormat: "ketline.qsharp.v1" });
    const { qir } = await qirOf(bellSource, "base");
    await submit("qir", qir, {
      inputDataFormat: "qir.v1",
      outputDataFormat: "microsoft.quantum-results.v1",
      target: "ketline.simulator.base",
      inputParams: { entryPoint: "ENTRYPOINT__main", arguments: [], target_profile: "Base", shots: 100 },
    });
    expect(await finished("zipped")).toMatchObject({ status: "Completed" });
    const job = await finished("qir");
    const { body } = await call(ground.app, "GET", pathOf(job.outputDataUri));
    const { Histogram } = body as { Histogram: (string | number)[] };
    expect(Histogram.filter((one) => typeof one === "string").sort()).toEqual(["(0, 0)", "(1, 1)"]);
    expect(Histogram.reduce<number>((sum, one) => sum + (typeof one === "number" ? one : 0), 0)).toBeCloseTo(
      1,
      12,
    );
  });

  it("fails with a reason, as the client shows it", async () => {
    await submit("wrong", "OPENQASM 3.0; nonsense;", { inputDataFormat: "qasm.v3" });
    expect(await finished("wrong")).toMatchObject({
      status: "Failed",
      errorData: { code: "InvalidProgram", message: expect.stringContaining("main.qasm:1:") },
    });
    const { qir } = await qirOf(
      "operation Main() : Result { use q = Qubit(); H(q); if M(q) == One { X(q); } MResetZ(q) }",
      "adaptive_ri",
    );
    await submit("unfit", qir, { inputDataFormat: "qir.v1", target: "ketline.simulator.base" });
    expect(await finished("unfit")).toMatchObject({
      status: "Failed",
      errorData: { message: expect.stringContaining("adaptive_profile") },
    });
    await submit("bitcode", Uint8Array.from([0x42, 0x43, 0xc0, 0xde]), { inputDataFormat: "qir.v1" });
    expect(await finished("bitcode")).toMatchObject({
      status: "Failed",
      errorData: { message: expect.stringContaining("bitcode") },
    });
  });

  it("is one job with one execution, however many clients submit it at the same moment", async () => {
    const { body } = await plane("POST", "storage/sasUri", { containerName: "job-raced" });
    const put = () =>
      plane("PUT", "jobs/raced", {
        target: "ketline.simulator",
        containerUri: (body as { sasUri: string }).sasUri,
        inputDataFormat: "qasm.v3",
        outputDataFormat: "microsoft.quantum-results.v2",
      });
    const answers = await Promise.all(Array.from({ length: 8 }, put));
    expect(answers.map(({ status }) => status).toSorted()).toEqual([...Array(7).fill(200), 201]);
    const executions = await ground.jobs.list({ kind: "quantum.execute" }, undefined, 100);
    expect(executions.filter(({ spec }) => (spec as { id: string }).id === "raced")).toHaveLength(1);
    await ground.runner.drain();
  });

  it("fails where its input was never uploaded", async () => {
    const { body } = await plane("POST", "storage/sasUri", { containerName: "job-empty" });
    const containerUri = (body as { sasUri: string }).sasUri;
    await plane("PUT", "jobs/empty", {
      target: "ketline.simulator",
      containerUri,
      inputDataFormat: "qasm.v3",
    });
    expect(await finished("empty")).toMatchObject({
      status: "Failed",
      errorData: { message: expect.stringContaining("not uploaded") },
    });
  });

  it("is the same job when it is submitted again, and no other under its id", async () => {
    const first = await submit("twice", bellQasm, { inputDataFormat: "qasm.v3" });
    const job = {
      target: "ketline.simulator",
      containerUri: (first.body as Body).containerUri,
      inputDataFormat: "qasm.v3",
    };
    expect((await plane("PUT", "jobs/twice", job)).status).toBe(200);
    const other = await plane("PUT", "jobs/twice", { ...job, target: "ketline.simulator.base" });
    expect(other.status).toBe(409);
    expect(codeOf(other).code).toBe("Conflict");
  });

  it("is cancelled, renamed, tagged and deleted with its data", async () => {
    await submit("edited", bellQasm, { inputDataFormat: "qasm.v3" });
    const early = await plane("DELETE", "jobs/edited");
    expect(early).toMatchObject({
      status: 409,
      body: { error: { message: expect.stringContaining("cancel it first") } },
    });
    const renamed = await plane("PATCH", "jobs/edited", { name: "better", tags: ["x"], priority: "High" });
    expect(renamed).toMatchObject({ status: 200, body: { name: "better", tags: ["x"], priority: "High" } });
    const older = await plane("PATCH", "jobUpdateOptions/edited", { name: "best" });
    expect(older.body).toMatchObject({ name: "best", tags: ["x"] });
    const cancelled = await plane("POST", "jobs/edited:cancel");
    expect(cancelled).toMatchObject({ status: 200, body: { status: "Cancelled" } });
    expect(await finished("edited")).toMatchObject({ status: "Cancelled" });
    expect((await plane("DELETE", "jobs/edited")).status).toBe(204);
    expect((await plane("GET", "jobs/edited")).status).toBe(404);
    const left = await ground.blobs.list("quantum-workspaces/");
    expect(left.blobs.filter(({ key }) => key.includes("/job-edited/"))).toEqual([]);
    const actions = await call(ground.app, "GET", "/api/v1/audit?limit=200");
    expect(JSON.stringify(actions.body)).toContain("quantum-workspace.delete");
  });

  it("is cancelled by DELETE of clients from before that meant to delete", async () => {
    await submit("older", bellQasm, { inputDataFormat: "qasm.v3" });
    expect((await plane("DELETE", "jobs/older?api-version=2024-10-01-preview")).status).toBe(204);
    expect((await plane("GET", "jobs/older")).body).toMatchObject({ status: "Cancelled" });
  });

  it("runs with noise only where the target has some", async () => {
    const noisy = { inputDataFormat: "qasm.v3", inputParams: { shots: 200, noise: { pX: 0.3 } } };
    const refused = await submit("quiet", bellQasm, noisy);
    expect(refused.status).toBe(400);
    await submit("loud", bellQasm, { ...noisy, target: "ketline.simulator.noisy" });
    const job = await finished("loud");
    const { body } = await call(ground.app, "GET", pathOf(job.outputDataUri));
    expect(JSON.stringify(body)).toContain("[0, 1]");
  });
});

describe("lists of the local workspace", () => {
  it("are filtered, ordered and paged, one workspace apart from another", async () => {
    for (const id of ["list-a", "list-b", "list-c"]) {
      ground.clock.advance(1000);
      await submit(id, bellQasm, { inputDataFormat: "qasm.v3" });
    }
    await plane("POST", "jobs/list-b:cancel");
    const ids = ({ body }: Answer) => (body as { value: { id: string }[] }).value.map(({ id }) => id);
    const list = (filter: string, more = "") =>
      plane("GET", `jobs?filter=${encodeURIComponent(filter)}${more}`);
    expect(ids(await list("startswith(Name, 'list-')"))).toEqual(["list-c", "list-b", "list-a"]);
    expect(ids(await list("startswith(Name, 'list-')", "&orderby=Name%20asc"))).toEqual([
      "list-a",
      "list-b",
      "list-c",
    ]);
    expect(
      ids(await list("startswith(Name, 'list-') and (State eq 'Cancelled' or State eq 'Failed')")),
    ).toEqual(["list-b"]);
    expect(ids(await list("startswith(Name, 'list_')"))).toEqual([]);
    expect(ids(await list("startswith(Name, 'list-') and CreationTime ge 2026-01-06"))).toEqual([]);
    const first = await list("startswith(Name, 'list-')", "&top=2");
    expect(ids(first)).toEqual(["list-c", "list-b"]);
    const { nextLink } = first.body as { nextLink: string };
    const second = await call(ground.app, "GET", pathOf(nextLink));
    expect(ids(second)).toEqual(["list-a"]);
    expect((second.body as { nextLink: unknown }).nextLink).toBeNull();
    const elsewhere = await call(ground.app, "GET", `${workspacePath}2/jobs`);
    expect(ids(elsewhere)).toEqual([]);
    const otherCase = await call(ground.app, "GET", `${workspacePath.toLowerCase()}/jobs?top=1`);
    expect(ids(otherCase)).toHaveLength(1);
  });

  it("refuse what they do not understand", async () => {
    for (const query of ["filter=Name%20like%20'x'", "orderby=Size", "top=-1", "skip=x"]) {
      expect((await plane("GET", `jobs?${query}`)).status).toBe(400);
    }
  });

  it("name the targets and what they are", async () => {
    const { body } = await plane("GET", "providerStatus");
    const [provider] = (body as { value: { id: string; targets: Body[] }[] }).value;
    expect(provider).toMatchObject({ id: "ketline", currentAvailability: "Available" });
    expect(provider!.targets.map(({ id }) => id)).toContain("ketline.simulator.noisy");
    for (const { averageQueueTime } of provider!.targets)
      expect(Number.isInteger(averageQueueTime)).toBe(true);
    expect((await plane("GET", "quotas")).body).toMatchObject({ value: [{ providerId: "ketline" }] });
    expect((await plane("GET", "quotaUsages")).body).toMatchObject({ value: [] });
  });
});

describe("sessions of the local workspace", () => {
  const session = { name: "s", providerId: "ketline", target: "ketline.simulator", itemType: "Session" };

  it("group jobs, and take no more once they are closed", async () => {
    expect(await plane("PUT", "sessions/s1", session)).toMatchObject({
      status: 200,
      body: { status: "Waiting" },
    });
    await submit("in-s1", bellQasm, { inputDataFormat: "qasm.v3", sessionId: "s1" });
    expect(await finished("in-s1")).toMatchObject({ status: "Completed", sessionId: "s1" });
    expect((await plane("GET", "sessions/s1")).body).toMatchObject({ status: "Executing" });
    expect((await plane("GET", "sessions/s1/jobs")).body).toMatchObject({ value: [{ id: "in-s1" }] });
    expect((await plane("POST", "sessions/s1:close")).body).toMatchObject({ status: "Succeeded" });
    const late = await submit("late", bellQasm, { inputDataFormat: "qasm.v3", sessionId: "s1" });
    expect(late).toMatchObject({
      status: 409,
      body: { error: { message: expect.stringContaining("Succeeded") } },
    });
    const items = (await plane("GET", "topLevelItems")).body as { value: { id: string; itemType: string }[] };
    expect(items.value).toContainEqual(expect.objectContaining({ id: "s1", itemType: "Session" }));
    expect(items.value.map(({ id }) => id)).not.toContain("in-s1");
  });

  it("end with their first failed job, or count it, as their policy says", async () => {
    const wrong = { inputDataFormat: "qasm.v3" };
    await plane("PUT", "sessions/strict", session);
    await submit("fails", "nonsense", { ...wrong, sessionId: "strict" });
    await finished("fails");
    expect((await plane("GET", "sessions/strict")).body).toMatchObject({ status: "Failed" });
    await plane("PUT", "sessions/lenient", { ...session, jobFailurePolicy: "Continue" });
    await submit("fails-too", "nonsense", { ...wrong, sessionId: "lenient" });
    await finished("fails-too");
    expect((await plane("GET", "sessions/lenient")).body).toMatchObject({ status: "Executing" });
    expect((await plane("POST", "sessions/lenient:close")).body).toMatchObject({ status: "Failure(s)" });
  });

  it("are for one target, and must be there", async () => {
    await plane("PUT", "sessions/one", session);
    const job = { inputDataFormat: "qasm.v3", target: "ketline.simulator.base" };
    expect((await submit("astray", bellQasm, { ...job, sessionId: "one" })).status).toBe(400);
    expect((await submit("lost", bellQasm, { ...job, sessionId: "none" })).status).toBe(404);
  });
});

describe("the data plane refuses", () => {
  it.each([
    [{ target: "ionq.simulator" }, "it has ketline.simulator"],
    [{ inputDataFormat: "rigetti.quil.v1" }, "reads ketline.program.v1"],
    [{ inputDataFormat: "constructor" }, "reads ketline.program.v1"],
    [{ outputDataFormat: "microsoft.quantum-log.v1" }, "microsoft.quantum-results.v2"],
    [{ inputParams: { shots: 0 } }, "inputParams.shots"],
    [{ inputParams: { shots: 1e9 } }, "inputParams.shots"],
    [{ containerUri: "https://elsewhere.example.org/job" }, "containerUri"],
    [{ containerUri: "not a url" }, "containerUri"],
    [{ inputDataUri: "http://localhost/blobs/registry/secret" }, "inputDataUri"],
    [{ inputDataUri: `http://localhost/blobs/quantum-workspaces/a/b/c/job-1/inputData` }, "inputDataUri"],
    [{ containerUri: undefined }, "containerUri"],
  ])("a job with %j", async (changes, message) => {
    const answer = await submit("refused", bellQasm, { inputDataFormat: "qasm.v3", ...changes }).catch(
      async () => plane("PUT", "jobs/refused", {}),
    );
    expect(answer.status).toBe(400);
    expect(codeOf(answer).message).toContain(message);
    const container =
      "quantum-workspaces/11111111-2222-3333-4444-555555555555/lab/bench/job-refused/inputData";
    await ground.blobs.delete(container);
  });

  it.each([
    ["GET", "jobs/none"],
    ["POST", "jobs/none:cancel"],
    ["DELETE", "jobs/none"],
    ["GET", "sessions/none"],
    ["GET", "nothing"],
    ["POST", "jobs/none:explode"],
    ["GET", "jobs/a/b/c"],
  ])("%s %s with 404 in Azure's words", async (method, path) => {
    const answer = await plane(method, path);
    expect(answer.status).toBe(404);
    expect(codeOf(answer).code).toBe("ResourceNotFound");
  });

  it.each([
    ["PUT", "jobs/a%2F..%2Fb", {}],
    ["PUT", "jobs/%ff", {}],
    ["POST", "storage/sasUri", { containerName: "../secret" }],
    ["POST", "storage/sasUri", {}],
    ["PUT", "sessions/x", { target: "nope" }],
  ])("%s %s with 400", async (method, path, body) => {
    expect((await plane(method, path, body)).status).toBe(400);
  });

  it("links with a name that leads elsewhere", async () => {
    const { body } = await plane("POST", "storage/sasUri", { containerName: "c", blobName: "../../x" });
    const { sasUri } = body as { sasUri: string };
    expect(
      (await call(ground.app, "PUT", pathOf(sasUri), "x", { "x-ms-blob-type": "BlockBlob" })).status,
    ).toBeGreaterThanOrEqual(400);
  });

  it("writing by viewers, whose links only read", async () => {
    const guarded = await quantumGround({ env: { KETLINE_ADMIN_TOKEN: testAdminToken } });
    try {
      const viewer = bearer(await createTokenFor(guarded.app, "viewer"));
      const contributor = bearer(await createTokenFor(guarded.app, "contributor"));
      const sas = `${workspacePath}/storage/sasUri`;
      expect((await call(guarded.app, "POST", sas, { containerName: "job-1" }, viewer)).status).toBe(403);
      const { body } = await call(guarded.app, "POST", sas, { containerName: "job-1" }, contributor);
      const job = {
        target: "ketline.simulator",
        containerUri: (body as { sasUri: string }).sasUri,
        inputDataFormat: "qasm.v3",
      };
      await call(guarded.app, "PUT", `${workspacePath}/jobs/1`, job, contributor);
      const seen = await call(guarded.app, "GET", `${workspacePath}/jobs/1`, undefined, viewer);
      expect(new URL(String((seen.body as Body).containerUri)).searchParams.get("sp")).toBe("rl");
    } finally {
      await guarded.close();
    }
  });
});

describe("what waits in the local workspace", () => {
  it("is taken up by the sweep when the server stopped before it was queued", async () => {
    await submit("forgotten", bellQasm, { inputDataFormat: "qasm.v3" });
    const { items } = (await call(ground.app, "GET", "/api/v1/jobs?kind=quantum.execute&limit=1")).body as {
      items: { id: string }[];
    };
    // As if the job had never been written: only the workspace's item is there.
    await ground.database
      .tables<{ job: { id: string } }>()
      .deleteFrom("job")
      .where("id", "=", items[0]!.id)
      .execute();
    ground.clock.advance(61_000);
    await ground.timer("quantum-sweep");
    expect(await finished("forgotten")).toMatchObject({ status: "Completed" });
  });

  it("is ended where the server that ran it will not come back", async () => {
    await submit("abandoned", bellQasm, { inputDataFormat: "qasm.v3" });
    const tables = ground.database.tables<{
      quantum_workspace_item: { id: string; state: string; owner: string };
    }>();
    // As a job leaves it that was killed in its last attempt.
    const left = { state: "Executing", owner: "a-job-that-is-no-more" };
    await tables.updateTable("quantum_workspace_item").set(left).where("id", "=", "abandoned").execute();
    ground.clock.advance(61_000);
    await ground.timer("quantum-sweep");
    expect(await finished("abandoned")).toMatchObject({ status: "Failed", errorData: { code: "Abandoned" } });
  });

  it("is cancelled when its job was", async () => {
    await submit("dropped", bellQasm, { inputDataFormat: "qasm.v3" });
    const { items } = (await call(ground.app, "GET", "/api/v1/jobs?kind=quantum.execute&limit=1")).body as {
      items: { id: string }[];
    };
    await call(ground.app, "POST", `/api/v1/jobs/${items[0]!.id}/cancel`);
    ground.clock.advance(61_000);
    await ground.timer("quantum-sweep");
    expect(await finished("dropped")).toMatchObject({ status: "Cancelled" });
  });
});
