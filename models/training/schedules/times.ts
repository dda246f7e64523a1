import { Cron } from "croner";
import { invalid } from "../../../shared/errors.ts";
import { hashText } from "../../../shared/statistics/index.ts";

/** When a schedule is due, by the clock of a place. */
export interface Timetable {
  /** NCRONTAB: six fields with seconds first, or five without. Day of month AND day of week, as Azure Functions reads it. */
  readonly cron: string;
  /** Of the IANA database, e.g. `Europe/Berlin`. */
  readonly timeZone: string;
}

/**
 * The first moment after a time at which a timetable is due. An hour that a change of the clock leaves out is made up for
 * at once; one that comes twice counts once.
 *
 * @returns milliseconds; null when it is never due again
 */
export function nextDue(timetable: Timetable, afterMs: number): number | null {
  return parsed(timetable).nextRun(new Date(afterMs))?.getTime() ?? null;
}

/**
 * The moments in (afterMs, untilMs] at which a timetable was due.
 *
 * @param most of them, the newest
 */
export function dueBetween(timetable: Timetable, afterMs: number, untilMs: number, most: number): number[] {
  const cron = parsed(timetable);
  const due: number[] = [];
  for (let at = cron.nextRun(new Date(afterMs)); at !== null; at = cron.nextRun(at)) {
    const ms = at.getTime();
    if (ms > untilMs) break;
    due.push(ms);
    if (due.length > most) due.shift();
  }
  return due;
}

/** @throws invalid for what is no timetable, or one that is due more often than every minute */
export function checkTimetable(timetable: Timetable, nowMs: number): void {
  if (!isTimeZone(timetable.timeZone)) {
    throw invalid(
      `timeZone is "${timetable.timeZone}", which is none; one of the IANA database would be right, such as "Europe/Berlin" or "UTC".`,
      { field: "timeZone" },
    );
  }
  const first = nextDue(timetable, nowMs);
  if (first === null) {
    throw invalid(`cron is "${timetable.cron}", which is never due after now.`, { field: "cron" });
  }
  let before = first;
  for (let i = 0; i < 3; i++) {
    const next = nextDue(timetable, before);
    if (next === null) return;
    if (next - before < minGapMs) {
      throw invalid(
        `cron is "${timetable.cron}", which is due every ${(next - before) / 1000} s; every minute is the most.`,
        { field: "cron" },
      );
    }
    before = next;
  }
}

const minGapMs = 60_000;

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

/** How long after it is due a schedule fires: the same on every instance, spread evenly over schedules and days. */
export function jitterMs(schedule: string, dueMs: number, most: number): number {
  return most === 0 ? 0 : Math.floor((hashText(`${schedule}\n${dueMs}`, 0x6a69) / 2 ** 32) * most);
}

function parsed({ cron, timeZone }: Timetable): Cron {
  try {
    return new Cron(cron, { timezone: timeZone, domAndDow: true, mode: "5-or-6-parts", paused: true });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw invalid(
      `cron is "${cron}" in the time zone "${timeZone}": ${why}. Six fields would be right, such as "0 30 2 * * *" for half past two every night.`,
      { field: "cron" },
    );
  }
}
