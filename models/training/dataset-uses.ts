import type { Doomed } from "../datasets/index.ts";
import type { Registry } from "../registry/index.ts";
import type { Tracking } from "../tracking/index.ts";
import type { TrainingStore } from "./store.ts";

const pageSize = 200;

/**
 * Who was trained on a version of a data set and is still there: runs that are not deleted, and versions of registered
 * models. Without both, the training is history.
 */
export async function* datasetUses(
  ground: {
    readonly store: TrainingStore;
    readonly tracking: Pick<Tracking, "activeRuns">;
    readonly registry: Pick<Registry, "versionsOfRuns">;
  },
  { dataset, version }: Doomed,
): AsyncGenerator<string> {
  const { store, tracking, registry } = ground;
  for (let after = ""; ; ) {
    const page = await store.runsOn(dataset, version?.version, after, pageSize);
    const runIds = page.flatMap(({ run_id }) => run_id ?? []);
    if (runIds.length > 0) {
      for (const { name, version: number } of await registry.versionsOfRuns(runIds)) {
        yield `version ${number} of the model "${name}"`;
      }
      for (const runId of await tracking.activeRuns(runIds)) yield `the run ${runId}`;
    }
    if (page.length < pageSize) return;
    after = page.at(-1)?.job_id ?? "";
  }
}
