import type { Logger } from "pino";
import type { z } from "zod";
import {
  createMlflowClient,
  type MlflowClient,
  MlflowError,
  type RetryOptions,
} from "../../clients/mlflow/index.ts";
import {
  forbidden,
  invalid,
  isKetlineError,
  notFound,
  unavailable,
  unsupported,
} from "../../shared/errors.ts";
import type { JobContext, JobKind } from "../../shared/jobs/index.ts";
import type { Registry } from "../registry/index.ts";
import type { Tracking } from "../tracking/index.ts";
import { type Copying, type ExperimentPair, ledgerOf } from "./copying/copying.ts";
import { closeExperiment, isDoneWith, openExperiment, planExperiments } from "./copying/experiments.ts";
import { localClient } from "./copying/local-server.ts";
import { copyLoggedModels } from "./copying/logged-models.ts";
import { copyModel, planModels } from "./copying/registered-models.ts";
import { copyRuns, countRuns } from "./copying/runs.ts";
import { createTally } from "./copying/tally.ts";
import type { CredentialSeal } from "./credentials.ts";
import { TransferJobSpec, type TransferReport, TransferRequest } from "./schemas.ts";
import type { TransferRow, TransferStore } from "./store.ts";

export interface TransferJobOptions {
  readonly store: TransferStore;
  readonly seal: CredentialSeal;
  readonly tracking: Tracking;
  readonly registry: Registry;
  readonly logger: Logger;
  /** Reaches the other server; the platform's own by default. */
  readonly fetch?: typeof fetch;
  readonly retries?: RetryOptions;
}

const dayMs = 24 * 3600_000;
const transferAttempts = 5;

/** Copies from server to server. It may be ended at any moment: the next attempt goes on from what the ledger says. */
export function transferJob(
  options: TransferJobOptions,
): JobKind<z.infer<typeof TransferJobSpec>, TransferReport> {
  return {
    kind: "transfer.copy",
    spec: TransferJobSpec,
    role: "operator",
    maxAttempts: transferAttempts,
    timeoutMs: 7 * dayMs,
    async run(context) {
      const { store } = options;
      const row = await store.get(context.spec.transfer);
      if (row === undefined) throw notFound(`There is no transfer "${context.spec.transfer}".`);
      const request = TransferRequest.parse(JSON.parse(row.request));
      try {
        const report = await transfer(options, context, row, request);
        if (row.sealed_credentials !== null) await store.update(row.id, { sealed_credentials: "" });
        return report;
      } catch (error) {
        if (context.signal.aborted) throw error;
        throw explained(error, request.server.url);
      }
    },
  };
}

async function transfer(
  options: TransferJobOptions,
  context: JobContext<unknown>,
  row: TransferRow,
  request: TransferRequest,
): Promise<TransferReport> {
  const { signal } = context;
  const other = otherClient(options, row, request);
  const local = localClient({ ...options, actor: context.actor });
  const isImport = request.direction === "import";
  const [source, target] = isImport ? [other, local] : [local, other];
  let total = 0;
  const tally = createTally((runs, bytes) => {
    const done = total === 0 ? 0 : runs / total;
    context.progress(0.95 * done, `${runs} of ${total} runs, ${bytes} bytes of artifacts`);
  });
  const plan = {
    source,
    target,
    adopt: isImport ? options.tracking : undefined,
    ledger: ledgerOf(options.store, row.scope),
    request,
    tally,
    signal,
  };
  try {
    context.progress(0, "looking at what there is");
    const experiments = await planExperiments(plan);
    const models = await planModels(plan);
    const withLoggedModels = await bothHaveLoggedModels(context, source, target);
    const pairs = new Map<string, ExperimentPair>();
    const copying: Copying = { ...plan, withLoggedModels, experiments: pairs, making: new Map() };
    const open: [(typeof experiments)[number], ExperimentPair][] = [];
    for (const planned of experiments) {
      if (await isDoneWith(plan, planned)) {
        tally.count("experiments", "unchanged");
        continue;
      }
      const pair = await openExperiment(copying, planned);
      pairs.set(pair.sourceId, pair);
      open.push([planned, pair]);
    }
    total = await countRuns(
      copying,
      open.map(([, { sourceId }]) => sourceId),
    );
    context.log(`${open.length} experiments with ${total} runs, ${models.length} registered models.`);
    for (const [planned, pair] of open) {
      // Whoever began it must be allowed to for as long as it goes on.
      await context.actorNow();
      await copyLoggedModels(copying, pair);
      await copyRuns(copying, pair);
      if (planned.source.lifecycle_stage === "active") await closeExperiment(copying, planned, pair);
    }
    context.progress(0.95, "copying registered models");
    for (const model of models) {
      await context.actorNow();
      await copyModel(copying, model);
    }
    // Last: no version can be made of a run in a deleted experiment on every server.
    for (const [planned, pair] of open) {
      if (planned.source.lifecycle_stage !== "active") await closeExperiment(copying, planned, pair);
    }
    return tally.report();
  } finally {
    const report = tally.report();
    for (const { kind, id, reason } of report.skipped) context.log(`Skipped ${kind} ${id}: ${reason}`);
    await options.store.update(row.id, { report: JSON.stringify(report) });
  }
}

function otherClient(options: TransferJobOptions, row: TransferRow, request: TransferRequest): MlflowClient {
  if (row.sealed_credentials === "") {
    throw invalid(
      "The credentials of this transfer were deleted when it ended. Start it again with them: it goes on where it stopped.",
    );
  }
  const send = options.fetch ?? fetch;
  return createMlflowClient({
    url: request.server.url,
    ...(row.sealed_credentials === null ? {} : { auth: options.seal.open(row.id, row.sealed_credentials) }),
    ...(options.retries === undefined ? {} : { retries: options.retries }),
    // A redirect would lead this server to an address that the operator has not named.
    fetch: (input, init) => send(input, { ...init, redirect: "error" }),
  });
}

async function bothHaveLoggedModels(
  context: JobContext<unknown>,
  source: MlflowClient,
  target: MlflowClient,
): Promise<boolean> {
  for (const [side, client] of [
    ["source", source],
    ["target", target],
  ] as const) {
    if (await client.loggedModels.areSupported(context)) continue;
    context.log(
      `The ${side} has no logged models: they are left out, and models in runs' artifacts are copied.`,
    );
    return false;
  }
  return true;
}

/** What a server's refusal means for the job: whether to try again, and what people should be told. */
function explained(error: unknown, url: string): unknown {
  if (isKetlineError(error) || !(error instanceof MlflowError)) return error;
  const { status, code, call, message } = error;
  const details = { cause: error };
  if (status === 401 || status === 403) {
    return forbidden(
      `The server at ${url} refused the credentials (${status} for ${call}): ${message}`,
      details,
    );
  }
  if (code === "ENDPOINT_NOT_FOUND") return unsupported(message, details);
  if (code === "INVALID_RESPONSE") return invalid(message, details);
  if (status >= 400 && status < 500 && status !== 429)
    return invalid(`${call} was refused: ${message}`, details);
  return unavailable(status === 0 ? message : `${call} failed with ${status}: ${message}`, details);
}
