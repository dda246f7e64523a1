import type { Logger } from "pino";
import { z } from "zod";
import type { Clock } from "../../shared/clock.ts";
import { isKetlineError } from "../../shared/errors.ts";
import { type Actor, systemActor } from "../../shared/identity/index.ts";
import type { JobKind, Jobs } from "../../shared/jobs/index.ts";
import { JobInterruption } from "../../shared/jobs/index.ts";
import type { Execute } from "./execution.ts";
import type { LocalWorkspace } from "./local.ts";
import type { ItemRow, ItemStore } from "./store.ts";

const ItemSpec = z.object({ workspace: z.string(), id: z.string() });
export type ItemSpec = z.infer<typeof ItemSpec>;

/** The job that runs what was submitted to the local workspace over the wire. */
export function executeKind(local: LocalWorkspace, execute: Execute): JobKind<ItemSpec, null> {
  return {
    kind: "quantum.execute",
    spec: ItemSpec,
    role: "contributor",
    // What became of it stands in the workspace's own items.
    unneeded: async (ids) => ids,
    async run({ spec: { workspace, id }, jobId, isEndedBy, signal, progress }) {
      try {
        await execute({
          workspace,
          id,
          owner: jobId,
          signal,
          isEndedBy,
          onProgress: progress,
        });
        return null;
      } catch (error) {
        const interruption: unknown = signal.aborted ? signal.reason : undefined;
        const gone = isKetlineError(error, "not_found");
        if (interruption instanceof JobInterruption && /cancelled|timeout/.test(interruption.why) && !gone) {
          await local.cancelJob(workspace, id);
        }
        throw error;
      }
    },
  };
}

/** Has a waiting job of the local workspace executed. Doing so again changes nothing. */
export async function enqueueExecution(
  jobs: Jobs,
  kind: JobKind<ItemSpec, null>,
  row: Pick<ItemRow, "workspace" | "id" | "created_ms">,
  actor: Actor,
) {
  const { workspace, id } = row;
  return jobs.submit(kind, { workspace, id }, { actor, idempotencyKey: executionKey(row) });
}

/** Stores a job of the local workspace together with the job that executes it. @returns whether it was new */
export async function insertWithExecution(
  {
    jobs,
    kind,
    items,
  }: { readonly jobs: Jobs; readonly kind: JobKind<ItemSpec, null>; readonly items: ItemStore },
  row: ItemRow,
  actor: Actor,
): Promise<boolean> {
  const { workspace, id } = row;
  let isNew = false;
  try {
    await jobs.submit(
      kind,
      { workspace, id },
      {
        actor,
        idempotencyKey: executionKey(row),
        async alongside(transaction) {
          if (!(await items.insert(row, transaction))) throw new TakenId();
          isNew = true;
        },
      },
    );
    // Another one of the same moment has the same key, and came first.
    return isNew;
  } catch (error) {
    if (error instanceof TakenId) return false;
    throw error;
  }
}

/** Somebody else stored a job under the id first: the transaction is undone, its job with it. */
class TakenId extends Error {}

/** The time tells a job from one of the same id that was deleted before. */
function executionKey({
  workspace,
  id,
  created_ms,
}: Pick<ItemRow, "workspace" | "id" | "created_ms">): string {
  return `${workspace}/${id}@${created_ms}`;
}

/** What has not changed for so long was left behind: the job that was to execute it is no more, or the server stopped for good in the middle. */
const forgottenMs = 60_000;
const sweptAtOnce = 100;

/** Enqueues what was left behind, cancels what was cancelled through its job, and ends what nobody executes any more. */
export async function sweepLeftBehind(options: {
  readonly items: ItemStore;
  readonly local: LocalWorkspace;
  readonly jobs: Jobs;
  readonly kind: JobKind<ItemSpec, null>;
  readonly clock: Clock;
  readonly logger: Logger;
}): Promise<void> {
  const { items, local, jobs, kind, clock, logger } = options;
  const beforeMs = clock() - forgottenMs;
  for (const row of await items.unchanged("Waiting", beforeMs, sweptAtOnce)) {
    // A job of Ketline's own API is run by the job of its id, which may itself be waiting.
    if (await isAlive(jobs, row.id)) continue;
    const job = await enqueueExecution(jobs, kind, row, systemActor("quantum-sweep"));
    if (job.state === "cancelled" || job.state === "failed") {
      logger.info(
        { workspace: row.workspace, id: row.id },
        "a waiting job's execution has ended; it is cancelled",
      );
      await local.cancelJob(row.workspace, row.id);
    }
  }
  for (const row of await items.unchanged("Executing", beforeMs, sweptAtOnce)) {
    if (row.owner === null || (await isAlive(jobs, row.owner))) continue;
    logger.warn({ workspace: row.workspace, id: row.id }, "a job was executed by a job that is no more");
    await local.abandonJob(row, "The server stopped while it ran this job, and could not take it up again.");
  }
}

async function isAlive(jobs: Jobs, id: string): Promise<boolean> {
  try {
    const { state } = await jobs.get(id);
    return state === "queued" || state === "running";
  } catch (error) {
    if (isKetlineError(error, "not_found")) return false;
    throw error;
  }
}
