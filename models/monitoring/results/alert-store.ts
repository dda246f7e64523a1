import { randomUUID } from "node:crypto";
import type { Selectable, Transaction } from "kysely";
import type { Database } from "../../../shared/database/index.ts";
import { tellAlerts } from "../notifications/outbox.ts";
import type { AlertEventKind, NotificationTables, ToldAlert } from "../notifications/tables.ts";
import type { Alert, MonitorSpec, Observation, SignalName, SignalState } from "../schemas.ts";
import { advance, quietSignal, type SignalChange, type SignalMemory } from "./signals.ts";

interface SignalTable {
  monitor: string;
  series: string;
  signal: SignalName;
  /** SignalMemory as JSON. */
  memory: string;
  value: number | null;
  threshold: number;
  muted_until_ms: number | null;
}

interface AlertTable {
  id: string;
  monitor: string;
  series: string;
  signal: SignalName;
  state: Alert["state"];
  message: string;
  value: number;
  threshold: number;
  window_end_ms: number;
  fired_ms: number;
  resolved_ms: number | null;
  acknowledged_by: string | null;
  acknowledged_ms: number | null;
  action_kind: Alert["action"]["kind"];
  action_state: Alert["action"]["state"];
  action_detail: string;
}

export interface AlertTables extends NotificationTables {
  monitor: { name: string; revision: number };
  monitor_signal: SignalTable;
  monitor_alert: AlertTable;
}

type AlertRow = Selectable<AlertTable> & { readonly muted_until_ms: number | null };

/** How the signals of one window move, and what is said and done when one fires. */
export interface SignalStep {
  readonly monitor: string;
  readonly series: string;
  readonly windowEndMs: number;
  readonly nowMs: number;
  readonly rule: MonitorSpec["alert"];
  readonly observations: readonly Observation[];
  /** Names this Ketline in what is sent. */
  readonly source: string;
  /** For a signal that fires. */
  alertOf(observation: Observation, muted: boolean): { message: string; action: Alert["action"] };
}

/** An alert that a step raised. */
export type RaisedAlert = Pick<Alert, "signal" | "value" | "threshold">;

interface Moved {
  /** After the step. */
  readonly states: ReadonlyMap<SignalName, SignalMemory>;
  readonly raised: readonly RaisedAlert[];
}

export interface AlertFilter {
  readonly monitor?: string | undefined;
  readonly state?: Alert["state"] | undefined;
}

export interface AlertPosition {
  readonly firedMs: number;
  readonly id: string;
}

export type AlertStore = ReturnType<typeof createAlertStore>;

/**
 * Where the signals of monitors stand, and the alerts that followed from them. Whatever happens to an alert is written
 * into its history and told to subscribers in the same transaction.
 *
 * @param source names this Ketline in what is sent
 */
