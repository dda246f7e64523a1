import type { z } from "zod";
import { invalid, notFound } from "../../shared/errors.ts";
import { systemActor } from "../../shared/identity/index.ts";
import { comparisonsOf, loadPage, orderOf } from "../../shared/mlflow/index.ts";
import { type Change, type ChangeBy, changeRegistry, type RegistryContext, storeOf } from "./context.ts";
import { frozenPlace } from "./files/frozen-artifacts.ts";
import { type Manifest, takeManifest } from "./files/manifest.ts";
import { resolveSource } from "./files/sources.ts";
import { asksForPrompts, getModel, requireModel, type Tag } from "./models.ts";
import { checkModelName, checkTag, stageOf } from "./names.ts";
import type { SearchVersions } from "./schemas.ts";
import { updateModel, versionUid } from "./store/models.ts";
import type { ModelRow, Stage, Store, VersionRow } from "./store/tables.ts";
import {
  deleteAlias,
  findManifest,
  findVersion,
  findVersionTag,
  insertManifest,
  insertVersion,
  type LoadedVersion,
  loadVersions,
  promptTag,
  deleteVersion as remove,
  deleteVersionTag as removeTag,
  searchVersionIds,
  selectAliases,
  selectVersions,
  updateVersion as update,
  upsertVersionTag,
  versionTarget,
} from "./store/versions.ts";

/** Registers the next version, READY at once. @throws notFound; invalid for a source that cannot be taken. */
export async function createVersion(
  context: RegistryContext,
  version: {
    readonly name: string;
    readonly source: string;
    readonly runId: string;
    readonly runLink: string;
    readonly loggedModelId: string;
    readonly description: string;
    readonly tags: readonly Tag[];
  },
  by: ChangeBy,
): Promise<LoadedVersion> {
  const { name, tags } = version;
  checkModelName(name);
  for (const tag of tags) checkTag(tag);
  await requireModel(storeOf(context), name);
  const isPrompt = tags.findLast(({ key }) => key === promptTag)?.value.toLowerCase() === "true";
  const resolved = await resolveSource(context, { ...version, isPrompt });
  const storageKey = frozenPlace(resolved.storageLocation);
  const manifest = storageKey === null ? null : await takeManifest(context.blobs, storageKey);
  const number = await changeRegistry(context, by, async (change) => {
    const model = await requireModel(change, name);
    const number = model.next_version;
    await insertVersion(
      change,
      {
        version_uid: versionUid(model.model_uid, number),
        model_uid: model.model_uid,
        version: number,
        description: version.description,
        created_ms: change.nowMs,
        updated_ms: change.nowMs,
        stage: "None",
        source: resolved.source,
        storage_location: resolved.storageLocation,
        storage_key: storageKey,
        run_id: resolved.runId,
        run_link: version.runLink,
        logged_model_id: resolved.loggedModelId,
      },
      tags,
    );
    if (manifest !== null) {
      const files = JSON.stringify(manifest);
      await insertManifest(change, {
        version_uid: versionUid(model.model_uid, number),
        files,
        taken_ms: change.nowMs,
      });
    }
    await updateModel(change, model.model_uid, { next_version: number + 1, updated_ms: change.nowMs });
    change.record({
      modelUid: model.model_uid,
      model: name,
      kind: "version.created",
      version: number,
      after: { source: resolved.source, runId: resolved.runId },
    });
    return number;
  });
  if (resolved.loggedModelId !== "") {
    await context.tracking.noteModelVersion(resolved.loggedModelId, name, number);
  }
  return getVersion(context, name, number);
}

/** @throws notFound. */
export async function getVersion(
  context: RegistryContext,
  name: string,
  version: number,
): Promise<LoadedVersion> {
  const store = storeOf(context);
  const { version_uid } = await requireVersion(store, name, version);
  const [loaded] = await loadVersions(store, [version_uid]);
  if (loaded === undefined) throw noVersion(name, version);
  return loaded;
}

