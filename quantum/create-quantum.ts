import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import type { BlobLinks, BlobStore } from "../shared/blobs/index.ts";
import type { Capability } from "../shared/capability.ts";
import type { Clock } from "../shared/clock.ts";
import type { Config } from "../shared/config.ts";
import type { Database } from "../shared/database/index.ts";
import { invalid } from "../shared/errors.ts";
import { type AuditLog, systemActor } from "../shared/identity/index.ts";
import type { Jobs, WorkerPool } from "../shared/jobs/index.ts";
import type { Events } from "../shared/telemetry/index.ts";
import type { QuantumTracking } from "./jobs/finish.ts";
import { createQuantumJobs } from "./jobs/quantum-jobs.ts";
import { runKind } from "./jobs/run.ts";
import { createQuantumStore } from "./jobs/store.ts";
import { minimiseKind } from "./optimisation/hybrid.ts";
import { estimateKind } from "./programs/estimates.ts";
import { quantumRoutes } from "./routes.ts";
import { createSimulator } from "./simulator/simulator.ts";
import { azureQuantumWorkspace, discoverEndpoint } from "./workspaces/azure.ts";
import { createAzureClient } from "./workspaces/azure-client.ts";
import { createExecution } from "./workspaces/execution.ts";
import { createLocalWorkspace } from "./workspaces/local.ts";
import { localQuantumWorkspace } from "./workspaces/local-adapter.ts";
import { executeKind, insertWithExecution, sweepLeftBehind } from "./workspaces/local-jobs.ts";
import { dataPlaneRoutes } from "./workspaces/routes.ts";
import { createItemStore } from "./workspaces/store.ts";
import { localProvider, localTargets } from "./workspaces/targets.ts";
import type { QuantumWorkspace } from "./workspaces/workspace.ts";

export interface QuantumOptions {
  readonly database: Database;
  readonly blobs: BlobStore;
  /** Signs the storage links that the local workspace hands out. */
  readonly links: BlobLinks;
  readonly jobs: Jobs;
  readonly workers: WorkerPool;
  readonly clock: Clock;
  readonly audit: AuditLog;
  readonly logger: Logger;
  readonly events: Pick<Events, "quantumJobEnded">;
  readonly config: Pick<Config, "quantumWorkspace">;
  /** Runs to log to; quantum jobs work without. */
  readonly tracking?: QuantumTracking;
}

/** Quantum programs and jobs, the local workspace, and the workspace of Azure Quantum where one is configured. */
export function createQuantum(options: QuantumOptions): Capability {
  const { database, blobs, links, jobs, workers, clock, audit, logger, events, tracking } = options;
  const simulator = createSimulator({ workers });
  const items = createItemStore(database);
  const local = createLocalWorkspace({ items, blobs, clock });
  const execute = createExecution({ items, blobs, simulator, workspace: local, clock });
  const simulators = localQuantumWorkspace({ local, execute, blobs, actor: systemActor("quantum") });
  const azure = azureOf(options.config.quantumWorkspace);
  const workspaceOf = (target: string): QuantumWorkspace => {
    if (target.startsWith(`${localProvider}.`)) {
      if (localTargets.some(({ id }) => id === target)) return simulators;
    } else if (azure !== undefined) return azure;
    const known = localTargets.map(({ id }) => id).join(", ");
    const where =
      azure === undefined ? "; KETLINE_QUANTUM_WORKSPACE names no workspace of Azure Quantum" : "";
    throw invalid(`There is no target "${target}". This server has ${known}${where}.`, { field: "target" });
  };
  const store = createQuantumStore(database);
  const shared = { store, blobs, clock, events, tracking, workspaceOf };
  const kind = runKind({ ...shared, simulator, followMs });
  const quantumJobs = createQuantumJobs({ ...shared, jobs, kind, logger });
  const estimating = estimateKind(simulator);
  const minimising = minimiseKind(simulator);
  const executing = executeKind(local, execute);
  return {
    routes: [
      ...quantumRoutes({
        quantumJobs,
        simulator,
        workspaces: azure === undefined ? [simulators] : [simulators, azure],
        submitEstimate: (body, actor) => jobs.submit(estimating, body, { actor }),
        submitMinimisation: (body, actor) => jobs.submit(minimising, body, { actor }),
      }),
      ...dataPlaneRoutes({
        local,
        links,
        audit,
        insert: (row, actor) => insertWithExecution({ jobs, kind: executing, items }, row, actor),
      }),
    ],
    jobKinds: [kind, estimating, minimising, executing],
    timers: [
      { name: "quantum-follow", schedule: "*/30 * * * * *", run: () => quantumJobs.follow() },
      {
        name: "quantum-sweep",
        schedule: "15 * * * * *",
        run: () => sweepLeftBehind({ items, local, jobs, kind: executing, clock, logger }),
      },
    ],
  };
}

/** Within the ten minutes that Azure Functions' consumption plan gives one invocation. */
const followMs = 4 * 60_000;
const scope = "https://quantum.microsoft.com/.default";
const managementScope = "https://management.azure.com/.default";

function azureOf(workspace: Config["quantumWorkspace"]): QuantumWorkspace | undefined {
  if (workspace.kind === "local") return undefined;
  const { resourceId } = workspace;
  const sleep = async (ms: number, signal: AbortSignal) => {
    await delay(ms, undefined, { signal });
  };
  const client = createAzureClient({ authorise: bearerOf(scope), fetch, sleep });
  const management = createAzureClient({ authorise: bearerOf(managementScope), fetch, sleep });
  const endpoint = (signal: AbortSignal) => discoverEndpoint(resourceId, management, signal);
  return azureQuantumWorkspace({ resourceId, client, endpoint, sleep });
}

/** A bearer token of this server's identity, from a credential that is made at first use and renews its tokens itself. */
function bearerOf(wanted: string): () => Promise<Readonly<Record<string, string>>> {
  let credential: Promise<{ getToken(scope: string): Promise<{ readonly token: string }> }> | undefined;
  return async () => {
    credential ??= import("@azure/identity").then(
      ({ DefaultAzureCredential }) => new DefaultAzureCredential(),
    );
    const { token } = await (await credential).getToken(wanted);
    return { authorization: `Bearer ${token}` };
  };
}
