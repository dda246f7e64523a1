import { type RawBuilder, sql } from "kysely";
import { type Gathered, gatheredRows, gathering } from "../../../shared/database/index.ts";
import {
  type Comparison,
  isAnyOf,
  type orderOf,
  type SearchPage,
  type SearchTarget,
  searchIds,
} from "../../../shared/mlflow/index.ts";
import type { Store, VersionRow } from "./tables.ts";

/** MLflow keeps prompts among the registered models, marked by this tag; searches leave them out unless asked. */
export const promptTag = "mlflow.prompt.is_prompt";

export const versionTarget: SearchTarget = {
  from: "registry_version v join registry_model g on g.model_uid = v.model_uid",
  id: { sql: "v.version_uid", kind: "text" },
  attributes: {
    name: { sql: "g.name", kind: "text", isFilterable: true },
    run_id: { sql: "v.run_id", kind: "text", isFilterable: true, takesLists: true },
    source_path: { sql: "v.source", kind: "text", isFilterable: true },
    version_number: { sql: "v.version", kind: "integer", isFilterable: true },
    creation_timestamp: { sql: "v.created_ms", kind: "integer", isFilterable: false },
    last_updated_timestamp: { sql: "v.updated_ms", kind: "integer", isFilterable: false },
  },
  maps: {
    tag: {
      table: "registry_version_tag",
      owner: "m.version_uid = v.version_uid",
      absent: { [promptTag]: "false" },
    },
  },
  prefixes: { attribute: "attribute", attributes: "attribute", tag: "tag", tags: "tag" },
};

export interface LoadedVersion extends VersionRow {
  readonly name: string;
  readonly tags: readonly { readonly key: string; readonly value: string }[];
  readonly aliases: readonly string[];
}

export async function insertVersion(
  { db }: Store,
  row: VersionRow,
  tags: readonly { readonly key: string; readonly value: string }[],
): Promise<void> {
  await db.insertInto("registry_version").values(row).execute();
  const last = new Map(tags.map(({ key, value }) => [key, value]));
  if (last.size === 0) return;
  await db
    .insertInto("registry_version_tag")
    .values([...last].map(([key, value]) => ({ version_uid: row.version_uid, key, value })))
    .execute();
}

export function findVersion({ db }: Store, versionUid: string): Promise<VersionRow | undefined> {
  return db
    .selectFrom("registry_version")
    .selectAll()
    .where("version_uid", "=", versionUid)
    .executeTakeFirst();
}

/** The highest number that a version of the model has. */
export async function findNewest({ db }: Store, modelUid: string): Promise<number | undefined> {
  const row = await db
    .selectFrom("registry_version")
    .select("version")
    .where("model_uid", "=", modelUid)
    .orderBy("version", "desc")
    .limit(1)
    .executeTakeFirst();
  return row?.version;
}

export function selectVersions({ db }: Store, modelUid: string): Promise<VersionRow[]> {
  return db
    .selectFrom("registry_version")
    .selectAll()
    .where("model_uid", "=", modelUid)
    .orderBy("version", "desc")
    .execute();
}

/** The versions that were made of these runs. */
export function selectVersionsOfRuns(
  { db, dialect }: Store,
  runIds: readonly string[],
): Promise<{ name: string; version: number; run_id: string }[]> {
  return db
    .selectFrom("registry_version as v")
    .innerJoin("registry_model as m", "m.model_uid", "v.model_uid")
    .select(["m.name", "v.version", "v.run_id"])
    .where(isAnyOf(dialect, sql.ref("v.run_id"), runIds))
    .orderBy("m.name")
    .orderBy("v.version")
    .execute();
}

export async function updateVersion(
  { db }: Store,
  versionUid: string,
  change: Partial<VersionRow>,
): Promise<void> {
  await db.updateTable("registry_version").set(change).where("version_uid", "=", versionUid).execute();
}

/** Of two that are written at once the first one stands. */
export async function insertManifest(
  { db }: Store,
  manifest: { readonly version_uid: string; readonly files: string; readonly taken_ms: number },
): Promise<void> {
  await db
    .insertInto("registry_manifest")
    .values(manifest)
    .onConflict((conflict) => conflict.column("version_uid").doNothing())
    .execute();
}

/** JSON of the files. */
export async function findManifest({ db }: Store, versionUid: string): Promise<string | undefined> {
  const row = await db
    .selectFrom("registry_manifest")
    .select("files")
    .where("version_uid", "=", versionUid)
    .executeTakeFirst();
  return row?.files;
}

export async function deleteVersion({ db }: Store, versionUid: string): Promise<void> {
  await db.deleteFrom("registry_manifest").where("version_uid", "=", versionUid).execute();
  await db.deleteFrom("registry_version_tag").where("version_uid", "=", versionUid).execute();
  await db.deleteFrom("registry_version").where("version_uid", "=", versionUid).execute();
}

export async function upsertVersionTag(
  { db }: Store,
  versionUid: string,
  tag: { readonly key: string; readonly value: string },
): Promise<void> {
  await db
    .insertInto("registry_version_tag")
    .values({ version_uid: versionUid, ...tag })
    .onConflict((conflict) => conflict.columns(["version_uid", "key"]).doUpdateSet({ value: tag.value }))
    .execute();
}