/** @throws notFound. */
export async function requireVersion(store: Store, name: string, version: number): Promise<VersionRow> {
  const model = await requireModel(store, name);
  return requireVersionOf(store, model, version);
}

async function requireVersionOf(store: Store, model: ModelRow, version: number): Promise<VersionRow> {
  const row = await findVersion(store, versionUid(model.model_uid, version));
  if (row === undefined) throw noVersion(model.name, version);
  return row;
}

/**
 * What a version's files were when it was registered. One that was registered before there were manifests, or before its
 * files were there, gets its own now, which the audit log tells.
 *
 * @returns null where Ketline does not keep the files, or serves none of them
 * @throws notFound
 */
export async function manifestOf(
  context: RegistryContext,
  name: string,
  version: number,
): Promise<Manifest | null> {
  const store = storeOf(context);
  const row = await requireVersion(store, name, version);
  if (row.storage_key === null) return null;
  const known = await findManifest(store, row.version_uid);
  if (known !== undefined) return JSON.parse(known) as Manifest;
  const taken = await takeManifest(context.blobs, row.storage_key);
  if (taken === null) return null;
  const files = JSON.stringify(taken);
  await insertManifest(store, { version_uid: row.version_uid, files, taken_ms: context.clock() });
  await context.audit.record({
    actor: systemActor("registry"),
    action: "version.manifest-taken",
    subject: `model/${name}/${version}`,
    after: { files: taken.length },
    reason: "The version had none from its registration.",
  });
  return taken;
}

/** Newest first. @throws notFound for an unknown model. */
export async function listVersions(
  context: RegistryContext,
  name: string,
): Promise<readonly LoadedVersion[]> {
  const store = storeOf(context);
  const { model_uid } = await requireModel(store, name);
  const rows = await selectVersions(store, model_uid);
  return loadVersions(
    store,
    rows.map(({ version_uid }) => version_uid),
  );
}

/** @param description left as it is when not given. @throws notFound. */
export async function describeVersion(
  context: RegistryContext,
  name: string,
  version: number,
  description: string | undefined,
  by: ChangeBy,
): Promise<LoadedVersion> {
  await changeVersion(context, name, version, by, async (change, row, event) => {
    await update(change, row.version_uid, {
      updated_ms: change.nowMs,
      ...(description === undefined ? {} : { description }),
    });
    if (description === undefined || description === row.description) return;
    change.record({ ...event, kind: "version.updated", before: row.description, after: description });
  });
  return getVersion(context, name, version);
}

/** Removes it for good, with the aliases that point at it. Its number is not used again. @throws notFound. */
export async function deleteVersion(
  context: RegistryContext,
  name: string,
  version: number,
  by: ChangeBy,
): Promise<void> {
  await changeVersion(context, name, version, by, async (change, row, event) => {
    for (const { alias, version: target } of await selectAliases(change, row.model_uid)) {
      if (target !== version) continue;
      await deleteAlias(change, row.model_uid, alias);
      change.record({ ...event, kind: "alias.deleted", alias, before: version });
    }
    await remove(change, row.version_uid);
    await updateModel(change, row.model_uid, { updated_ms: change.nowMs });
    change.record({
      ...event,
      kind: "version.deleted",
      before: { source: row.source, runId: row.run_id, stage: row.stage },
    });
  });
}

const activeStages: readonly Stage[] = ["Staging", "Production"];

/**
 * Moves a version to a stage; with `archiveExisting` the others that stand there go to Archived.
 *
 * @throws notFound; invalid for an unknown stage, or for archiving out of a stage that is not active.
 */
