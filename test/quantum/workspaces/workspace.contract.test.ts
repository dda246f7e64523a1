import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { histogramOfResults } from "../../../quantum/results/results.ts";
import { createSimulator } from "../../../quantum/simulator/simulator.ts";
import { azureQuantumWorkspace } from "../../../quantum/workspaces/azure.ts";
import { createAzureClient } from "../../../quantum/workspaces/azure-client.ts";
import { createExecution } from "../../../quantum/workspaces/execution.ts";
import { createLocalWorkspace } from "../../../quantum/workspaces/local.ts";
import { localQuantumWorkspace } from "../../../quantum/workspaces/local-adapter.ts";
import { createItemStore } from "../../../quantum/workspaces/store.ts";
import type {
  NewWorkspaceJob,
  QuantumWorkspace,
  WorkspaceJob,
} from "../../../quantum/workspaces/workspace.ts";
import { systemActor } from "../../../shared/identity/actor.ts";
import { listen } from "../../support/mlflow.ts";
import { bellQasm, type QuantumGround, quantumGround, workspacePath } from "../../support/quantum.ts";
import { testAdminToken } from "../../support/tokens.ts";

/** One adapter under test, and how to take it down. */
interface Adapter {
  readonly workspace: QuantumWorkspace;
  close(): Promise<void>;
}

async function local(): Promise<Adapter> {
  const ground = await quantumGround();
  const { blobs, clock } = ground;
  const items = createItemStore(ground.database);
  const simulator = createSimulator(ground);
  const workspace = createLocalWorkspace({ items, blobs, clock });
  const execute = createExecution({ items, blobs, simulator, workspace, clock });
  return {
    workspace: localQuantumWorkspace({ local: workspace, execute, blobs, actor: systemActor("test") }),
    close: ground.close,
  };
}

/** Azure's adapter against the local workspace behind a real socket, with a token in the header of workspace keys. */
async function azure(): Promise<Adapter> {
  const ground: QuantumGround = await quantumGround({ env: { KETLINE_ADMIN_TOKEN: testAdminToken } });
  const server = await listen(ground);
  ground.runner.start();
  const sleep = async (ms: number, signal: AbortSignal) => {
    await delay(ms, undefined, { signal });
  };
  const authorise = async () => ({ "x-ms-quantum-api-key": testAdminToken });
  const client = createAzureClient({ authorise, fetch, sleep });
  return {
    workspace: azureQuantumWorkspace({
      resourceId: workspacePath,
      client,
      endpoint: async () => `${server.url}/`,
      sleep,
    }),
    async close() {
      await server.close();
      await ground.close();
    },
  };
}

const signal = AbortSignal.timeout(120_000);
const newJob = (changes: Partial<NewWorkspaceJob> = {}): NewWorkspaceJob => ({
  id: randomUUID(),
  name: "bell",
  target: "ketline.simulator",
  providerId: "ketline",
  input: { format: "qasm.v3", contentType: "text/plain", text: bellQasm },
  outputFormat: "microsoft.quantum-results.v2",
  inputParams: { shots: 100 },
  metadata: { reason: "contract" },
  tags: ["contract"],
  ...changes,
});