export function createAlertStore(database: Database, source: string) {
  const tables = () => database.tables<AlertTables>();
  const alerts = () =>
    tables()
      .selectFrom("monitor_alert")
      .leftJoin("monitor_signal", (join) =>
        join
          .onRef("monitor_signal.monitor", "=", "monitor_alert.monitor")
          .onRef("monitor_signal.series", "=", "monitor_alert.series")
          .onRef("monitor_signal.signal", "=", "monitor_alert.signal"),
      )
      .selectAll("monitor_alert")
      .select("monitor_signal.muted_until_ms");

  return {
    /** Moves signals that belong to no stored result. @returns the states after the step. */
    step: (step: Omit<SignalStep, "source">) =>
      database.transaction<AlertTables, Moved["states"]>(
        async (trx) => (await moveSignals(trx, { ...step, source })).states,
      ),

    /** What happened to an alert, the oldest first. */
    events: (id: string) =>
      tables().selectFrom("alert_event").selectAll().where("alert_id", "=", id).orderBy("event_id").execute(),

    signals: async (monitor: string) =>
      (
        await tables()
          .selectFrom("monitor_signal")
          .selectAll()
          .where("monitor", "=", monitor)
          .orderBy("series")
          .orderBy("signal")
          .execute()
      ).map(signalOf),

    alerts: (filter: AlertFilter, after: AlertPosition | undefined, limit: number) => {
      let query = alerts();
      if (filter.monitor !== undefined) query = query.where("monitor_alert.monitor", "=", filter.monitor);
      if (filter.state !== undefined) query = query.where("monitor_alert.state", "=", filter.state);
      if (after !== undefined) {
        query = query.where((where) =>
          where.or([
            where("fired_ms", "<", after.firedMs),
            where.and([where("fired_ms", "=", after.firedMs), where("id", ">", after.id)]),
          ]),
        );
      }
      return query.orderBy("fired_ms", "desc").orderBy("id").limit(limit).execute();
    },

    alert: (id: string) => alerts().where("id", "=", id).executeTakeFirst(),

    pendingActions: async (monitor: string) =>
      (
        await alerts()
          .where("monitor_alert.monitor", "=", monitor)
          .where("action_state", "=", "pending")
          .orderBy("fired_ms")
          .execute()
      ).map(alertOf),

    actionDone: async (id: string, action: Alert["action"]) => {
      await tables()
        .updateTable("monitor_alert")
        .set({ action_kind: action.kind, action_state: action.state, action_detail: action.detail })
        .where("id", "=", id)
        .execute();
    },

    acknowledge: (id: string, by: AlertPerson, nowMs: number) =>
      database.transaction<AlertTables, void>(async (trx) => {
        const changed = await trx
          .updateTable("monitor_alert")
          .set({ acknowledged_by: by.name, acknowledged_ms: nowMs })
          .where("id", "=", id)
          .where("acknowledged_ms", "is", null)
          .returningAll()
          .execute();
        await tellAlerts(trx, source, changed.map(toldOf), { kind: "acknowledged", atMs: nowMs, by });
      }),

    mute: (alert: Alert, untilMs: number, by: AlertPerson, nowMs: number) =>
      database.transaction<AlertTables, void>(async (trx) => {
        await trx
          .updateTable("monitor_signal")
          .set({ muted_until_ms: untilMs })
          .where("monitor", "=", alert.monitor)
          .where("series", "=", alert.series)
          .where("signal", "=", alert.signal)
          .execute();
        await tellAlerts(trx, source, [alert], { kind: "muted", atMs: nowMs, by });
      }),

    /** Ends what a deleted monitor left open, so that one of the same name starts anew. */
    forget: (monitor: string, nowMs: number) =>
      database.transaction<AlertTables, void>(async (trx) => {
        await trx.deleteFrom("monitor_signal").where("monitor", "=", monitor).execute();
        const ended = await trx
          .updateTable("monitor_alert")
          .set({ state: "resolved", resolved_ms: nowMs })
          .where("monitor", "=", monitor)
          .where("state", "!=", "resolved")
          .returningAll()
          .execute();
        await tellAlerts(trx, source, ended.map(toldOf), { kind: "resolved", atMs: nowMs });
      }),

    /** Ends the alerts of a monitor whose series begins so, but for one series. */
    resolveSeries: (monitor: string, prefix: string, nowMs: number, except?: string) =>
      database.transaction<AlertTables, void>(async (trx) => {
        let open = trx
          .updateTable("monitor_alert")
          .set({ state: "resolved", resolved_ms: nowMs })
          .where("monitor", "=", monitor)
          .where("state", "!=", "resolved")
          .where("series", "like", `${prefix}%`);
        let signals = trx
          .deleteFrom("monitor_signal")
          .where("monitor", "=", monitor)
          .where("series", "like", `${prefix}%`);
        if (except !== undefined) {
          open = open.where("series", "!=", except);
          signals = signals.where("series", "!=", except);
        }
        const ended = await open.returningAll().execute();
        await signals.execute();
        await tellAlerts(trx, source, ended.map(toldOf), { kind: "resolved", atMs: nowMs });
      }),
  };
}

/**
 * Moves the signals of one window inside a transaction. A window that was seen counts no second time.
 *
 * @returns where they stand, and the alerts that were raised
 */
export async function moveSignals(trx: Transaction<AlertTables>, step: SignalStep): Promise<Moved> {
  const states = new Map<SignalName, SignalMemory>();
  const raised: RaisedAlert[] = [];
  const happened: Happened[] = [];
  await holdMonitor(trx, step.monitor);
  for (const observation of step.observations) {
    const { monitor, series } = step;
    const { signal, value, threshold, outcome } = observation;
    const row = await trx
      .selectFrom("monitor_signal")
      .selectAll()
      .where("monitor", "=", monitor)
      .where("series", "=", series)
      .where("signal", "=", signal)
      .executeTakeFirst();
    const memory: SignalMemory = row === undefined ? quietSignal : JSON.parse(row.memory);
    const next = advance(memory, outcome, step.windowEndMs, step.rule);
    states.set(signal, next.memory);
    const moved = {
      monitor,
      series,
      signal,
      memory: JSON.stringify(next.memory),
      value: outcome === "missing" ? (row?.value ?? null) : value,
      threshold,
      muted_until_ms: row?.muted_until_ms ?? null,
    };
    await trx
      .insertInto("monitor_signal")
      .values(moved)
      .onConflict((conflict) => conflict.columns(["monitor", "series", "signal"]).doUpdateSet(moved))
      .execute();
    const muted = (row?.muted_until_ms ?? 0) > step.nowMs;
    const alert = await followAlert(trx, step, observation, next.change, muted);
    if (alert === null) continue;
    happened.push({ ...alert, isSilent: muted });
    if (alert.kind === "fired") raised.push({ signal, value: alert.told.value, threshold });
  }
  for (const [, alike] of Map.groupBy(happened, ({ kind, isSilent }) => `${kind} ${isSilent}`)) {
    const [first] = alike;
    if (first === undefined) continue;
    const { kind, isSilent } = first;
    const told = alike.map((each) => each.told);
    await tellAlerts(trx, step.source, told, { kind, atMs: step.nowMs, isSilent });
  }
  return { states, raised };
}

