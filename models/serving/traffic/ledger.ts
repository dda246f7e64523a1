import type { Clock } from "../../../shared/clock.ts";
import type { Observation } from "../inference/data-plane.ts";
import type { LedgerStore } from "./store.ts";
import { addToTally, emptyTally, mergeTallies, type Tally } from "./tally.ts";

/**
 * The one count of what deployments answer: by minute, revision, variant and version. Rollouts, comparisons and
 * monitoring judge by it. What asks a registered model itself is not counted: no revision is judged by it, and there may
 * be tens of thousands of models.
 */
export interface Ledger {
  add(observation: Observation): void;
  /** What was counted in a range of time, by this instance up to now and by others up to their last writing. */
  trafficOf(deployment: string, range: TrafficRange): Promise<readonly Traffic[]>;
  /** Writes what changed since the last time. What cannot be written stays for the next time. */
  flush(): Promise<void>;
  /** Sums minutes that are some hours old up to hours, and removes what is older than is kept. */
  tidy(): Promise<void>;
}

/** Of a deployment; all of it where nothing is said. */
export interface TrafficRange {
  /** The first moment; the minute, or after some hours the hour, that it lies in counts whole. */
  readonly fromMs?: number | undefined;
  /** The first moment after it. */
  readonly toMs?: number | undefined;
  /** The first and the last revision. */
  readonly revisions?: { readonly from: number; readonly to: number };
}

/** Whose traffic. */
export interface TrafficKey {
  readonly deployment: string;
  readonly revision: number;
  readonly variant: string;
  readonly modelName: string;
  readonly modelVersion: string;
  /** Copies, whose answers reached no caller. */
  readonly shadow: boolean;
}

export interface Traffic extends TrafficKey {
  readonly tally: Tally;
}

/** A key, and the beginning of its minute or hour. */
export interface CountedKey extends TrafficKey {
  readonly windowMs: number;
}

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
/** Minutes are there for whoever looks at what happens now. */
const minutesKeptMs = 2 * hourMs;
/** The longest window of a monitor, and a day. */
const keptMs = 32 * 24 * hourMs;

interface Entry {
  readonly key: CountedKey;
  readonly tally: Tally;
  /** Requests that are in the database. */
  written: number;
}

export function createLedger({
  store,
  clock,
}: {
  readonly store: LedgerStore;
  readonly clock: Clock;
}): Ledger {
  const entries = new Map<string, Entry>();
  let flushing: Promise<void> = Promise.resolve();

  const write = async () => {
    const currentMs = minuteOf(clock());
    for (const [name, entry] of entries) {
      const { requests } = entry.tally;
      if (requests > entry.written) {
        await store.write(entry.key, entry.tally);
        entry.written = requests;
      }
      if (entry.key.windowMs < currentMs && entry.written === entry.tally.requests) entries.delete(name);
    }
  };
  const flush = () => {
    flushing = flushing.catch(() => undefined).then(write);
    return flushing;
  };
  return {
    add(observation) {
      const { deployment, revision, variant, modelName, modelVersion, shadow } = observation.prediction;
      if (deployment === null || revision === null || variant === null) return;
      // By the moment at which it is known: a minute that was written and forgotten must not begin anew.
      const windowMs = minuteOf(clock());
      const name = `${windowMs} ${deployment} ${revision} ${variant} ${modelVersion} ${shadow} ${modelName}`;
      let entry = entries.get(name);
      if (entry === undefined) {
        const key = { windowMs, deployment, revision, variant, modelName, modelVersion, shadow };
        entry = { key, tally: emptyTally(), written: 0 };
        entries.set(name, entry);
      }
      addToTally(entry.tally, observation);
    },
    async trafficOf(deployment, range) {
      await flush();
      const { fromMs } = range;
      const isOld = fromMs !== undefined && fromMs < clock() - minutesKeptMs;
      const unitMs = isOld ? hourMs : minuteMs;
      const whole = fromMs === undefined ? range : { ...range, fromMs: Math.floor(fromMs / unitMs) * unitMs };
      const sums = new Map<string, Traffic>();
      for (const { key, tally } of await store.read(deployment, whole)) {
        const { windowMs: _, ...traffic } = key;
        const { revision, variant, modelName, modelVersion, shadow } = traffic;
        const name = JSON.stringify([revision, variant, modelName, modelVersion, shadow]);
        const known = sums.get(name)?.tally;
        sums.set(name, { ...traffic, tally: known === undefined ? tally : mergeTallies(known, tally) });
      }
      return [...sums.values()];
    },
    flush,
    async tidy() {
      const nowMs = clock();
      await store.sumUp(Math.floor((nowMs - minutesKeptMs) / hourMs) * hourMs);
      await store.deleteBefore(nowMs - keptMs);
    },
  };
}

function minuteOf(ms: number): number {
  return Math.floor(ms / minuteMs) * minuteMs;
}
