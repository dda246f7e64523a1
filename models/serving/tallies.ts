import type { Clock } from "../../shared/clock.ts";
import type { Observation } from "./data-plane.ts";
import { addToTally, emptyTally, type Tally } from "./tally.ts";
import type { TallyKey, TallyStore } from "./tally-store.ts";

/** Counts what variants answer, in memory, and writes it out by windows of time. */
export interface Tallies {
  add(observation: Observation): void;
  /** Writes what changed since the last time. What cannot be written stays for the next time. */
  flush(): Promise<void>;
}

export const tallyWindowMs = 5 * 60_000;

interface Entry {
  readonly key: TallyKey;
  readonly tally: Tally;
  /** Requests that are in the database. */
  written: number;
}

export function createTallies({
  store,
  clock,
}: {
  readonly store: TallyStore;
  readonly clock: Clock;
}): Tallies {
  const entries = new Map<string, Entry>();
  let flushing: Promise<void> = Promise.resolve();

  const write = async () => {
    const currentMs = windowOf(clock());
    for (const [name, entry] of entries) {
      const { requests } = entry.tally;
      if (requests > entry.written) {
        await store.write(entry.key, entry.tally);
        entry.written = requests;
      }
      if (entry.key.windowMs < currentMs && entry.written === entry.tally.requests) entries.delete(name);
    }
  };
  return {
    add(observation) {
      const { deployment, revision, variant, modelName, modelVersion, shadow } = observation.prediction;
      if (deployment === null || revision === null || variant === null) return;
      const windowMs = windowOf(clock());
      const name = `${windowMs} ${deployment} ${revision} ${variant} ${modelVersion} ${shadow} ${modelName}`;
      let entry = entries.get(name);
      if (entry === undefined) {
        const key = { windowMs, deployment, revision, variant, modelName, modelVersion, shadow };
        entry = { key, tally: emptyTally(), written: 0 };
        entries.set(name, entry);
      }
      addToTally(entry.tally, observation);
    },
    flush() {
      flushing = flushing.catch(() => undefined).then(write);
      return flushing;
    },
  };
}

function windowOf(ms: number): number {
  return Math.floor(ms / tallyWindowMs) * tallyWindowMs;
}