/** Holds the monitor's row until the end of the transaction: what two windows add to it must not be lost. */
export async function holdMonitor(trx: Transaction<AlertTables>, monitor: string): Promise<void> {
  await trx
    .updateTable("monitor")
    .set((row) => ({ revision: row.ref("revision") }))
    .where("name", "=", monitor)
    .execute();
}

interface Happened {
  readonly kind: AlertEventKind;
  readonly told: ToldAlert;
  readonly isSilent: boolean;
}

/** @returns what happened to the signal's alert; null for nothing new */
async function followAlert(
  trx: Transaction<AlertTables>,
  step: SignalStep,
  { signal, value, threshold, outcome }: Observation,
  change: SignalChange,
  muted: boolean,
): Promise<Omit<Happened, "isSilent"> | null> {
  const { monitor, series, windowEndMs, nowMs } = step;
  if (change === null) return null;
  if (change === "fired") {
    const { message, action } = step.alertOf({ signal, value, threshold, outcome }, muted);
    const row = await trx
      .insertInto("monitor_alert")
      .values({
        id: randomUUID(),
        monitor,
        series,
        signal,
        value: value ?? 0,
        threshold,
        state: "firing",
        message,
        window_end_ms: windowEndMs,
        fired_ms: nowMs,
        resolved_ms: null,
        acknowledged_by: null,
        acknowledged_ms: null,
        action_kind: action.kind,
        action_state: action.state,
        action_detail: action.detail,
      })
      .onConflict((conflict) =>
        conflict.columns(["monitor", "series", "signal", "window_end_ms"]).doNothing(),
      )
      .returningAll()
      .executeTakeFirst();
    return row === undefined ? null : { kind: "fired", told: toldOf(row) };
  }
  const state = change === "resolved" ? "resolved" : change === "resolving" ? "resolving" : "firing";
  const row = await trx
    .updateTable("monitor_alert")
    .set({ state, resolved_ms: state === "resolved" ? nowMs : null })
    .where("monitor", "=", monitor)
    .where("series", "=", series)
    .where("signal", "=", signal)
    .where("state", "!=", "resolved")
    .returningAll()
    .executeTakeFirst();
  if (row === undefined) return null;
  return { kind: state === "firing" ? "fired_again" : state, told: toldOf(row) };
}

/** Who acknowledges or mutes. */
export interface AlertPerson {
  readonly name: string;
  readonly reason: string | null;
}

function toldOf(row: Selectable<AlertTable>): ToldAlert {
  const { id, monitor, series, signal, state, message, value, threshold } = row;
  return {
    ...{ id, monitor, series, signal, state, message, value, threshold },
    ...{ windowEndMs: row.window_end_ms, firedMs: row.fired_ms },
  };
}

function signalOf(row: Selectable<SignalTable>): SignalState {
  const memory: SignalMemory = JSON.parse(row.memory);
  return {
    monitor: row.monitor,
    series: row.series,
    signal: row.signal,
    state: memory.state,
    recent: memory.recent.map((window) => window.outcome),
    value: row.value,
    threshold: row.threshold,
    windowEndMs: memory.recent.at(-1)?.windowEndMs ?? null,
    mutedUntilMs: row.muted_until_ms,
  };
}

export function alertOf(row: AlertRow): Alert {
  return {
    id: row.id,
    monitor: row.monitor,
    series: row.series,
    signal: row.signal,
    state: row.state,
    message: row.message,
    value: row.value,
    threshold: row.threshold,
    windowEndMs: row.window_end_ms,
    firedMs: row.fired_ms,
    resolvedMs: row.resolved_ms,
    acknowledgedBy: row.acknowledged_by,
    acknowledgedMs: row.acknowledged_ms,
    mutedUntilMs: row.muted_until_ms,
    action: { kind: row.action_kind, state: row.action_state, detail: row.action_detail },
  };
}
