import { setTimeout as sleep } from "node:timers/promises";
import type { BlobStore } from "../../shared/blobs/index.ts";
import { conflict, isMachinesFault } from "../../shared/errors.ts";
import type { Actor } from "../../shared/identity/index.ts";
import { containerPrefix, homeScope, jobDocument, outputKey, scopeKey } from "./documents.ts";
import type { Execute } from "./execution.ts";
import type { Filter } from "./filters.ts";
import type { LocalWorkspace } from "./local.ts";
import type { ItemRow } from "./store.ts";
import { localTargets } from "./targets.ts";
import {
  hasEnded,
  type JobListFilter,
  jobStatusOf,
  type QuantumWorkspace,
  type WorkspaceJob,
} from "./workspace.ts";

const pollMs = 500;

export interface LocalAdapterOptions {
  readonly local: LocalWorkspace;
  readonly execute: Execute;
  readonly blobs: BlobStore;
  readonly actor: Actor;
}

/**
 * The simulators of this server behind the port, without a network. `follow` runs the job in the caller's own time: a
 * job of this server that waited for another one of its kind could hold the last free place.
 */
export function localQuantumWorkspace({
  local,
  execute,
  blobs,
  actor,
}: LocalAdapterOptions): QuantumWorkspace {
  const scope = scopeKey(homeScope);

  const adapter: QuantumWorkspace = {
    kind: "local",
    name: "local",
    targets: async () => localTargets,

    async submit(job) {
      const container = `job-${job.id}`;
      const key = `${containerPrefix(scope, container)}/inputData`;
      const { text, format, contentType } = job.input;
      await blobs.put(key, new TextEncoder().encode(text), { contentType });
      const containerUri = `http://local/blobs/${containerPrefix(scope, container)}`;
      const body = {
        name: job.name,
        target: job.target,
        containerUri,
        inputDataUri: `${containerUri}/inputData`,
        inputDataFormat: format,
        inputParams: { ...job.inputParams },
        outputDataFormat: job.outputFormat,
        metadata: { ...job.metadata },
        tags: [...job.tags],
      };
      return jobOf((await local.putJob(scope, job.id, body, actor)).row);
    },

    job: async (id) => jobOf(await local.job(scope, id)),
    cancel: async (id) => jobOf(await local.cancelJob(scope, id)),

    async jobs(filter) {
      const rows = await local.list({
        workspace: scope,
        itemType: "Job",
        filter: filterOf(filter),
        order: { column: "created_ms", descending: true },
        skip: 0,
        limit: 100,
      });
      return rows.map(jobOf);
    },

    async follow(id, { signal, forMs, onStatus, onProgress }) {
      const untilMs = performance.now() + forMs;
      await onStatus?.(await adapter.job(id, signal));
      for (;;) {
        await execute({
          workspace: scope,
          id,
          owner: id,
          signal,
          isEndedBy: (error) => !isMachinesFault(error),
          ...(onProgress === undefined ? {} : { onProgress }),
        });
        const job = await adapter.job(id, signal);
        if (hasEnded(job.status) || performance.now() >= untilMs) {
          await onStatus?.(job);
          return job;
        }
        await sleep(pollMs, undefined, { signal }); // another instance executes it
      }
    },

    async results(id) {
      const row = await local.job(scope, id);
      if (row.state !== "Completed") throw conflict(`The job ${id} is ${row.state}; it has no results.`);
      const found = await blobs.get(outputKey(row));
      if (found === null) throw conflict(`The results of the job ${id} were deleted.`);
      return {
        format: jobDocument(row).outputDataFormat,
        document: await new Response(found.stream).json(),
      };
    },
  };
  return adapter;
}

function jobOf(row: ItemRow): WorkspaceJob {
  const { beginMs, endMs, error, usage } = jobDocument(row);
  return {
    id: row.id,
    name: row.name,
    target: row.target,
    status: jobStatusOf(row.state),
    createdMs: row.created_ms,
    startedMs: beginMs,
    endedMs: endMs,
    error,
    cost: { amount: 0, currency: "USD" },
    usage,
  };
}

function filterOf({ namePrefix, statuses, target }: JobListFilter): Filter {
  const all: Filter[] = [];
  if (namePrefix !== undefined) all.push({ kind: "startswith", column: "name", text: namePrefix });
  if (target !== undefined) all.push({ kind: "equals", column: "target", text: target });
  if (statuses !== undefined) {
    all.push({
      kind: "or",
      all: statuses.map((text) => ({ kind: "equals", column: "state", text }) as const),
    });
  }
  return { kind: "and", all };
}