export async function findVersionTag(
  { db }: Store,
  versionUid: string,
  key: string,
): Promise<string | undefined> {
  const row = await db
    .selectFrom("registry_version_tag")
    .select("value")
    .where("version_uid", "=", versionUid)
    .where("key", "=", key)
    .executeTakeFirst();
  return row?.value;
}

export async function deleteVersionTag({ db }: Store, versionUid: string, key: string): Promise<void> {
  await db
    .deleteFrom("registry_version_tag")
    .where("version_uid", "=", versionUid)
    .where("key", "=", key)
    .execute();
}

export async function findAlias({ db }: Store, modelUid: string, alias: string): Promise<number | undefined> {
  const row = await db
    .selectFrom("registry_alias")
    .select("version")
    .where("model_uid", "=", modelUid)
    .where("alias", "=", alias)
    .executeTakeFirst();
  return row?.version;
}

export function selectAliases(
  { db }: Store,
  modelUid: string,
): Promise<{ alias: string; version: number }[]> {
  return db
    .selectFrom("registry_alias")
    .select(["alias", "version"])
    .where("model_uid", "=", modelUid)
    .orderBy("alias")
    .execute();
}

export async function upsertAlias(
  { db }: Store,
  modelUid: string,
  alias: string,
  version: number,
): Promise<void> {
  await db
    .insertInto("registry_alias")
    .values({ model_uid: modelUid, alias, version })
    .onConflict((conflict) => conflict.columns(["model_uid", "alias"]).doUpdateSet({ version }))
    .execute();
}

export async function deleteAlias({ db }: Store, modelUid: string, alias: string): Promise<void> {
  await db
    .deleteFrom("registry_alias")
    .where("model_uid", "=", modelUid)
    .where("alias", "=", alias)
    .execute();
}

/** The version that an alias of a model stands at, by one statement: it is what serving and clients ask for most. */
export function loadVersionAt(
  store: Store,
  model: string,
  alias: string,
): Promise<LoadedVersion | undefined> {
  return loadOne(
    store,
    sql`registry_model g join registry_alias a on a.model_uid = g.model_uid and a.alias = ${alias}
      join registry_version v on v.model_uid = g.model_uid and v.version = a.version where g.name = ${model}`,
  );
}

async function loadOne(
  { db, dialect }: Store,
  from: RawBuilder<unknown>,
): Promise<LoadedVersion | undefined> {
  const { all, array } = gathering[dialect];
  const { rows } = await sql<
    VersionRow & { name: string; tags: Gathered<[string, string]>; aliases: Gathered<string> }
  >`
    select v.*, g.name,
      (select ${sql.raw(all)}(${sql.raw(array)}(key, value) order by key)
        from registry_version_tag where version_uid = v.version_uid) as tags,
      (select ${sql.raw(all)}(alias order by alias)
        from registry_alias where model_uid = v.model_uid and version = v.version) as aliases
    from ${from}`.execute(db);
  const [row] = rows;
  if (row === undefined) return undefined;
  const tags = gatheredRows(row.tags).map(([key, value]) => ({ key, value }));
  return { ...row, tags, aliases: gatheredRows(row.aliases) };
}

/** In the order of the ids that are asked for; unknown ones are left out. */
export async function loadVersions(store: Store, versionUids: readonly string[]): Promise<LoadedVersion[]> {
  const [only, second] = versionUids;
  if (only === undefined) return [];
  if (second === undefined) {
    const from = sql`registry_version v join registry_model g on g.model_uid = v.model_uid where v.version_uid = ${only}`;
    const loaded = await loadOne(store, from);
    return loaded === undefined ? [] : [loaded];
  }
  const { db, dialect } = store;
  const rows = await db
    .selectFrom("registry_version as v")
    .innerJoin("registry_model as g", "g.model_uid", "v.model_uid")
    .selectAll("v")
    .select("g.name")
    .where(isAnyOf(dialect, sql`v.version_uid`, versionUids))
    .execute();
  const tags = await db
    .selectFrom("registry_version_tag")
    .selectAll()
    .where(isAnyOf(dialect, sql`version_uid`, versionUids))
    .orderBy("key")
    .execute();
  const aliases = await db
    .selectFrom("registry_alias as a")
    .innerJoin("registry_version as v", (join) =>
      join.onRef("v.model_uid", "=", "a.model_uid").onRef("v.version", "=", "a.version"),
    )
    .select(["v.version_uid", "a.alias"])
    .where(isAnyOf(dialect, sql`v.version_uid`, versionUids))
    .orderBy("a.alias")
    .execute();
  const byId = new Map(rows.map((row) => [row.version_uid, row]));
  const tagsById = Map.groupBy(tags, (row) => row.version_uid);
  const aliasesById = Map.groupBy(aliases, (row) => row.version_uid);
  return versionUids.flatMap((id) => {
    const row = byId.get(id);
    if (row === undefined) return [];
    const names = (aliasesById.get(id) ?? []).map(({ alias }) => alias);
    return [{ ...row, tags: tagsById.get(id) ?? [], aliases: names }];
  });
}

export function searchVersionIds(
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
  const isPrompt = sql`exists (select 1 from registry_version_tag p
    where p.version_uid = v.version_uid and p.key = ${promptTag} and p.value = 'true')`;
  return searchIds(db, {
    ...rest,
    target: versionTarget,
    dialect,
    where: withPrompts ? [] : [sql`not ${isPrompt}`],
  });
}