describe.each([
  ["the local adapter", local],
  ["the adapter for Azure Quantum", azure],
] as const)("%s", (_, open) => {
  let adapter: Adapter;
  let workspace: QuantumWorkspace;
  beforeAll(async () => {
    adapter = await open();
    workspace = adapter.workspace;
  });
  afterAll(() => adapter.close());

  const follow = (id: string, seen: WorkspaceJob[] = []) =>
    workspace.follow(id, { signal, forMs: 60_000, onStatus: (job) => void seen.push(job) });

  it("lists targets with profile, availability and noise", async () => {
    const targets = await workspace.targets(signal);
    expect(targets.map(({ id, profile, noisy }) => [id, profile, noisy])).toEqual([
      ["ketline.simulator", "unrestricted", false],
      ["ketline.simulator.base", "base", false],
      ["ketline.simulator.adaptive", "adaptive_rif", false],
      ["ketline.simulator.noisy", "unrestricted", true],
    ]);
    expect(
      targets.every(
        ({ availability, providerId }) => availability === "Available" && providerId === "ketline",
      ),
    ).toBe(true);
  });

  it("submits, follows to the end and reads the results", async () => {
    const job = newJob();
    expect(await workspace.submit(job, signal)).toMatchObject({
      id: job.id,
      name: "bell",
      status: "Waiting",
    });
    const seen: WorkspaceJob[] = [];
    const done = await follow(job.id, seen);
    expect(done).toMatchObject({ status: "Completed", error: null, cost: { amount: 0, currency: "USD" } });
    expect(done.startedMs).not.toBeNull();
    expect(done.endedMs).not.toBeNull();
    expect(seen.at(-1)?.status).toBe("Completed");
    const { format, document } = await workspace.results(job.id, signal);
    expect(format).toBe("microsoft.quantum-results.v2");
    const histogram = histogramOfResults(document, { shots: 100 });
    expect(histogram.shots).toBe(100);
    for (const { outcome } of histogram.outcomes) expect(["00", "11"]).toContain(outcome);
  });

  it("changes nothing when a job is submitted again", async () => {
    const job = newJob();
    await workspace.submit(job, signal);
    await follow(job.id);
    expect(await workspace.submit(job, signal)).toMatchObject({ status: "Completed" });
  });

  it("tells why a job failed, and has no results for it", async () => {
    const job = newJob({ input: { format: "qasm.v3", contentType: "text/plain", text: "nonsense" } });
    await workspace.submit(job, signal);
    const done = await follow(job.id);
    expect(done).toMatchObject({ status: "Failed", error: { code: "InvalidProgram" } });
    await expect(workspace.results(job.id, signal)).rejects.toMatchObject({ kind: "conflict" });
  });

  it("cancels a job, and leaves one that has ended as it is", async () => {
    const endless = "operation Main() : Int { mutable n = 0; while true { set n += 1; } n }";
    const job = newJob({ input: { format: "ketline.qsharp.v1", contentType: "text/plain", text: endless } });
    await workspace.submit(job, signal);
    const following = follow(job.id);
    expect(await workspace.cancel(job.id, signal)).toMatchObject({ status: "Cancelled" });
    expect(await following).toMatchObject({ status: "Cancelled" });
    expect(await workspace.cancel(job.id, signal)).toMatchObject({ status: "Cancelled" });
  });

  it("stops following when its time is up, or the caller's", async () => {
    const endless = "operation Main() : Int { mutable n = 0; while true { set n += 1; } n }";
    const job = newJob({ input: { format: "ketline.qsharp.v1", contentType: "text/plain", text: endless } });
    await workspace.submit(job, signal);
    const controller = new AbortController();
    const following = workspace.follow(job.id, { signal: controller.signal, forMs: 60_000 });
    controller.abort(new Error("enough"));
    await expect(following).rejects.toThrow(/enough|aborted/);
    await workspace.cancel(job.id, signal);
  });

  it("lists by name, status and target, quotes and all", async () => {
    const job = newJob({ name: "it's one of a kind", target: "ketline.simulator.base" });
    await workspace.submit(job, signal);
    await follow(job.id);
    const ids = async (filter: Parameters<QuantumWorkspace["jobs"]>[0]) =>
      (await workspace.jobs(filter, signal)).map(({ id }) => id);
    expect(await ids({ namePrefix: "it's one" })).toEqual([job.id]);
    expect(await ids({ namePrefix: "it's one", statuses: ["Failed", "Cancelled"] })).toEqual([]);
    expect(await ids({ target: "ketline.simulator.base", statuses: ["Completed"] })).toEqual([job.id]);
  });

  it("refuses what the workspace does not have", async () => {
    await expect(workspace.submit(newJob({ target: "ketline.nothing" }), signal)).rejects.toMatchObject({
      kind: "invalid",
      message: expect.stringContaining("ketline.nothing"),
    });
    await expect(workspace.job("nothing", signal)).rejects.toMatchObject({ kind: "not_found" });
    await expect(workspace.cancel("nothing", signal)).rejects.toMatchObject({ kind: "not_found" });
  });
});
