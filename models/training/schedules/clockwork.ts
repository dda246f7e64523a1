import type { Clock } from "../../../shared/clock.ts";
import type { Datasets } from "../../datasets/index.ts";
import { newFiring, nextOf, specOf } from "./schedules.ts";
import type { Cause, ScheduleSpec } from "./schemas.ts";
import type { NewFiring, ScheduleRow, ScheduleStore } from "./store.ts";
import { dueBetween } from "./times.ts";

export interface ClockworkOptions {
  readonly store: ScheduleStore;
  readonly datasets: Pick<Datasets, "newestVersion">;
  readonly clock: Clock;
}

/** Finds out what is due, and writes it down as firings: by the clock, and by what came about. */
export interface Clockwork {
  /** @returns nothing; any number of instances may do it at once, and each due time fires once */
  fireDue(): Promise<void>;
  /** Fires for new versions of data sets, once each. */
  fireTriggered(): Promise<void>;
  /** Fires for an alert, once each. @returns the names of the schedules that it starts */
  fireForAlert(alert: {
    readonly id: string;
    readonly monitor: string;
    readonly message: string;
  }): Promise<string[]>;
}

const atATime = 100;
/** With `catchUp: all`. */
const maxMissed = 100;
/** A time counts as missed when it is seen so much later than it was to fire. */
const graceMs = 5 * 60_000;

export function createClockwork({ store, datasets, clock }: ClockworkOptions): Clockwork {
  const all = async function* (): AsyncGenerator<ScheduleRow> {
    for (let after = ""; ; ) {
      const page = await store.list(after, atATime);
      yield* page;
      const last = page.at(-1);
      if (last === undefined || page.length < atATime) return;
      after = last.name;
    }
  };

  return {
    async fireDue() {
      for (;;) {
        const nowMs = clock();
        const due = await store.due(nowMs, atATime);
        for (const row of due) {
          const spec = specOf(row);
          await store.fire(row, nextOf(row.name, spec, nowMs), firingsOf(row, spec, nowMs));
        }
        if (due.length < atATime) return;
      }
    },

    async fireTriggered() {
      for await (const row of all()) {
        const spec = specOf(row);
        if (spec.paused || !spec.triggers.some(({ on }) => on === "dataset")) continue;
        const newest = await datasets.newestVersion(spec.training.dataset);
        // One that is still being profiled is looked at again.
        if (newest === null || newest.version === row.seen_version || newest.state === "pending") continue;
        const cause: Cause = { kind: "dataset", version: newest.version };
        await store.add(newFiring(row, cause, newest.version, clock()));
        await store.seen(row.name, newest.version);
      }
    },

    async fireForAlert({ id, monitor, message }) {
      const started: string[] = [];
      for await (const row of all()) {
        const { triggers, paused } = specOf(row);
        const isMeant = triggers.some((trigger) => trigger.on === "alert" && trigger.monitor === monitor);
        if (paused || !isMeant) continue;
        await store.add(newFiring(row, { kind: "alert", monitor, alert: id, message }, id, clock()));
        started.push(row.name);
      }
      return started;
    },
  };
}

/** The firings of the times that have come since a schedule was due. */
function firingsOf(row: ScheduleRow, spec: ScheduleSpec, nowMs: number): NewFiring[] {
  const first = row.next_due_ms ?? nowMs;
  const { cron, timeZone, jitterSeconds } = spec;
  const later =
    cron === null ? [] : dueBetween({ cron, timeZone }, first, nowMs - jitterSeconds * 1000, maxMissed);
  const times = [first, ...later].slice(-maxMissed);
  const fire = (dueMs: number) => newFiring(row, { kind: "time", dueMs }, String(dueMs), nowMs);
  const last = times.at(-1) ?? first;
  const isLate = nowMs - last > graceMs + jitterSeconds * 1000;
  switch (spec.catchUp) {
    case "all":
      return times.map(fire);
    case "latest":
      return [fire(last)];
    case "none": {
      if (!isLate) return [fire(last)];
      const since = new Date(first).toISOString();
      const reason = `No server ran when it was due, since ${since}; catchUp is none.`;
      return [{ ...fire(last), state: "skipped", reason, ended_ms: nowMs }];
    }
  }
}
