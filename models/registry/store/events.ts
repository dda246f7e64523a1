import type { EventValue, NewEvent, RegistryEvent } from "../events.ts";
import type { EventRow, Store } from "./tables.ts";

/**
 * Takes the registry for this transaction: others that change it wait until it ends.
 *
 * @returns the number of the last change
 */
export async function lockRegistry({ db }: Store): Promise<number> {
  const { revision } = await db
    .updateTable("registry_state")
    .set((eb) => ({ revision: eb.ref("revision") }))
    .where("id", "=", 1)
    .returning("revision")
    .executeTakeFirstOrThrow();
  return revision;
}

/** Writes the events with the numbers after `revision`, and the last of them as the new revision. */
export async function insertEvents(
  { db }: Store,
  revision: number,
  events: readonly NewEvent[],
  by: {
    readonly actorId: string;
    readonly actorName: string;
    readonly reason: string | null;
    readonly atMs: number;
  },
): Promise<void> {
  if (events.length === 0) return;
  const rows = events.map((event, index): EventRow => {
    return {
      event_id: revision + 1 + index,
      model_uid: event.modelUid,
      model_name: event.model,
      kind: event.kind,
      alias: event.alias ?? null,
      version: event.version ?? null,
      tag: event.tag ?? null,
      before_value: valueText(event.before),
      after_value: valueText(event.after),
      reason: by.reason,
      actor_id: by.actorId,
      actor_name: by.actorName,
      at_ms: by.atMs,
    };
  });
  // 13 columns: a model with thousands of aliases is removed in several statements.
  for (let start = 0; start < rows.length; start += 1000) {
    await db
      .insertInto("registry_event")
      .values(rows.slice(start, start + 1000))
      .execute();
  }
  await db
    .updateTable("registry_state")
    .set({ revision: revision + rows.length })
    .where("id", "=", 1)
    .execute();
}

function valueText(value: EventValue | undefined): string | null {
  return value === undefined || value === null ? null : JSON.stringify(value);
}

export async function readRevision({ db }: Store): Promise<number> {
  const row = await db
    .selectFrom("registry_state")
    .select("revision")
    .where("id", "=", 1)
    .executeTakeFirstOrThrow();
  return row.revision;
}

/** What happened to the model of that name, under this or an earlier one, newest first. */
export async function selectEvents(
  { db }: Store,
  name: string,
  modelUid: string | undefined,
  page: { readonly limit: number; readonly before: number | undefined; readonly alias: string | undefined },
): Promise<RegistryEvent[]> {
  let query = db
    .selectFrom("registry_event")
    .selectAll()
    .where((eb) =>
      modelUid === undefined
        ? eb("model_name", "=", name)
        : eb.or([eb("model_name", "=", name), eb("model_uid", "=", modelUid)]),
    )
    .orderBy("event_id", "desc")
    .limit(page.limit);
  if (page.before !== undefined) query = query.where("event_id", "<", page.before);
  if (page.alias !== undefined) query = query.where("alias", "=", page.alias);
  return (await query.execute()).map(eventOf);
}

/** The last move of an alias of the model as it is now. */
export async function findLastMove(
  { db }: Store,
  modelUid: string,
  alias: string,
): Promise<RegistryEvent | undefined> {
  const row = await db
    .selectFrom("registry_event")
    .selectAll()
    .where("model_uid", "=", modelUid)
    .where("alias", "=", alias)
    .orderBy("event_id", "desc")
    .limit(1)
    .executeTakeFirst();
  return row === undefined ? undefined : eventOf(row);
}

export async function findMove(
  { db }: Store,
  modelUid: string,
  alias: string,
  eventId: number,
): Promise<RegistryEvent | undefined> {
  const row = await db
    .selectFrom("registry_event")
    .selectAll()
    .where("event_id", "=", eventId)
    .where("model_uid", "=", modelUid)
    .where("alias", "=", alias)
    .executeTakeFirst();
  return row === undefined ? undefined : eventOf(row);
}

function eventOf(row: EventRow): RegistryEvent {
  return {
    id: row.event_id,
    model: row.model_name,
    kind: row.kind,
    alias: row.alias,
    version: row.version,
    tag: row.tag,
    before: row.before_value === null ? null : (JSON.parse(row.before_value) as EventValue),
    after: row.after_value === null ? null : (JSON.parse(row.after_value) as EventValue),
    reason: row.reason,
    actor: { id: row.actor_id, name: row.actor_name },
    atMs: row.at_ms,
  };
}
