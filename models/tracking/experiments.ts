import type { z } from "zod";
import { invalid, notFound } from "../../shared/errors.ts";
import type { Actor } from "../../shared/identity/index.ts";
import {
  checkKey,
  checkLength,
  comparisonsOf,
  limits,
  loadPage,
  orderOf,
  type ViewType,
} from "../../shared/mlflow/index.ts";
import { storeOf, type TrackingContext, transact } from "./context.ts";
import { checkExperimentName, experimentNumber } from "./names.ts";
import type { SearchExperiments } from "./schemas.ts";
import {
  changeExperiment,
  deleteExperimentTag as deleteTag,
  type Experiment,
  experimentTarget,
  findExperiment,
  findExperimentByName,
  insertExperiment,
  type KeyValue,
  loadExperiments,
  searchExperimentIds,
  setExperimentTags as setTags,
} from "./store/experiments.ts";
import { changeRunsOf } from "./store/runs.ts";
import type { Store } from "./store/statement.ts";
import type { LifecycleStage } from "./store/tables.ts";

export type ExperimentWithTags = Experiment & { readonly tags: readonly KeyValue[] };

const stagesOf: Readonly<Record<ViewType, readonly LifecycleStage[]>> = {
  ACTIVE_ONLY: ["active"],
  DELETED_ONLY: ["deleted"],
  ALL: ["active", "deleted"],
};

/** The lifecycle stages that a view shows. */
export function stagesOfView(view: ViewType): readonly LifecycleStage[] {
  return stagesOf[view];
}

/** @throws invalid when the name is taken, also by a deleted experiment. @returns its id */
export async function createExperiment(
  context: TrackingContext,
  experiment: {
    readonly name: string;
    readonly artifactLocation?: string | undefined;
    readonly tags: readonly KeyValue[];
  },
  actor: Actor,
): Promise<string> {
  const { name, tags } = experiment;
  checkExperimentName(name);
  for (const tag of tags) checkExperimentTag(tag);
  const location = experiment.artifactLocation === "" ? undefined : experiment.artifactLocation;
  if (location !== undefined) checkArtifactLocation(location);
  const now = context.clock();
  const id = await transact(context, async (store) => {
    const inserted = await insertExperiment(store, {
      name,
      artifact_location: location?.replace(/\/$/, ""),
      lifecycle_stage: "active",
      created_ms: now,
      updated_ms: now,
    });
    if (inserted === undefined) throw taken(name, await findExperimentByName(store, name));
    await setTags(store, inserted.experiment_id, tags);
    return String(inserted.experiment_id);
  });
  await context.audit.record({
    actor,
    action: "experiment.create",
    subject: `experiment/${id}`,
    after: { name },
  });
  return id;
}

function taken(name: string, other: Experiment | undefined) {
  const hint =
    other?.lifecycle_stage === "deleted"
      ? " It is deleted: restore it, or choose another name."
      : " Choose another name.";
  return invalid(`Experiment(name=${name}) already exists.${hint}`, { code: "RESOURCE_ALREADY_EXISTS" });
}

/** The id of the experiment of that name, made when there is none. @throws invalid when it is deleted. */
export async function ensureExperiment(
  context: TrackingContext,
  name: string,
  actor: Actor,
): Promise<string> {
  const found = await findExperimentByName(storeOf(context), name);
  if (found !== undefined) {
    checkActive(found);
    return String(found.experiment_id);
  }
  try {
    return await createExperiment(context, { name, tags: [] }, actor);
  } catch (error) {
    // Somebody else made it in between.
    const other = await findExperimentByName(storeOf(context), name);
    if (other === undefined) throw error;
    checkActive(other);
    return String(other.experiment_id);
  }
}

/** @throws notFound. */
export async function getExperiment(context: TrackingContext, id: string): Promise<ExperimentWithTags> {
  const [found] = await loadExperiments(storeOf(context), [experimentNumber(id)]);
  if (found === undefined) throw noExperiment(id);
  return found;
}

/** @throws notFound. */
export async function getExperimentByName(
  context: TrackingContext,
  name: string,
): Promise<ExperimentWithTags> {
  const store = storeOf(context);
  const found = await findExperimentByName(store, name);
  const [experiment] = found === undefined ? [] : await loadExperiments(store, [found.experiment_id]);
  if (experiment === undefined) throw notFound(`Could not find experiment with name '${name}'`);
  return experiment;
}

/** @throws notFound. */
export async function requireExperiment(store: Store, id: string): Promise<Experiment> {
  const found = await findExperiment(store, experimentNumber(id));
  if (found === undefined) throw noExperiment(id);
  return found;
}

/** @throws notFound; invalid when it is deleted. */
export async function requireActiveExperiment(store: Store, id: string): Promise<Experiment> {
  const experiment = await requireExperiment(store, id);
  checkActive(experiment);
  return experiment;
}

