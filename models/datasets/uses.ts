import { z } from "zod";
import type { Job, JobOperations } from "../../shared/jobs/index.ts";
import type { DatasetStore } from "./store.ts";

/** What is to be deleted: a version, or with all of its versions a data set. */
export interface Doomed {
  readonly dataset: string;
  readonly version?: {
    readonly version: string;
    /** The job that read it, or reads it. */
    readonly jobId: string | null;
    /** Whether nothing would be `latest` without it. */
    readonly isLastReady: boolean;
  };
}

/**
 * Whoever cannot do without a version. Data sets know nobody above them, so the composition root hands these in.
 *
 * @returns each use in words that name it, e.g. `the monitor "drift"`
 */
export type FindUses = (doomed: Doomed) => AsyncIterable<string>;

/** Whether what somebody wrote down as a version (a hash, its beginning, or `latest`) means what is to be deleted. */
export function isMeant({ version }: Doomed, written: string): boolean {
  if (version === undefined) return true;
  return written === "latest" ? version.isLastReady : version.version.startsWith(written);
}

const Reading = z.object({
  dataset: z.string(),
  version: z.string().optional(),
  output: z.string().optional(),
});
const Spec = z.union([Reading, z.object({ window: Reading }).transform(({ window }) => window)]);
const pageSize = 200;

/** Jobs under way that read a version, or are about to add one to a data set that is to be deleted. */
export async function* jobsUnderWay(
  jobs: Pick<JobOperations, "list">,
  doomed: Doomed,
): AsyncGenerator<string> {
  for (const state of ["running", "queued"] as const) {
    for await (const job of listed(jobs, { state })) {
      if (needs(job, doomed)) yield `the job ${job.id} (${job.kind}), which is ${job.state}`;
    }
  }
}

const Made = z.object({
  dataset: z.string(),
  version: z.string(),
  source: z.object({ dataset: z.string(), version: z.string() }),
});

/** Versions that jobs of a kind made from it, as their results say, and that are still there. */
export async function* versionsMadeFrom(
  ground: {
    readonly jobs: Pick<JobOperations, "list">;
    readonly store: Pick<DatasetStore, "getVersion">;
    readonly kind: string;
  },
  doomed: Doomed,
): AsyncGenerator<string> {
  const { jobs, store, kind } = ground;
  for await (const job of listed(jobs, { kind, state: "succeeded" })) {
    const { data: made } = Made.safeParse(job.result);
    if (made?.source.dataset !== doomed.dataset || !isMeant(doomed, made.source.version)) continue;
    if (doomed.version === undefined && made.dataset === doomed.dataset) continue;
    if ((await store.getVersion(made.dataset, made.version)) === undefined) continue;
    yield `version ${made.version} of the data set "${made.dataset}", which the job ${job.id} (${kind}) made from it`;
  }
}

async function* listed(
  jobs: Pick<JobOperations, "list">,
  filter: Parameters<JobOperations["list"]>[0],
): AsyncGenerator<Job> {
  let after: Job | undefined;
  do {
    const page = await jobs.list(filter, after, pageSize);
    yield* page;
    after = page.length < pageSize ? undefined : page.at(-1);
  } while (after !== undefined);
}

function needs(job: Job, doomed: Doomed): boolean {
  const { dataset, version } = doomed;
  if (version !== undefined && job.id === version.jobId) return true;
  const { data: spec } = Spec.safeParse(job.spec);
  if (spec === undefined) return false;
  if (version === undefined && spec.output === dataset) return true;
  if (spec.dataset !== dataset) return false;
  return version === undefined || (spec.version !== undefined && isMeant(doomed, spec.version));
}
