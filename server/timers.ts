import { Cron } from "croner";
import type { Logger } from "pino";
import type { Timer } from "../shared/capability.ts";

export interface RunningTimers {
  /** No further runs begin. */
  stop(): void;
  /** Resolves when the runs that had begun have ended. */
  settled(): Promise<void>;
}

/**
 * Runs each timer by its NCRONTAB schedule in UTC, as Azure Functions reads it: day of month AND day of week. A timer
 * whose last run is still going is left out, not run twice.
 */
export function startTimers(timers: readonly Timer[], logger: Logger): RunningTimers {
  const running = new Set<Promise<void>>();
  const crons = timers.map(
    (timer) =>
      // By its offset, not by its name: a time zone of Intl's costs a start 20 ms.
      new Cron(timer.schedule, { utcOffset: 0, domAndDow: true, mode: "6-part", protect: true }, () => {
        const run = runTimer(timer, logger);
        running.add(run);
        return run.finally(() => running.delete(run));
      }),
  );
  return {
    stop() {
      for (const cron of crons) cron.stop();
    },
    async settled() {
      await Promise.all(running);
    },
  };
}

async function runTimer(timer: Timer, logger: Logger): Promise<void> {
  try {
    await timer.run();
  } catch (error) {
    logger.error({ timer: timer.name, err: error }, "a timer failed; it runs again at its next time");
  }
}