/** Deletes it with its runs; both can be restored. @throws notFound when there is no active one. */
export async function deleteExperiment(context: TrackingContext, id: string, actor: Actor): Promise<void> {
  await changeStage(context, id, "active", "deleted", actor);
}

/** @throws notFound when there is no deleted one. */
export async function restoreExperiment(context: TrackingContext, id: string, actor: Actor): Promise<void> {
  await changeStage(context, id, "deleted", "active", actor);
}

async function changeStage(
  context: TrackingContext,
  id: string,
  from: LifecycleStage,
  to: LifecycleStage,
  actor: Actor,
): Promise<void> {
  const number = experimentNumber(id);
  const now = context.clock();
  await transact(context, async (store) => {
    if (!(await changeExperiment(store, number, from, { lifecycle_stage: to, updated_ms: now }))) {
      throw notFound(`No ${from === "active" ? "active" : "deleted"} experiment with id=${id} exists.`);
    }
    await changeRunsOf(store, number, { lifecycle_stage: to, deleted_ms: to === "deleted" ? now : null });
  });
  await context.audit.record({
    actor,
    action: to === "deleted" ? "experiment.delete" : "experiment.restore",
    subject: `experiment/${id}`,
    before: { lifecycleStage: from },
    after: { lifecycleStage: to },
  });
}

/** @throws notFound; invalid when it is deleted or the name is taken. */
export async function renameExperiment(
  context: TrackingContext,
  id: string,
  name: string,
  actor: Actor,
): Promise<void> {
  checkExperimentName(name);
  const before = await transact(context, async (store) => {
    const experiment = await requireExperiment(store, id);
    if (experiment.lifecycle_stage !== "active") {
      throw invalid(`Cannot rename a non-active experiment: restore experiment ${id} first.`);
    }
    const other = await findExperimentByName(store, name);
    if (other !== undefined && other.experiment_id !== experiment.experiment_id) throw taken(name, other);
    await changeExperiment(store, experiment.experiment_id, "active", {
      name,
      updated_ms: context.clock(),
    });
    return experiment.name;
  });
  await context.audit.record({
    actor,
    action: "experiment.rename",
    subject: `experiment/${id}`,
    before: { name: before },
    after: { name },
  });
}

/** @throws notFound; invalid for a bad key, a long value or a deleted experiment. */
export async function setExperimentTag(context: TrackingContext, id: string, tag: KeyValue): Promise<void> {
  checkExperimentTag(tag);
  await transact(context, async (store) => {
    const experiment = await requireActiveExperiment(store, id);
    await setTags(store, experiment.experiment_id, [tag]);
  });
}

/** @throws notFound when there is no such experiment or tag. */
export async function deleteExperimentTag(context: TrackingContext, id: string, key: string): Promise<void> {
  await transact(context, async (store) => {
    const experiment = await requireActiveExperiment(store, id);
    if (!(await deleteTag(store, experiment.experiment_id, key))) {
      throw notFound(`No tag with name: ${key} in experiment with id ${id}`);
    }
  });
}

export async function searchExperiments(
  context: TrackingContext,
  request: z.infer<typeof SearchExperiments>,
): Promise<{ readonly experiments: readonly ExperimentWithTags[]; readonly nextPageToken?: string }> {
  const store = storeOf(context);
  const items = request.order_by.length === 0 ? ["creation_time DESC"] : request.order_by;
  const page = await searchExperimentIds(store, {
    stages: stagesOfView(request.view_type),
    comparisons: comparisonsOf(request.filter, experimentTarget),
    order: orderOf(items, experimentTarget),
    limit: request.max_results,
    pageToken: request.page_token,
  });
  const { rows, ...rest } = await loadPage(page, (ids) => loadExperiments(store, ids.map(Number)));
  return { experiments: rows, ...rest };
}

function checkExperimentTag({ key, value }: KeyValue): void {
  checkKey(key, "key");
  checkLength(value, limits.experimentTagValue, "value");
}

function checkActive(experiment: Experiment): void {
  if (experiment.lifecycle_stage === "active") return;
  throw invalid(
    `The experiment ${experiment.experiment_id} must be in the 'active' state. Current state is ${experiment.lifecycle_stage}.`,
  );
}

/** The server never touches the place, but clients that are told of it would. */
function checkArtifactLocation(location: string): void {
  checkLength(location, limits.location, "artifact_location");
  if (location.startsWith("runs:")) {
    throw invalid(`Artifact location cannot be a runs:/ URI. Given: '${location}'`);
  }
  if (/[?#]/.test(location) || /(^|[/\\])\.\.([/\\]|$)/.test(decoded(location))) {
    throw invalid(`Invalid artifact location '${location}': it must not hold '..', a query or a fragment.`);
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function noExperiment(id: string) {
  return notFound(`No Experiment with id=${id} exists`);
}
