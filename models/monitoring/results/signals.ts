import type {
  AlertState,
  DriftReport,
  Labelled,
  MonitorSpec,
  Observation,
  Thresholds,
  Traffic,
} from "../schemas.ts";

/** A signal that has fired is over when it stays below this share of its threshold: no flapping around one value. */
const clearShare = 0.8;

type Outcome = Observation["outcome"];

/** Where a signal of a monitor stands. */
export interface SignalMemory {
  readonly state: AlertState;
  /** The last windows that had an outcome, in the order of their time. */
  readonly recent: readonly SeenWindow[];
  readonly firedMs: number | null;
}

interface SeenWindow {
  readonly windowEndMs: number;
  readonly outcome: Exclude<Outcome, "missing">;
}

export const quietSignal: SignalMemory = { state: "ok", recent: [], firedMs: null };

/** What a step of a signal means to the outside. */
export type SignalChange = "fired" | "resolving" | "firing_again" | "resolved" | null;

/**
 * The state machine of an alert: ok -> pending -> firing -> resolving -> ok.
 *
 * It fires when M of the last N windows are bad, unless it fired within its cool-down; it ends after so many clear
 * windows in a row. A window without an outcome leaves all as it was. A window that was seen counts no second time, and
 * one that is judged late takes its place in time: windows may be judged side by side.
 */
export function advance(
  memory: SignalMemory,
  outcome: Outcome,
  windowEndMs: number,
  rule: MonitorSpec["alert"],
): { readonly memory: SignalMemory; readonly change: SignalChange } {
  const seen = memory.recent.some((window) => window.windowEndMs === windowEndMs);
  const kept = Math.max(rule.ofWindows, rule.clearWindows);
  const oldest = memory.recent.length < kept ? undefined : memory.recent[0];
  if (outcome === "missing" || seen || (oldest !== undefined && windowEndMs < oldest.windowEndMs)) {
    return { memory, change: null };
  }
  const recent = [...memory.recent, { windowEndMs, outcome }]
    .sort((a, b) => a.windowEndMs - b.windowEndMs)
    .slice(-kept);
  const newestMs = recent.at(-1)?.windowEndMs ?? windowEndMs;
  const { state, change } = next(memory, recent, newestMs, rule);
  const firedMs = change === "fired" ? newestMs : memory.firedMs;
  return { memory: { state, recent, firedMs }, change };
}

function next(
  memory: SignalMemory,
  recent: SignalMemory["recent"],
  newestMs: number,
  rule: MonitorSpec["alert"],
): { state: AlertState; change: SignalChange } {
  const latest = recent.at(-1)?.outcome;
  if (memory.state === "ok" || memory.state === "pending") {
    const bad = recent.slice(-rule.ofWindows).filter((window) => window.outcome === "bad").length;
    if (bad === 0) return { state: "ok", change: null };
    const coolUntilMs = memory.firedMs === null ? 0 : memory.firedMs + rule.coolDownHours * 3_600_000;
    if (bad < rule.badWindows || newestMs < coolUntilMs) return { state: "pending", change: null };
    return { state: "firing", change: "fired" };
  }
  if (latest === "bad") {
    return { state: "firing", change: memory.state === "resolving" ? "firing_again" : null };
  }
  const end = recent.slice(-rule.clearWindows);
  if (end.length === rule.clearWindows && end.every((window) => window.outcome === "clear")) {
    return { state: "ok", change: "resolved" };
  }
  const change = memory.state === "firing" ? "resolving" : null;
  return latest === "clear" ? { state: "resolving", change } : { state: memory.state, change: null };
}

/** The signals of a window. A signal without a threshold is not watched. */
export function observe(
  thresholds: Thresholds,
  drift: DriftReport,
  traffic: Traffic | null,
  labelled: Labelled | null,
): Observation[] {
  const judged = drift.judgedColumns > 0;
  const share = (count: number, rows: number) => (rows === 0 ? null : count / rows);
  const answered = traffic === null ? 0 : traffic.requests - traffic.errors - traffic.rejected;
  return [
    observation("data_drift", judged ? drift.driftedShare : null, thresholds.driftedShare),
    observation("prediction_drift", predictionSeverity(drift), 1),
    observation("data_quality", drift.rows === 0 ? null : drift.violations, 1),
    ...watched("error_rate", traffic && share(traffic.errors, traffic.requests), thresholds.errorRate),
    ...watched("latency_p95", traffic?.latencyP95Ms ?? null, thresholds.latencyP95Ms),
    ...watched(
      "invalid_output_rate",
      traffic && share(traffic.invalidOutputs, answered),
      thresholds.invalidOutputRate,
    ),
    ...watched("labelled_error", labelled?.value ?? null, thresholds.labelledError),
  ];
}

export function observation(
  signal: Observation["signal"],
  value: number | null,
  threshold: number,
): Observation {
  return { signal, value, threshold, outcome: outcomeOf(value, threshold) };
}

function watched(
  signal: Observation["signal"],
  value: number | null,
  threshold: number | null,
): Observation[] {
  return threshold === null ? [] : [observation(signal, value, threshold)];
}

function outcomeOf(value: number | null, threshold: number): Outcome {
  if (value === null) return "missing";
  // A threshold of 0 is passed by anything above it, and cleared by nothing else than 0.
  if (threshold === 0) return value > 0 ? "bad" : "clear";
  if (value >= threshold) return "bad";
  return value < clearShare * threshold ? "clear" : "between";
}

/** The largest severity of a drifted output; below 1 where none drifted, as chance may have taken an effect beyond it. */
function predictionSeverity(drift: DriftReport): number | null {
  const outputs = drift.columns.filter(
    (column) => column.role === "output" && (column.verdict === "ok" || column.verdict === "drift"),
  );
  if (outputs.length === 0) return null;
  return outputs.reduce((most, column) => {
    const severity = column.severity ?? 0;
    return Math.max(most, column.verdict === "drift" ? severity : Math.min(severity, 0.99));
  }, 0);
}
