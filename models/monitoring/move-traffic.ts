import type { Transaction } from "kysely";
import { emptyTally, type Tally } from "../serving/index.ts";

interface TrafficTable {
  deployment: string;
  minute_ms: number;
  revision: number;
  variant: string;
  model: string;
  version: string;
  shadow: number;
  instance: string;
  requests: number;
  errors: number;
  rejected: number;
  invalid_outputs: number;
  /** Requests per bin as JSON: bin b reaches from .1 ms * 1.25^(b-1) to .1 ms * 1.25^b. */
  latency: string;
}

interface LedgerTable {
  instance: string;
  window_ms: number;
  deployment: string;
  revision: number;
  variant: string;
  model_name: string;
  model_version: string;
  shadow: number;
  tally: string;
}

interface Tables {
  monitoring_traffic: TrafficTable;
  serving_tally: LedgerTable;
}

const atATime = 1000;
/** The windows that serving counted in before. */
const oldWindowMs = 5 * 60_000;

/**
 * Monitoring once counted minutes of its own, beside the windows of five minutes of serving. Where serving counted the
 * same requests, its count stands and gets what only monitoring knew: how many answers were no numbers. Older minutes
 * become rows of the ledger.
 */
export async function moveTrafficToLedger(handle: Transaction<unknown>): Promise<void> {
  const trx = handle as unknown as Transaction<Tables>;
  for (;;) {
    const minutes = await trx.selectFrom("monitoring_traffic").selectAll().limit(atATime).execute();
    if (minutes.length === 0) break;
    for (const minute of minutes) {
      await moveMinute(trx, minute);
      let gone = trx.deleteFrom("monitoring_traffic");
      for (const column of trafficKey) gone = gone.where(column, "=", minute[column]);
      await gone.execute();
    }
  }
  await trx.schema.dropTable("monitoring_traffic").execute();
}

async function moveMinute(trx: Transaction<Tables>, minute: TrafficTable): Promise<void> {
  const window = columnsOf(minute, Math.floor(minute.minute_ms / oldWindowMs) * oldWindowMs);
  let counting = trx
    .selectFrom("serving_tally")
    .select(["instance", "tally"])
    .where("instance", "not like", "moved:%");
  for (const column of ledgerKey) counting = counting.where(column, "=", window[column]);
  const counted = await counting.orderBy("instance").executeTakeFirst();
  if (counted === undefined) {
    await trx
      .insertInto("serving_tally")
      .values({ ...columnsOf(minute, minute.minute_ms), tally: JSON.stringify(tallyOf(minute)) })
      .execute();
    return;
  }
  const tally: Tally = { ...emptyTally(), ...(JSON.parse(counted.tally) as Partial<Tally>) };
  tally.invalid += minute.invalid_outputs;
  let telling = trx.updateTable("serving_tally").set({ tally: JSON.stringify(tally) });
  for (const column of ledgerKey) telling = telling.where(column, "=", window[column]);
  await telling.where("instance", "=", counted.instance).execute();
}

const trafficKey = [
  "deployment",
  "minute_ms",
  "revision",
  "variant",
  "model",
  "version",
  "shadow",
  "instance",
] as const;

/** Of one window of all instances. */
const ledgerKey = [
  "deployment",
  "revision",
  "window_ms",
  "variant",
  "model_name",
  "model_version",
  "shadow",
] as const;

function columnsOf(minute: TrafficTable, windowMs: number): Omit<LedgerTable, "tally"> {
  return {
    instance: `moved:${minute.instance}`,
    window_ms: windowMs,
    deployment: minute.deployment,
    revision: minute.revision,
    variant: minute.variant,
    model_name: minute.model,
    model_version: minute.version,
    shadow: minute.shadow,
  };
}

function tallyOf(minute: TrafficTable): Tally {
  const errors: Record<string, number> = {};
  if (minute.errors > 0) errors.internal = minute.errors;
  if (minute.rejected > 0) errors.invalid = minute.rejected;
  const latency: Record<string, number> = {};
  for (const [bin, count] of Object.entries(JSON.parse(minute.latency) as Record<string, number>)) {
    // The upper end of the bin, in eighths of a doubling of a millisecond.
    const bucket = String(Math.round(Math.log2(0.1 * 1.25 ** Number(bin)) * 8));
    latency[bucket] = (latency[bucket] ?? 0) + count;
  }
  return { ...emptyTally(), requests: minute.requests, errors, invalid: minute.invalid_outputs, latency };
}
