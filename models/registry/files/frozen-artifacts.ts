import { sql } from "kysely";
import { conflict } from "../../../shared/errors.ts";
import { prefixOf } from "../../tracking/index.ts";
import type { Store } from "../store/tables.ts";

/** What somebody wants to do at a blob key: write that one blob, or remove it and all that lies below it. */
export type ArtifactChange = "write" | "delete";

/**
 * The blob key below which a version's files lie: from its registration on nothing there may change.
 *
 * @returns null for files that are kept elsewhere, and for the folder of a whole experiment or of all artifacts: a version
 *   of those would forbid everybody to log anything.
 */
export function frozenPlace(storageLocation: string): string | null {
  let key: string;
  try {
    key = prefixOf(storageLocation);
  } catch {
    return null;
  }
  return /^artifacts(\/\d+)?$/.test(key) ? null : key;
}

/** @throws conflict naming a version whose files the change would touch. */
export async function refuseFrozen(store: Store, key: string, change: ArtifactChange): Promise<void> {
  const segments = key.split("/");
  const above = segments.map((_, index) => segments.slice(0, index + 1).join("/"));
  const below = `${key.replaceAll(/[\\%_]/g, (letter) => `\\${letter}`)}/%`;
  const found = await store.db
    .selectFrom("registry_version as version")
    .innerJoin("registry_model as model", "model.model_uid", "version.model_uid")
    .select(["model.name", "version.version"])
    .where((is) =>
      is.or([
        is("version.storage_key", "in", above),
        ...(change === "delete" ? [sql<boolean>`version.storage_key like ${below} escape '\\'`] : []),
      ]),
    )
    .limit(1)
    .executeTakeFirst();
  if (found === undefined) return;
  throw conflict(
    `The files at '${key}' belong to version ${found.version} of the registered model '${found.name}' and cannot be changed. ` +
      "Log a new model and register it as another version, or have an operator delete this version first.",
    { code: "RESOURCE_CONFLICT" },
  );
}
