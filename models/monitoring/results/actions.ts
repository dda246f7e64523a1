import type { Logger } from "pino";
import type { CheckStanding } from "../../../shared/identity/index.ts";
import type { Alert, DriftReport, Monitor, Observation, SignalName } from "../schemas.ts";
import type { AlertStore } from "./alert-store.ts";

/** What monitoring asks of whoever retrains. */
export interface RetrainRequest {
  readonly monitor: string;
  readonly target: Monitor["target"];
  /** Asking again with the same key starts nothing new. */
  readonly alertId: string;
  readonly reason: string;
}

/**
 * Starts a retraining, or says why there is none to start.
 *
 * @returns what was done, for people to read: "job 5f2c…"
 */
export type Retrain = (request: RetrainRequest) => Promise<string>;

export interface ActionOptions {
  readonly alerts: Pick<AlertStore, "pendingActions" | "actionDone">;
  readonly logger: Logger;
  readonly checkStanding: CheckStanding;
  readonly retrain?: Retrain | undefined;
}

export interface Actions {
  /** Does what alerts of a monitor ask for and was not done yet; what fails is written down and tried no more. */
  perform(monitor: Monitor): Promise<void>;
}

export function createActions({ alerts, logger, checkStanding, retrain }: ActionOptions): Actions {
  const done = (alert: Alert, state: Alert["action"]["state"], detail: string) =>
    alerts.actionDone(alert.id, { kind: alert.action.kind, state, detail });

  const startRetraining = async (alert: Alert, monitor: Monitor): Promise<void> => {
    if (retrain === undefined) return done(alert, "skipped", "Nothing here retrains.");
    try {
      await checkStanding(monitor.updatedBy, "contributor");
      const request = {
        monitor: monitor.name,
        target: monitor.target,
        alertId: alert.id,
        reason: alert.message,
      };
      await done(alert, "done", await retrain(request));
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      logger.warn({ monitor: monitor.name, alert: alert.id, err: error }, "retraining could not be started");
      await done(alert, "failed", why);
    }
  };

  return {
    async perform(monitor) {
      for (const alert of await alerts.pendingActions(monitor.name)) {
        if (alert.action.kind === "rollback") continue; // the watch over the bake time does those
        logger.warn({ monitor: monitor.name, signal: alert.signal, alert: alert.id }, alert.message);
        if (alert.action.kind === "retrain") await startRetraining(alert, monitor);
        else await done(alert, "done", "Written to the log.");
      }
    },
  };
}

/** New data can cure these. */
const retrainable: ReadonlySet<SignalName> = new Set(["data_drift", "prediction_drift", "labelled_error"]);

/**
 * What follows from a signal under a monitor's policy. Rolling back is not among it: drift never asks for it, and what
 * the deployment caused is judged within its bake time, minute by minute.
 */
export function actionOf(monitor: Monitor, signal: SignalName, muted: boolean): Alert["action"] {
  const kind = monitor.policy === "retrain" && retrainable.has(signal) ? "retrain" : "notify";
  if (muted) return { kind, state: "skipped", detail: "The signal is muted." };
  if (monitor.dryRun && kind === "retrain") {
    return { kind, state: "skipped", detail: "Dry run: a retraining would have been asked for." };
  }
  return { kind, state: "pending", detail: "" };
}

/** One sentence for people. */
export function alertMessage({ signal, value, threshold }: Observation, drift: DriftReport | null): string {
  const shown = value === null ? "unknown" : Number(value.toPrecision(3));
  switch (signal) {
    case "data_drift":
      return `The data drifted: ${(drift?.driftedColumns ?? []).join(", ")} (${shown} of the columns, ${threshold} allowed).`;
    case "prediction_drift":
      return `The predictions drifted: ${shown} times the threshold.`;
    case "data_quality": {
      const findings = (drift?.columns ?? []).flatMap((column) =>
        column.quality.map((finding) => finding.message),
      );
      return `The data are not as they should be: ${findings.slice(0, 3).join("; ")}.`;
    }
    case "error_rate":
      return `${percent(value)} of the requests fail (${percent(threshold)} allowed).`;
    case "latency_p95":
      return `One request in twenty takes ${shown} ms or longer (${threshold} allowed).`;
    case "invalid_output_rate":
      return `${percent(value)} of the answers are NaN, infinite or empty (${percent(threshold)} allowed).`;
    case "labelled_error":
      return `The error of labelled predictions is ${shown} (${threshold} allowed).`;
  }
}

function percent(share: number | null): string {
  return share === null ? "an unknown share" : `${Number((share * 100).toPrecision(3))} %`;
}