export async function transitionStage(
  context: RegistryContext,
  name: string,
  version: number,
  to: { readonly stage: string; readonly archiveExisting: boolean },
  by: ChangeBy,
): Promise<LoadedVersion> {
  const stage = stageOf(to.stage);
  if (to.archiveExisting && !activeStages.includes(stage)) {
    throw invalid(
      `Model version transition cannot archive existing model versions because '${to.stage}' is not an Active stage. Valid stages are ${activeStages.join(", ")}`,
    );
  }
  await changeVersion(context, name, version, by, async (change, row, event) => {
    const move = async (moved: VersionRow, target: Stage) => {
      await update(change, moved.version_uid, { stage: target, updated_ms: change.nowMs });
      if (moved.stage === target) return;
      change.record({
        ...event,
        kind: "version.stage-changed",
        version: moved.version,
        before: moved.stage,
        after: target,
      });
    };
    if (to.archiveExisting) {
      const others = await selectVersions(change, row.model_uid);
      for (const other of others) {
        if (other.version !== version && other.stage === stage) await move(other, "Archived");
      }
    }
    await move(row, stage);
    await updateModel(change, row.model_uid, { updated_ms: change.nowMs });
  });
  return getVersion(context, name, version);
}

/** @throws notFound; invalid. */
export async function setVersionTag(
  context: RegistryContext,
  name: string,
  version: number,
  tag: Tag,
  by: ChangeBy,
): Promise<void> {
  checkTag(tag);
  await changeVersion(context, name, version, by, async (change, row, event) => {
    const before = await findVersionTag(change, row.version_uid, tag.key);
    if (before === tag.value) return;
    await upsertVersionTag(change, row.version_uid, tag);
    change.record({
      ...event,
      kind: "version.tag-set",
      tag: tag.key,
      before: before ?? null,
      after: tag.value,
    });
  });
}

/** Nothing happens when there is no such tag. @throws notFound. */
export async function deleteVersionTag(
  context: RegistryContext,
  name: string,
  version: number,
  key: string,
  by: ChangeBy,
): Promise<void> {
  await changeVersion(context, name, version, by, async (change, row, event) => {
    const before = await findVersionTag(change, row.version_uid, key);
    if (before === undefined) return;
    await removeTag(change, row.version_uid, key);
    change.record({ ...event, kind: "version.tag-deleted", tag: key, before });
  });
}

/** The newest version in each of the stages; of all stages when none is named. @throws notFound, invalid. */
export async function latestVersions(
  context: RegistryContext,
  name: string,
  stages: readonly string[],
): Promise<readonly LoadedVersion[]> {
  const wanted = stages.map(stageOf);
  const { latest } = await getModel(context, name);
  return latest.filter(({ stage }) => wanted.length === 0 || wanted.includes(stage));
}

export async function searchVersions(
  context: RegistryContext,
  request: z.infer<typeof SearchVersions>,
): Promise<{ readonly versions: readonly LoadedVersion[]; readonly nextPageToken?: string }> {
  const comparisons = comparisonsOf(request.filter, versionTarget);
  const order = orderOf(
    request.order_by.length === 0 ? ["last_updated_timestamp DESC"] : request.order_by,
    versionTarget,
  );
  const named = order.map((item) => (item.entity === "attribute" ? item.name : ""));
  if (!named.includes("name")) order.push(...orderOf(["name ASC"], versionTarget));
  if (!named.includes("version_number")) order.push(...orderOf(["version_number DESC"], versionTarget));
  const store = storeOf(context);
  const page = await searchVersionIds(store, {
    comparisons,
    withPrompts: asksForPrompts(comparisons),
    order,
    limit: request.max_results,
    pageToken: request.page_token,
  });
  const { rows, ...rest } = await loadPage(page, (ids) => loadVersions(store, ids.map(String)));
  return { versions: rows, ...rest };
}

/** A change of one version; `event` names it. */
async function changeVersion(
  context: RegistryContext,
  name: string,
  version: number,
  by: ChangeBy,
  work: (
    change: Change,
    row: VersionRow,
    event: { readonly modelUid: string; readonly model: string; readonly version: number },
  ) => Promise<void>,
): Promise<void> {
  await changeRegistry(context, by, async (change) => {
    const row = await requireVersion(change, name, version);
    await work(change, row, { modelUid: row.model_uid, model: name, version });
  });
}

export function noVersion(name: string, version: number) {
  return notFound(`Model Version (name=${name}, version=${version}) not found`);
}
