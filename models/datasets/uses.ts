import { z } from "zod";
import type { Job, JobBook } from "../../shared/jobs/index.ts";

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
export async function* jobsUnderWay(jobs: Pick<JobBook, "list">, doomed: Doomed): AsyncGenerator<string> {
  for (const state of ["running", "queued"] as const) {
    let after: Job | undefined;
    do {
      const page = await jobs.list({ state }, after, pageSize);
      for (const job of page) {
        if (needs(job, doomed)) yield `the job ${job.id} (${job.kind}), which is ${job.state}`;
      }
      after = page.length < pageSize ? undefined : page.at(-1);
    } while (after !== undefined);
  }
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
