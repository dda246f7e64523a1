import { randomUUID } from "node:crypto";
import type { z } from "zod";
import { invalid, notFound } from "../../shared/errors.ts";
import { type Comparison, comparisonsOf, loadPage, orderOf } from "../../shared/mlflow/index.ts";
import { type ChangeBy, changeRegistry, type RegistryContext, storeOf } from "./context.ts";
import { checkModelName, checkTag } from "./names.ts";
import type { SearchModels } from "./schemas.ts";
import {
  findModel,
  findModelTag,
  insertModel,
  type LoadedModel,
  loadModels,
  modelTarget,
  deleteModel as remove,
  deleteModelTag as removeTag,
  searchModelIds,
  updateModel as update,
  upsertModelTag,
} from "./store/models.ts";
import type { ModelRow, Store } from "./store/tables.ts";
import { promptTag, selectAliases, selectVersions } from "./store/versions.ts";

export interface Tag {
  readonly key: string;
  readonly value: string;
}

/** @throws invalid when the name is taken or bad. */
export async function createModel(
  context: RegistryContext,
  model: { readonly name: string; readonly description: string; readonly tags: readonly Tag[] },
  by: ChangeBy,
): Promise<LoadedModel> {
  const { name, description } = model;
  checkModelName(name);
  for (const tag of model.tags) checkTag(tag);
  const tags = [...new Map(model.tags.map(({ key, value }) => [key, value]))];
  await changeRegistry(context, by, async (change) => {
    const modelUid = randomUUID();
    const isNew = await insertModel(change, {
      model_uid: modelUid,
      name,
      description,
      created_ms: change.nowMs,
      updated_ms: change.nowMs,
      next_version: 1,
    });
    if (!isNew) throw taken(name);
    for (const [key, value] of tags) await upsertModelTag(change, modelUid, { key, value });
    change.record({
      modelUid,
      model: name,
      kind: "model.created",
      after: { description, tags: Object.fromEntries(tags) },
    });
  });
  return getModel(context, name);
}

export async function ensureModel(context: RegistryContext, name: string, by: ChangeBy): Promise<void> {
  if ((await findModel(storeOf(context), name)) !== undefined) return;
  try {
    await createModel(context, { name, description: "", tags: [] }, by);
  } catch (error) {
    // Somebody else made it in between.
    if ((await findModel(storeOf(context), name)) === undefined) throw error;
  }
}

/** @throws notFound. */
export async function getModel(context: RegistryContext, name: string): Promise<LoadedModel> {
  const store = storeOf(context);
  const { model_uid } = await requireModel(store, name);
  const [model] = await loadModels(store, [model_uid]);
  if (model === undefined) throw noModel(name);
  return model;
}

/** @throws notFound; invalid for a name that no model can have. */
export async function requireModel(store: Store, name: string): Promise<ModelRow> {
  checkModelName(name);
  const model = await findModel(store, name);
  if (model === undefined) throw noModel(name);
  return model;
}

/** @throws notFound. */
export async function describeModel(
  context: RegistryContext,
  name: string,
  description: string,
  by: ChangeBy,
): Promise<LoadedModel> {
  await changeRegistry(context, by, async (change) => {
    const model = await requireModel(change, name);
    await update(change, model.model_uid, { description, updated_ms: change.nowMs });
    if (description === model.description) return;
    change.record({
      modelUid: model.model_uid,
      model: name,
      kind: "model.updated",
      before: model.description,
      after: description,
    });
  });
  return getModel(context, name);
}

/** @throws notFound; invalid when the new name is taken or bad. */
export async function renameModel(
  context: RegistryContext,
  name: string,
  newName: string,
  by: ChangeBy,
): Promise<LoadedModel> {
  checkModelName(newName, "new_name");
  await changeRegistry(context, by, async (change) => {
    const model = await requireModel(change, name);
    if (newName === name) return;
    if ((await findModel(change, newName)) !== undefined) throw taken(newName);
    await update(change, model.model_uid, { name: newName, updated_ms: change.nowMs });
    change.record({
      modelUid: model.model_uid,
      model: name,
      kind: "model.renamed",
      before: name,
      after: newName,
    });
  });
  return getModel(context, newName);
}

/** Removes it for good, with its versions; its history stays. @throws notFound. */
export async function deleteModel(context: RegistryContext, name: string, by: ChangeBy): Promise<void> {
  await changeRegistry(context, by, async (change) => {
    const { model_uid: modelUid } = await requireModel(change, name);
    const versions = await selectVersions(change, modelUid);
    for (const { alias, version } of await selectAliases(change, modelUid)) {
      change.record({ modelUid, model: name, kind: "alias.deleted", alias, version, before: version });
    }
    await remove(change, modelUid);
    change.record({
      modelUid,
      model: name,
      kind: "model.deleted",
      before: { versions: versions.map(({ version }) => version) },
    });
  });
}

/** @throws notFound; invalid. */
export async function setModelTag(
  context: RegistryContext,
  name: string,
  tag: Tag,
  by: ChangeBy,
): Promise<void> {
  checkTag(tag);
  await changeRegistry(context, by, async (change) => {
    const { model_uid: modelUid } = await requireModel(change, name);
    const before = await findModelTag(change, modelUid, tag.key);
    if (before === tag.value) return;
    await upsertModelTag(change, modelUid, tag);
    change.record({
      modelUid,
      model: name,
      kind: "model.tag-set",
      tag: tag.key,
      before: before ?? null,
      after: tag.value,
    });
  });
}

/** Nothing happens when there is no such tag. @throws notFound. */
export async function deleteModelTag(
  context: RegistryContext,
  name: string,
  key: string,
  by: ChangeBy,
): Promise<void> {
  await changeRegistry(context, by, async (change) => {
    const { model_uid: modelUid } = await requireModel(change, name);
    const before = await findModelTag(change, modelUid, key);
    if (before === undefined) return;
    await removeTag(change, modelUid, key);
    change.record({ modelUid, model: name, kind: "model.tag-deleted", tag: key, before });
  });
}

export async function searchModels(
  context: RegistryContext,
  request: z.infer<typeof SearchModels>,
): Promise<{ readonly models: readonly LoadedModel[]; readonly nextPageToken?: string }> {
  const comparisons = comparisonsOf(request.filter, modelTarget);
  const order = orderOf(request.order_by, modelTarget);
  if (!order.some((item) => item.entity === "attribute" && item.name === "name")) {
    order.push(...orderOf(["name"], modelTarget));
  }
  const store = storeOf(context);
  const page = await searchModelIds(store, {
    comparisons,
    withPrompts: asksForPrompts(comparisons),
    order,
    limit: request.max_results,
    pageToken: request.page_token,
  });
  const { rows, ...rest } = await loadPage(page, (ids) => loadModels(store, ids.map(String)));
  return { models: rows, ...rest };
}

/** Prompts are left out of searches unless the filter asks for them, as in MLflow. */
export function asksForPrompts(comparisons: readonly Comparison[]): boolean {
  return comparisons.some(
    (comparison) =>
      comparison.entity === "tag" &&
      comparison.key === promptTag &&
      comparison.value?.kind === "text" &&
      ((comparison.operator === "=" && comparison.value.text.toLowerCase() === "true") ||
        (comparison.operator === "!=" && comparison.value.text.toLowerCase() === "false")),
  );
}

function taken(name: string) {
  return invalid(`Registered Model (name=${name}) already exists.`, { code: "RESOURCE_ALREADY_EXISTS" });
}

function noModel(name: string) {
  return notFound(`Registered Model with name=${name} not found`);
}
