import { sql } from "kysely";
import {
  type Comparison,
  isAnyOf,
  type orderOf,
  type SearchPage,
  type SearchTarget,
  searchIds,
} from "../../../shared/mlflow/index.ts";
import type { ModelRow, Store } from "./tables.ts";
import { type LoadedVersion, loadVersions, promptTag } from "./versions.ts";

const updated = { sql: "g.updated_ms", kind: "integer", isFilterable: false } as const;

export const modelTarget: SearchTarget = {
  from: "registry_model g",
  id: { sql: "g.model_uid", kind: "text" },
  attributes: {
    name: { sql: "g.name", kind: "text", isFilterable: true },
    creation_timestamp: { sql: "g.created_ms", kind: "integer", isFilterable: false },
    last_updated_timestamp: updated,
    timestamp: updated,
  },
  maps: {
    tag: {
      table: "registry_model_tag",
      owner: "m.model_uid = g.model_uid",
      absent: { [promptTag]: "false" },
    },
  },
  prefixes: { attribute: "attribute", attributes: "attribute", tag: "tag", tags: "tag" },
};

export interface LoadedModel extends ModelRow {
  readonly tags: readonly { readonly key: string; readonly value: string }[];
  readonly aliases: readonly { readonly alias: string; readonly version: number }[];
  /** The highest version in each stage. */
  readonly latest: readonly LoadedVersion[];
}

export function findModel({ db }: Store, name: string): Promise<ModelRow | undefined> {
  return db.selectFrom("registry_model").selectAll().where("name", "=", name).executeTakeFirst();
}

/** @returns whether the name was free. */
export async function insertModel({ db }: Store, row: ModelRow): Promise<boolean> {
  const inserted = await db
    .insertInto("registry_model")
    .values(row)
    .onConflict((conflict) => conflict.column("name").doNothing())
    .returning("model_uid")
    .executeTakeFirst();
  return inserted !== undefined;
}

export async function updateModel({ db }: Store, modelUid: string, change: Partial<ModelRow>): Promise<void> {
  await db.updateTable("registry_model").set(change).where("model_uid", "=", modelUid).execute();
}

/** Removes the model with its versions, tags and aliases. */
export async function deleteModel({ db }: Store, modelUid: string): Promise<void> {
  const versions = db.selectFrom("registry_version").select("version_uid").where("model_uid", "=", modelUid);
  await db.deleteFrom("registry_manifest").where("version_uid", "in", versions).execute();
  await db.deleteFrom("registry_version_tag").where("version_uid", "in", versions).execute();
  await db.deleteFrom("registry_version").where("model_uid", "=", modelUid).execute();
  await db.deleteFrom("registry_alias").where("model_uid", "=", modelUid).execute();
  await db.deleteFrom("registry_model_tag").where("model_uid", "=", modelUid).execute();
  await db.deleteFrom("registry_model").where("model_uid", "=", modelUid).execute();
}

export async function upsertModelTag(
  { db }: Store,
  modelUid: string,
  tag: { readonly key: string; readonly value: string },
): Promise<void> {
  await db
    .insertInto("registry_model_tag")
    .values({ model_uid: modelUid, ...tag })
    .onConflict((conflict) => conflict.columns(["model_uid", "key"]).doUpdateSet({ value: tag.value }))
    .execute();
}

export async function findModelTag(
  { db }: Store,
  modelUid: string,
  key: string,
): Promise<string | undefined> {
  const row = await db
    .selectFrom("registry_model_tag")
    .select("value")
    .where("model_uid", "=", modelUid)
    .where("key", "=", key)
    .executeTakeFirst();
  return row?.value;
}

export async function deleteModelTag({ db }: Store, modelUid: string, key: string): Promise<void> {
  await db
    .deleteFrom("registry_model_tag")
    .where("model_uid", "=", modelUid)
    .where("key", "=", key)
    .execute();
}

/** In the order of the ids that are asked for. */
export async function loadModels(store: Store, modelUids: readonly string[]): Promise<LoadedModel[]> {
  if (modelUids.length === 0) return [];
  const { db, dialect } = store;
  const among = isAnyOf(dialect, sql`model_uid`, modelUids);
  const models = await db.selectFrom("registry_model").selectAll().where(among).execute();
  const tags = await db.selectFrom("registry_model_tag").selectAll().where(among).orderBy("key").execute();
  const aliases = await db.selectFrom("registry_alias").selectAll().where(among).orderBy("alias").execute();
  const newest = await db
    .selectFrom("registry_version")
    .select(({ fn }) => ["model_uid", "stage", fn.max("version").as("version")])
    .where(among)
    .groupBy(["model_uid", "stage"])
    .orderBy("version", "desc")
    .execute();
  const latest = await loadVersions(
    store,
    newest.map(({ model_uid, version }) => versionUid(model_uid, version)),
  );
  const byId = new Map(models.map((row) => [row.model_uid, row]));
  const tagsById = Map.groupBy(tags, (row) => row.model_uid);
  const aliasesById = Map.groupBy(aliases, (row) => row.model_uid);
  const latestById = Map.groupBy(latest, (row) => row.model_uid);
  return modelUids.flatMap((id) => {
    const row = byId.get(id);
    if (row === undefined) return [];
    return [
      {
        ...row,
        tags: tagsById.get(id) ?? [],
        aliases: aliasesById.get(id) ?? [],
        latest: latestById.get(id) ?? [],
      },
    ];
  });
}

export function versionUid(modelUid: string, version: number): string {
  return `${modelUid}/${version}`;
}

/** Models by name, for lists of Ketline's own. */
export function selectModelNames(
  { db }: Store,
  page: { readonly after: string | undefined; readonly limit: number },
): Promise<{ model_uid: string; name: string }[]> {
  let query = db.selectFrom("registry_model").select(["model_uid", "name"]).orderBy("name").limit(page.limit);
  if (page.after !== undefined) query = query.where("name", ">", page.after);
  return query.execute();
}

export function searchModelIds(
  { db, dialect }: Store,
  search: {
    readonly comparisons: readonly Comparison[];
    readonly withPrompts: boolean;
    readonly order: ReturnType<typeof orderOf>;
    readonly limit: number;
    readonly pageToken: string | undefined;
  },
): Promise<SearchPage> {
  const { withPrompts, ...rest } = search;
  const isPrompt = sql`exists (select 1 from registry_model_tag p
    where p.model_uid = g.model_uid and p.key = ${promptTag} and p.value = 'true')`;
  return searchIds(db, {
    ...rest,
    target: modelTarget,
    dialect,
    where: withPrompts ? [] : [sql`not ${isPrompt}`],
  });
}
