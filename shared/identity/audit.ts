import { randomBytes } from "node:crypto";
import type { Capability } from "../capability.ts";
import type { Clock } from "../clock.ts";
import type { Database } from "../database/index.ts";
import { keptSince, removeInPortions } from "../retention.ts";
import type { Logger } from "../telemetry/index.ts";
import { redactValue } from "../telemetry/index.ts";
import type { Actor, AuditEntry, AuditLog, Role } from "./actor.ts";
import { auditRoutes } from "./audit-routes.ts";
import { type AuditFilter, type AuditRow, createAuditStore } from "./audit-store.ts";

/** An entry as it is read back. */
export interface RecordedEntry {
  readonly id: string;
  readonly atMs: number;
  readonly actor: {
    readonly id: string;
    readonly name: string;
    readonly role: Role;
    readonly source: Actor["source"];
  };
  readonly action: string;
  readonly subject: string;
  readonly before: unknown;
  readonly after: unknown;
  readonly reason: string | null;
}

export interface AuditOptions {
  readonly database: Database;
  readonly clock: Clock;
  readonly logger?: Pick<Logger, "info">;
  /** For how many days entries are kept; for ever when null or not given. */
  readonly retentionDays?: number | null;
}

export interface AuditOperations extends AuditLog, Capability {
  /** Newest first; `filter.subject` is a prefix. */
  list(filter: AuditFilter, beforeId: string | undefined, limit: number): Promise<readonly RecordedEntry[]>;
}

/** Larger values are written down as their size only: the log says what changed, not a data set. */
const longestValue = 32 * 1024;

/** The log of who changed what. Secrets in `before` and `after` are left out by the name of their property. */
export function createAuditLog(options: AuditOptions): AuditOperations {
  const store = createAuditStore(options.database);
  const nextId = orderedIds();
  const operations: AuditOperations = {
    routes: [],
    jobKinds: [],
    timers: [
      {
        name: "audit-retention",
        schedule: "0 37 3 * * *",
        async run() {
          const { clock, logger, retentionDays = null } = options;
          const beforeMs = keptSince(retentionDays, clock());
          if (beforeMs === null) return;
          const entries = await removeInPortions((most) => store.deleteBefore(timeOfId(beforeMs), most), {
            clock,
          });
          if (entries > 0) logger?.info({ entries, beforeMs }, "old entries of the audit log were removed");
        },
      },
    ],
    async record({ actor, action, subject, before, after, reason }: AuditEntry, transaction) {
      const atMs = options.clock();
      const row = {
        id: nextId(atMs),
        at_ms: atMs,
        actor_id: actor.id,
        actor_name: actor.name,
        actor_role: actor.role,
        actor_source: actor.source,
        action,
        subject,
        before: encode(before),
        after: encode(after),
        reason: reason?.replaceAll("\u0000", "") ?? null,
      };
      await store.insert(row, transaction);
    },
    list: async (filter, beforeId, limit) => (await store.list(filter, beforeId, limit)).map(recorded),
  };
  return { ...operations, routes: auditRoutes(operations) };
}

/**
 * Ids that sort by time and, within one process, by order of recording even when the clock stands still or goes back.
 */
function orderedIds(): (nowMs: number) => string {
  let lastMs = 0;
  let count = 0;
  return (nowMs) => {
    count = nowMs > lastMs ? 0 : count + 1;
    lastMs = Math.max(lastMs, nowMs);
    return `${timeOfId(lastMs)}-${hex(count, 6)}-${randomBytes(4).toString("hex")}`;
  };
}

/** What the ids of a moment begin with; it sorts before them and after all earlier ones. */
const timeOfId = (atMs: number) => hex(atMs, 12);
const hex = (value: number, digits: number) => value.toString(16).padStart(digits, "0");

function encode(value: unknown): string | null {
  if (value === undefined) return null;
  const text = JSON.stringify(redactValue(value)) ?? null;
  return text !== null && text.length > longestValue
    ? JSON.stringify({ omitted: `${text.length} characters` })
    : text;
}

function recorded(row: AuditRow): RecordedEntry {
  return {
    id: row.id,
    atMs: row.at_ms,
    actor: { id: row.actor_id, name: row.actor_name, role: row.actor_role, source: row.actor_source },
    action: row.action,
    subject: row.subject,
    before: row.before === null ? null : JSON.parse(row.before),
    after: row.after === null ? null : JSON.parse(row.after),
    reason: row.reason,
  };
}
