import {
  answersOf,
  emptyTally,
  failuresOf,
  latencyQuantile,
  mergeTallies,
  refusalsOf,
  type Serving,
} from "../serving/index.ts";
import type { Traffic } from "./schemas.ts";

/**
 * What callers of a deployment met in [fromMs, toMs), all versions together.
 *
 * @returns null when nobody asked
 */
export async function trafficIn(
  serving: Pick<Serving, "trafficOf">,
  deployment: string,
  fromMs: number,
  toMs: number,
): Promise<Traffic | null> {
  const parts = (await serving.trafficOf(deployment, { fromMs, toMs })).filter(({ shadow }) => !shadow);
  if (parts.length === 0) return null;
  const sum = parts.map(({ tally }) => tally).reduce(mergeTallies, emptyTally());
  return {
    requests: sum.requests,
    errors: failuresOf(sum),
    rejected: refusalsOf(sum),
    invalidOutputs: sum.invalid,
    latencyP50Ms: answersOf(sum) === 0 ? null : latencyQuantile(sum.latency, 0.5),
    latencyP95Ms: answersOf(sum) === 0 ? null : latencyQuantile(sum.latency, 0.95),
  };
}
