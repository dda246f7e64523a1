import type { Logger } from "pino";
import type { Clock } from "../clock.ts";
import { roundEnd } from "../retention.ts";
import type { JobKind } from "./job.ts";
import type { EndedJob, JobRetentionStore } from "./retention-store.ts";

const jobsAtOnce = 200;
const linesAtOnce = 5000;

export interface JobRetentionOptions {
  readonly store: JobRetentionStore;
  readonly kinds: ReadonlyMap<string, JobKind>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Removes the jobs that ended before a time: their log lines, and the jobs themselves where their kind says that no other
 * row names them. The lines go first: a crash in between leaves a job without its log, which the next round finds, never
 * lines that belong to nothing. A job that is tried again meanwhile stays.
 *
 * @returns how many went
 */
export async function removeEndedJobs(
  { store, kinds, clock, logger }: JobRetentionOptions,
  beforeMs: number,
): Promise<{ readonly jobs: number; readonly lines: number }> {
  const isOver = roundEnd(clock);
  let jobs = 0;
  let lines = 0;
  let after: EndedJob | undefined;
  while (!isOver()) {
    const page = await store.endedBefore(beforeMs, after, jobsAtOnce);
    after = page.at(-1);
    if (after === undefined) break;
    const ids = page.map(({ id }) => id);
    for (let removed = linesAtOnce; removed === linesAtOnce && !isOver(); lines += removed) {
      removed = await store.deleteLines(ids, beforeMs, linesAtOnce);
    }
    for (const [kind, ended] of Map.groupBy(page, (job) => job.kind)) {
      const unneeded = (await kinds.get(kind)?.unneeded?.(ended.map(({ id }) => id))) ?? [];
      jobs += (await store.deleteEnded(unneeded, beforeMs)).length;
    }
  }
  if (jobs + lines > 0) logger.info({ jobs, lines, endedBeforeMs: beforeMs }, "ended jobs were removed");
  return { jobs, lines };
}
