import type { Transaction } from "kysely";
import type { Database } from "../../../shared/database/index.ts";
import type { MonitorResult } from "../schemas.ts";
import {
  type AlertTables,
  holdMonitor,
  moveSignals,
  type RaisedAlert,
  type SignalStep,
} from "./alert-store.ts";

interface ResultTable {
  monitor: string;
  series: string;
  window_end_ms: number;
  result_version: number;
  verdict: string;
  evaluated_ms: number;
  /** MonitorResult as JSON. */
  result: string;
}

interface Tables extends AlertTables {
  monitor_result: ResultTable;
  /** What results were before they were judged anew. */
  monitor_result_history: ResultTable;
}

export type ResultStore = ReturnType<typeof createResultStore>;

/**
 * What windows were judged to be.
 *
 * @param source names this Ketline in what subscribers are sent of alerts
 */
export function createResultStore(database: Database, source: string) {
  const tables = () => database.tables<Tables>();

  return {
    /**
     * Stores a result and moves the signals, in one transaction. The same result again changes nothing; another one
     * for the same window is its next version, which counts from then on: the ones before stay as its history. Signals do
     * not move a second time.
     *
     * @returns the alerts that were raised
     */
    record: (result: Omit<MonitorResult, "resultVersion">, step: Omit<SignalStep, "source">) =>
      database.transaction<Tables, readonly RaisedAlert[]>(async (trx) => {
        const alerts = trx as unknown as Transaction<AlertTables>;
        await holdMonitor(alerts, result.monitor);
        await writeResult(trx, result);
        return (await moveSignals(alerts, { ...step, source })).raised;
      }),

    results: (
      monitor: string,
      series: string | undefined,
      before: ResultPosition | undefined,
      limit: number,
    ) => {
      let query = tables()
        .selectFrom("monitor_result")
        .select(["result", "window_end_ms", "series"])
        .where("monitor", "=", monitor);
      if (series !== undefined) query = query.where("series", "=", series);
      if (before !== undefined) {
        query = query.where((where) =>
          where.or([
            where("window_end_ms", "<", before.windowEndMs),
            where.and([where("window_end_ms", "=", before.windowEndMs), where("series", ">", before.series)]),
          ]),
        );
      }
      return query.orderBy("window_end_ms", "desc").orderBy("series").limit(limit).execute();
    },

    /** What a window was judged to be, the newest version first; at most a hundred of them. */
    versions: async (monitor: string, series: string, windowEndMs: number): Promise<MonitorResult[]> => {
      const of = (table: "monitor_result" | "monitor_result_history") =>
        tables()
          .selectFrom(table)
          .select(["result", "result_version"])
          .where("monitor", "=", monitor)
          .where("series", "=", series)
          .where("window_end_ms", "=", windowEndMs)
          .orderBy("result_version", "desc")
          .limit(maxVersions)
          .execute();
      const rows = [...(await of("monitor_result")), ...(await of("monitor_result_history"))];
      return rows.slice(0, maxVersions).map((row) => JSON.parse(row.result));
    },

    /** The end of the newest captured window that was judged. */
    lastWindowEnd: async (monitor: string, series: string) => {
      const row = await tables()
        .selectFrom("monitor_result")
        .select("window_end_ms")
        .where("monitor", "=", monitor)
        .where("series", "=", series)
        .orderBy("window_end_ms", "desc")
        .limit(1)
        .executeTakeFirst();
      return row?.window_end_ms;
    },

    wasJudged: async (monitor: string, series: string, windowEndMs: number): Promise<boolean> => {
      const row = await tables()
        .selectFrom("monitor_result")
        .select("result_version")
        .where("monitor", "=", monitor)
        .where("series", "=", series)
        .where("window_end_ms", "=", windowEndMs)
        .executeTakeFirst();
      return row !== undefined;
    },
  };
}

const maxVersions = 100;

export interface ResultPosition {
  readonly windowEndMs: number;
  readonly series: string;
}

async function writeResult(
  trx: Transaction<Tables>,
  result: Omit<MonitorResult, "resultVersion">,
): Promise<void> {
  const { monitor, series, windowEndMs } = result;
  const before = await trx
    .selectFrom("monitor_result")
    .selectAll()
    .where("monitor", "=", monitor)
    .where("series", "=", series)
    .where("window_end_ms", "=", windowEndMs)
    .executeTakeFirst();
  const known: MonitorResult | undefined = before && JSON.parse(before.result);
  if (known !== undefined && sameFindings(known, result)) return;
  if (before !== undefined) await trx.insertInto("monitor_result_history").values(before).execute();
  const stored: MonitorResult = { ...result, resultVersion: (known?.resultVersion ?? 0) + 1 };
  const row = {
    monitor,
    series,
    window_end_ms: windowEndMs,
    result_version: stored.resultVersion,
    verdict: result.drift.verdict,
    evaluated_ms: result.evaluatedMs,
    result: JSON.stringify(stored),
  };
  await trx
    .insertInto("monitor_result")
    .values(row)
    .onConflict((conflict) => conflict.columns(["monitor", "series", "window_end_ms"]).doUpdateSet(row))
    .execute();
}

function sameFindings(known: MonitorResult, result: Omit<MonitorResult, "resultVersion">): boolean {
  const findings = (of: object) => JSON.stringify({ ...of, evaluatedMs: 0, resultVersion: 0 });
  return findings(known) === findings({ ...result });
}
