import type { Transaction } from "kysely";
import type { Database } from "../../shared/database/index.ts";
import { type Outcome, OutcomeSchema, type QuantumJob, type QuantumStatus, SubmitBody } from "../schemas.ts";

interface QuantumJobRow {
  readonly id: string;
  readonly name: string;
  readonly status: string;
  readonly target: string;
  readonly workspace: string;
  readonly shots: number;
  readonly verdict: string | null;
  readonly submission: string;
  readonly outcome: string;
  readonly error: string | null;
  readonly created_by: string;
  readonly created_ms: number;
  readonly updated_ms: number;
  readonly ended_ms: number | null;
}

interface Tables {
  quantum_job: QuantumJobRow;
}

/** A quantum job as it is stored. */
export interface QuantumRecord {
  readonly id: string;
  readonly status: QuantumStatus;
  readonly workspace: string;
  readonly submission: SubmitBody;
  readonly outcome: Outcome;
  readonly error: string | null;
  readonly createdBy: string;
  readonly createdMs: number;
  readonly updatedMs: number;
  readonly endedMs: number | null;
}

export interface JobQuery {
  readonly status?: QuantumStatus | undefined;
  readonly target?: string | undefined;
  readonly after?: { readonly createdMs: number; readonly id: string } | undefined;
  readonly limit: number;
}

export interface QuantumStore {
  /** In the transaction that writes its job. */
  insert(record: QuantumRecord, transaction: Transaction<unknown>): Promise<void>;
  get(id: string): Promise<QuantumRecord | undefined>;
  /** Newest first. */
  list(query: JobQuery): Promise<readonly QuantumRecord[]>;
  /** Writes what has changed, unless the job has ended. @returns whether it was written. */
  update(
    id: string,
    changes: Partial<Pick<QuantumRecord, "status" | "outcome" | "error" | "updatedMs" | "endedMs">>,
  ): Promise<boolean>;
}

/** Statuses that a job does not leave. */
export const endedStatuses = ["succeeded", "failed", "cancelled", "refused"] as const;
export type EndedStatus = (typeof endedStatuses)[number];

export function createQuantumStore(database: Database): QuantumStore {
  const tables = database.tables<Tables>();

  return {
    async insert(record, transaction) {
      await (transaction as unknown as Transaction<Tables>)
        .insertInto("quantum_job")
        .values({
          id: record.id,
          name: record.submission.name,
          status: record.status,
          target: record.submission.target,
          workspace: record.workspace,
          shots: record.submission.shots,
          verdict: null,
          submission: JSON.stringify(record.submission),
          outcome: JSON.stringify(record.outcome),
          error: record.error,
          created_by: record.createdBy,
          created_ms: record.createdMs,
          updated_ms: record.updatedMs,
          ended_ms: record.endedMs,
        })
        .execute();
    },

    async get(id) {
      const row = await tables.selectFrom("quantum_job").selectAll().where("id", "=", id).executeTakeFirst();
      return row === undefined ? undefined : recordOf(row);
    },

    async list({ status, target, after, limit }) {
      let select = tables.selectFrom("quantum_job").selectAll();
      if (status !== undefined) select = select.where("status", "=", status);
      if (target !== undefined) select = select.where("target", "=", target);
      if (after !== undefined) {
        select = select.where((builder) =>
          builder.or([
            builder("created_ms", "<", after.createdMs),
            builder.and([builder("created_ms", "=", after.createdMs), builder("id", "<", after.id)]),
          ]),
        );
      }
      const rows = await select.orderBy("created_ms", "desc").orderBy("id", "desc").limit(limit).execute();
      return rows.map(recordOf);
    },

    async update(id, { status, outcome, error, updatedMs, endedMs }) {
      const { numUpdatedRows } = await tables
        .updateTable("quantum_job")
        .set({
          ...(status === undefined ? {} : { status }),
          ...(outcome === undefined
            ? {}
            : { outcome: JSON.stringify(outcome), verdict: outcome.verdict?.verdict ?? null }),
          ...(error === undefined ? {} : { error }),
          ...(updatedMs === undefined ? {} : { updated_ms: updatedMs }),
          ...(endedMs === undefined ? {} : { ended_ms: endedMs }),
        })
        .where("id", "=", id)
        .where("status", "not in", [...endedStatuses])
        .executeTakeFirst();
      return numUpdatedRows === 1n;
    },
  };
}

/** The job on the wire. */
export function quantumJob(record: QuantumRecord): QuantumJob {
  const { submission, outcome, ...rest } = record;
  const { name, target, language, shots, tags } = submission;
  return { ...rest, name, target, language, shots, tags, ...outcome };
}

function recordOf(row: QuantumJobRow): QuantumRecord {
  return {
    id: row.id,
    status: row.status as QuantumStatus,
    workspace: row.workspace,
    submission: SubmitBody.parse(JSON.parse(row.submission)),
    outcome: OutcomeSchema.parse(JSON.parse(row.outcome)),
    error: row.error,
    createdBy: row.created_by,
    createdMs: row.created_ms,
    updatedMs: row.updated_ms,
    endedMs: row.ended_ms,
  };
}
