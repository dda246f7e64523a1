import { conflict, invalid, notFound, preconditionFailed } from "../../shared/errors.ts";
import { type Change, type ChangeBy, changeRegistry, type RegistryContext, storeOf } from "./context.ts";
import { requireModel } from "./models.ts";
import { checkAlias, checkNewAlias } from "./names.ts";
import { findLastMove, findMove } from "./store/events.ts";
import { findModel, versionUid } from "./store/models.ts";
import type { ModelRow } from "./store/tables.ts";
import {
  findAlias,
  findNewest,
  findVersion,
  type LoadedVersion,
  loadVersionAt,
  loadVersions,
  deleteAlias as remove,
  upsertAlias,
} from "./store/versions.ts";
import { noVersion } from "./versions.ts";

export interface AliasChangeBy extends ChangeBy {
  /** Where the alias must stand for the change to be made; null for nowhere. */
  readonly expectedVersion?: number | null | undefined;
}

/** Where an alias stood and stands. */
export interface AliasMove {
  readonly before: number | null;
  readonly after: number | null;
}

/** @throws notFound for an unknown model or version; invalid for a bad alias; preconditionFailed. */
export async function setAlias(
  context: RegistryContext,
  name: string,
  alias: string,
  version: number,
  by: AliasChangeBy,
): Promise<AliasMove> {
  checkNewAlias(alias);
  return changeRegistry(context, by, async (change) => {
    const model = await requireModel(change, name);
    const before = await current(change, model, alias, by.expectedVersion);
    if ((await findVersion(change, versionUid(model.model_uid, version))) === undefined)
      throw noVersion(name, version);
    return move(change, model, alias, before, version);
  });
}

/** @throws notFound for an unknown model; preconditionFailed. @returns whether there was one */
export async function deleteAlias(
  context: RegistryContext,
  name: string,
  alias: string,
  by: AliasChangeBy,
): Promise<boolean> {
  checkAlias(alias);
  return changeRegistry(context, by, async (change) => {
    const model = await requireModel(change, name);
    const before = await current(change, model, alias, by.expectedVersion);
    await move(change, model, alias, before, null);
    return before !== null;
  });
}

/** @returns null when there is no such model or alias. `latest` is the newest version. */
export async function findByAlias(
  context: RegistryContext,
  name: string,
  alias: string,
): Promise<LoadedVersion | null> {
  const store = storeOf(context);
  if (alias.toLowerCase() !== "latest") return (await loadVersionAt(store, name, alias)) ?? null;
  const model = await findModel(store, name);
  const version = model === undefined ? undefined : await findNewest(store, model.model_uid);
  if (model === undefined || version === undefined) return null;
  const [loaded] = await loadVersions(store, [versionUid(model.model_uid, version)]);
  return loaded ?? null;
}

/** @throws notFound for an unknown model; invalid for an unknown alias, as MLflow answers. */
export async function getByAlias(
  context: RegistryContext,
  name: string,
  alias: string,
): Promise<LoadedVersion> {
  checkAlias(alias);
  const version = await findByAlias(context, name, alias);
  if (version !== null) return version;
  await requireModel(storeOf(context), name);
  if (alias.toLowerCase() === "latest") throw notFound(`Latest version not found for model ${name}.`);
  throw invalid(`Registered model alias ${alias} not found.`);
}

/**
 * Puts an alias back: to where it stood before its last move (doing this twice returns to the start), or to where it
 * stood after an earlier event. Back to nowhere removes it.
 *
 * @throws notFound for an unknown model, an alias that never moved or an event that is not a move of it; conflict when the
 *   version that it stood at is gone; preconditionFailed.
 */
export async function rollbackAlias(
  context: RegistryContext,
  name: string,
  alias: string,
  by: AliasChangeBy & { readonly toEvent?: number | undefined },
): Promise<AliasMove> {
  const reason = by.reason ?? (by.toEvent === undefined ? "rollback" : `rollback to event ${by.toEvent}`);
  return changeRegistry(context, { actor: by.actor, reason }, async (change) => {
    const model = await requireModel(change, name);
    const before = await current(change, model, alias, by.expectedVersion);
    const target = await rollbackTarget(change, model, alias, by.toEvent);
    if (target !== null && (await findVersion(change, versionUid(model.model_uid, target))) === undefined) {
      throw conflict(
        `Version ${target} of ${name}, where the alias ${alias} stood, has been deleted. Name another event, or set the alias.`,
      );
    }
    return move(change, model, alias, before, target);
  });
}

async function rollbackTarget(
  change: Change,
  model: ModelRow,
  alias: string,
  toEvent: number | undefined,
): Promise<number | null> {
  if (toEvent === undefined) {
    const last = await findLastMove(change, model.model_uid, alias);
    if (last === undefined) throw notFound(`The alias ${alias} of ${model.name} has never been moved.`);
    return versionOf(last.before);
  }
  const event = await findMove(change, model.model_uid, alias, toEvent);
  if (event === undefined) {
    throw notFound(
      `Event ${toEvent} is not a move of the alias ${alias} of ${model.name}; its history lists them.`,
    );
  }
  return versionOf(event.after);
}

const versionOf = (value: unknown) => (typeof value === "number" ? value : null);

async function current(
  change: Change,
  model: ModelRow,
  alias: string,
  expected: number | null | undefined,
): Promise<number | null> {
  const version = (await findAlias(change, model.model_uid, alias)) ?? null;
  if (expected === undefined || expected === version) return version;
  const says = (at: number | null) => (at === null ? "nowhere" : `at version ${at}`);
  throw preconditionFailed(
    `The alias ${alias} of ${model.name} stands ${says(version)}, not ${says(expected)}. Read it again and decide anew.`,
  );
}

async function move(
  change: Change,
  model: ModelRow,
  alias: string,
  before: number | null,
  after: number | null,
): Promise<AliasMove> {
  if (before === after) return { before, after };
  const event = { modelUid: model.model_uid, model: model.name, alias, before };
  if (after === null) {
    await remove(change, model.model_uid, alias);
    change.record({ ...event, kind: "alias.deleted", ...(before === null ? {} : { version: before }) });
  } else {
    await upsertAlias(change, model.model_uid, alias, after);
    change.record({ ...event, kind: "alias.set", version: after, after });
  }
  return { before, after };
}
