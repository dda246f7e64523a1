import { randomUUID } from "node:crypto";
import type { z } from "zod";
import { invalid, notFound } from "../../shared/errors.ts";
import type { Actor } from "../../shared/identity/index.ts";
import { checkLength, comparisonsOf, limits, loadPage, orderOf } from "../../shared/mlflow/index.ts";
import { storeOf, type TrackingContext, transact } from "./context.ts";
import { requireActiveExperiment, stagesOfView } from "./experiments.ts";
import { checkRunId, checkTag, experimentNumber, randomName, runNameTag } from "./names.ts";
import type { SearchRuns } from "./schemas.ts";
import type { KeyValue } from "./store/experiments.ts";
import { type LoadedRun, loadRuns } from "./store/loading.ts";
import { upsertTags } from "./store/run-data.ts";
import { findRun, insertRun, runTarget, searchRunIds, updateRun as update } from "./store/runs.ts";
import type { Store } from "./store/statement.ts";
import type { RunRow, RunStatus } from "./store/tables.ts";

/** @throws notFound or invalid when the experiment is not there or deleted. */
export async function createRun(
  context: TrackingContext,
  run: {
    /** Drawn at random when not given. */
    readonly runId?: string | undefined;
    readonly experimentId: string;
    readonly userId: string;
    readonly name: string;
    readonly startMs?: number | undefined;
    readonly tags: readonly KeyValue[];
  },
): Promise<LoadedRun> {
  const tags = run.tags.map((tag, index) => checkTag(tag, `tags[${index}]`));
  const named = tags.findLast(({ key }) => key === runNameTag)?.value;
  if (run.name !== "" && named !== undefined && named !== "" && named !== run.name) {
    throw invalid(
      "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values " +
        `(run_name='${run.name}', mlflow.runName='${named}').`,
    );
  }
  const name = run.name || named || randomName();
  checkLength(name, limits.runName, "run_name");
  const allTags = [...tags.filter(({ key }) => key !== runNameTag), { key: runNameTag, value: name }];
  const runId = run.runId ?? randomUUID().replaceAll("-", "");
  const row = await transact(context, async (store): Promise<RunRow> => {
    const experiment = await requireActiveExperiment(store, run.experimentId);
    const row: RunRow = {
      run_id: runId,
      experiment_id: experiment.experiment_id,
      name,
      user_id: run.userId,
      status: "RUNNING",
      start_ms: run.startMs ?? context.clock(),
      end_ms: null,
      lifecycle_stage: "active",
      deleted_ms: null,
      artifact_uri: `${experiment.artifact_location}/${runId}/artifacts`,
    };
    await insertRun(store, row);
    await upsertTags(store, runId, allTags);
    return row;
  });
  const sorted = [...new Map(allTags.map(({ key, value }) => [key, { key, value }])).values()].toSorted(
    (a, b) => (a.key < b.key ? -1 : 1),
  );
  return { ...row, metrics: [], params: [], tags: sorted, datasets: [], models: [] };
}

/**
 * Makes a run under the id that it has on another server; nothing when it is there already.
 *
 * @returns whether the experiment has the run now: false when the id is that of a run of another experiment
 * @throws invalid for an id that no run can have, and like `createRun`.
 */
export async function adoptRun(
  context: TrackingContext,
  run: Parameters<typeof createRun>[1] & { readonly runId: string },
): Promise<boolean> {
  checkRunId(run.runId);
  const found = await findRun(storeOf(context), run.runId);
  if (found !== undefined) return String(found.experiment_id) === run.experimentId;
  await createRun(context, run);
  return true;
}

/** @throws notFound. */
export async function getRun(context: TrackingContext, runId: string): Promise<LoadedRun> {
  const [run] = await loadRuns(storeOf(context), [runId]);
  if (run === undefined) throw noRun(runId);
  return run;
}

/** @throws notFound. */
export async function requireRun(store: Store, runId: string): Promise<RunRow> {
  const run = await findRun(store, runId);
  if (run === undefined) throw noRun(runId);
  return run;
}

/** @throws notFound; invalid when it is deleted. */
export async function requireActiveRun(store: Store, runId: string): Promise<RunRow> {
  const run = await requireRun(store, runId);
  if (run.lifecycle_stage !== "active") throw notActive(runId, run.lifecycle_stage);
  return run;
}

export function noRun(runId: string) {
  return notFound(`Run with id=${runId} not found`);
}

export function notActive(runId: string, stage: string) {
  return invalid(`The run ${runId} must be in the 'active' state. Current state is ${stage}.`);
}

/** Ends it, resumes it, renames it. @throws notFound; invalid when it is deleted. */
export async function updateRun(
  context: TrackingContext,
  runId: string,
  change: {
    readonly status?: RunStatus | undefined;
    readonly endMs?: number | undefined;
    readonly name?: string | undefined;
  },
): Promise<RunRow> {
  return transact(context, async (store) => {
    await requireActiveRun(store, runId);
    const { status, endMs, name } = change;
    await update(store, runId, {
      ...(status === undefined ? {} : { status }),
      ...(endMs === undefined ? {} : { end_ms: endMs }),
      ...(name === undefined || name === "" ? {} : { name }),
    });
    if (name !== undefined && name !== "") await upsertTags(store, runId, [{ key: runNameTag, value: name }]);
    return requireRun(store, runId);
  });
}

/** Ends a run that is still under way; whatever else has become of it stays. */
export async function failRun(
  context: TrackingContext,
  runId: string,
  status: "FAILED" | "KILLED",
  reason: string,
): Promise<void> {
  await transact(context, async (store) => {
    const run = await findRun(store, runId);
    if (run?.status !== "RUNNING" || run.lifecycle_stage !== "active") return;
    await update(store, runId, { status, end_ms: context.clock() });
    const value = reason.slice(0, limits.tagValue);
    await upsertTags(store, runId, [{ key: "ketline.end_reason", value }]);
  });
}

/** Twice is once. @throws notFound. */
export async function changeRunStage(
  context: TrackingContext,
  runId: string,
  stage: "active" | "deleted",
  actor: Actor,
): Promise<void> {
  await transact(context, async (store) => {
    await requireRun(store, runId);
    await update(store, runId, {
      lifecycle_stage: stage,
      deleted_ms: stage === "deleted" ? context.clock() : null,
    });
  });
  await context.audit.record({
    actor,
    action: stage === "deleted" ? "run.delete" : "run.restore",
    subject: `run/${runId}`,
    after: { lifecycleStage: stage },
  });
}

export async function searchRuns(
  context: TrackingContext,
  request: z.infer<typeof SearchRuns>,
): Promise<{ readonly runs: readonly LoadedRun[]; readonly nextPageToken?: string }> {
  const comparisons = comparisonsOf(request.filter, runTarget);
  const order = orderOf(request.order_by, runTarget);
  const experimentIds = request.experiment_ids.map(experimentNumber);
  if (experimentIds.length === 0) return { runs: [] };
  if (!order.some((item) => item.entity === "attribute" && item.attribute.sql === "r.start_ms")) {
    order.push(...orderOf(["start_time DESC"], runTarget));
  }
  const store = storeOf(context);
  const page = await searchRunIds(store, {
    experimentIds,
    stages: stagesOfView(request.run_view_type),
    comparisons,
    order,
    limit: request.max_results,
    pageToken: request.page_token,
  });
  const { rows, ...rest } = await loadPage(page, (ids) => loadRuns(store, ids.map(String)));
  return { runs: rows, ...rest };
}
