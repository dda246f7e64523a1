import { callersFaults } from "../../shared/errors.ts";
import type { Prediction } from "../serving/index.ts";
import { hasInvalidOutput } from "./capture/captured-tensors.ts";
import type { Traffic } from "./schemas.ts";

/** Counts of one minute of one variant, as one instance saw them. Exact: no sampling. */
export interface TrafficMinute {
  readonly deployment: string;
  readonly revision: number;
  readonly variant: string;
  readonly model: string;
  readonly version: string;
  readonly shadow: boolean;
  readonly minuteMs: number;
  requests: number;
  errors: number;
  rejected: number;
  invalidOutputs: number;
  /** Requests per bin of latency, by the number of the bin. */
  readonly latency: Record<string, number>;
}

const minuteMs = 60_000;

/**
 * Counts the predictions of deployments by minute. (What asks a model itself is judged by no revision, and there may be
 * tens of thousands of models.) What was taken is counted again from nothing by nobody: minutes are whole sums.
 */
export interface TrafficCounter {
  count(prediction: Prediction): void;
  /** Minutes that changed since they were last taken, each with all that was counted in it. */
  takeChanged(nowMs: number): TrafficMinute[];
  /** Has minutes taken again that could not be stored. */
  putBack(minutes: readonly TrafficMinute[]): void;
}

/** As it is counted: in `bins` each bin is followed by its requests. An object would make room for all bins below. */
interface Counting extends Omit<TrafficMinute, "latency"> {
  readonly bins: number[];
}

export function createTrafficCounter(): TrafficCounter {
  const minutes = new Map<string, Counting>();
  const changed = new Set<string>();
  return {
    count(prediction) {
      const { deployment, modelName: model, modelVersion: version, shadow } = prediction;
      if (deployment === null) return;
      const at = Math.floor(prediction.atMs / minuteMs) * minuteMs;
      const revision = prediction.revision ?? 0;
      const variant = prediction.variant ?? "";
      const about = { deployment, revision, variant, model, version, shadow, minuteMs: at };
      const key = keyOf(about);
      let minute = minutes.get(key);
      if (minute === undefined) {
        minute = { ...about, requests: 0, errors: 0, rejected: 0, invalidOutputs: 0, bins: [] };
        minutes.set(key, minute);
      }
      changed.add(key);
      minute.requests++;
      if (prediction.status === "error") {
        if (callersFaults.has(prediction.errorKind ?? "internal")) minute.rejected++;
        else minute.errors++;
        return;
      }
      if (hasInvalidOutput(prediction.outputs)) minute.invalidOutputs++;
      addToBin(minute.bins, latencyBin(prediction.durationMs));
    },
    takeChanged(nowMs) {
      const taken = [...changed].flatMap((key) => {
        const minute = minutes.get(key);
        return minute === undefined ? [] : [minuteOf(minute)];
      });
      changed.clear();
      // A minute is stored as a whole and over again; two minutes later nothing is added to it any more.
      for (const [key, minute] of minutes) if (minute.minuteMs < nowMs - 3 * minuteMs) minutes.delete(key);
      return taken;
    },
    putBack(taken) {
      for (const minute of taken) {
        const key = keyOf(minute);
        if (!minutes.has(key)) minutes.set(key, countingOf(minute));
        changed.add(key);
      }
    },
  };
}

type About = Omit<Counting, "requests" | "errors" | "rejected" | "invalidOutputs" | "bins">;

function keyOf({ deployment, revision, variant, model, version, shadow, minuteMs: at }: About): string {
  return `${deployment}/${revision}/${variant}/${model}/${version}/${shadow}/${at}`;
}

function addToBin(bins: number[], bin: number): void {
  for (let at = 0; at < bins.length; at += 2) {
    if (bins[at] !== bin) continue;
    bins[at + 1] = (bins[at + 1] ?? 0) + 1;
    return;
  }
  bins.push(bin, 1);
}

function minuteOf({ bins, ...counted }: Counting): TrafficMinute {
  const latency: Record<string, number> = {};
  for (let at = 0; at < bins.length; at += 2) latency[String(bins[at])] = bins[at + 1] ?? 0;
  return { ...counted, latency };
}

function countingOf({ latency, ...counted }: TrafficMinute): Counting {
  return { ...counted, bins: Object.entries(latency).flatMap(([bin, count]) => [Number(bin), count]) };
}

/** Sums minutes up; the percentiles are upper ends of bins of 25 % width. */
export function trafficOf(
  minutes: readonly Pick<TrafficMinute, "requests" | "errors" | "rejected" | "invalidOutputs" | "latency">[],
): Traffic {
  const latency: Record<string, number> = {};
  const total = { requests: 0, errors: 0, rejected: 0, invalidOutputs: 0 };
  for (const minute of minutes) {
    total.requests += minute.requests;
    total.errors += minute.errors;
    total.rejected += minute.rejected;
    total.invalidOutputs += minute.invalidOutputs;
    for (const [bin, count] of Object.entries(minute.latency)) latency[bin] = (latency[bin] ?? 0) + count;
  }
  return { ...total, latencyP50Ms: percentile(latency, 0.5), latencyP95Ms: percentile(latency, 0.95) };
}

const firstEdgeMs = 0.1;
const binRatio = 1.25;

/** Bin b reaches from .1 ms * 1.25^(b-1) to .1 ms * 1.25^b; bin 0 lies below. */
function latencyBin(durationMs: number): number {
  if (!(durationMs > firstEdgeMs)) return 0;
  return Math.min(99, Math.ceil(Math.log(durationMs / firstEdgeMs) / Math.log(binRatio)));
}

function percentile(latency: Readonly<Record<string, number>>, share: number): number | null {
  const bins = Object.entries(latency)
    .map(([bin, count]) => ({ bin: Number(bin), count }))
    .sort((a, b) => a.bin - b.bin);
  const total = bins.reduce((sum, { count }) => sum + count, 0);
  let seen = 0;
  for (const { bin, count } of bins) {
    seen += count;
    if (seen >= share * total) return Number((firstEdgeMs * binRatio ** bin).toPrecision(3));
  }
  return null;
}
