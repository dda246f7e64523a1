import { setTimeout as sleep } from "node:timers/promises";
import type { Checks } from "./checks.ts";
import type { Client, DemoJob } from "./client.ts";
import { dataset } from "./data.ts";
import { deployment } from "./serving.ts";
import { dim, green, heading, progressBar, red, table, yellow } from "./terminal.ts";

interface Result {
  readonly windowStartMs: number;
  readonly drift: {
    readonly verdict: string;
    readonly reason: string;
    readonly rows: number;
    readonly columns: readonly ColumnResult[];
  };
  readonly captured: { readonly requests: number } | null;
}

interface ColumnResult {
  readonly column: string;
  readonly verdict: string;
  readonly severity: number | null;
  readonly p: number | null;
  readonly metrics: readonly { readonly metric: string; readonly value: number }[];
  readonly shift: { readonly referenceMean: number; readonly windowMean: number } | null;
}

export const weekly = "delays-by-week";
export const monthly = "delays-by-month";
export const served = "served-flights";

const weekMs = 7 * 24 * 3600_000;
const firstWeek = Date.UTC(2001, 1, 5);
const weeks = 20;
const february = [Date.UTC(2001, 1, 1), Date.UTC(2001, 2, 1)] as const;
const april = [Date.UTC(2001, 3, 1), Date.UTC(2001, 4, 1)] as const;

/** Holds the delays of each week against February's, and the served flights against those of the training. */
export async function watchDrift(client: Client, checks: Checks, version: string): Promise<void> {
  heading(
    4,
    "Monitoring",
    "Delays by week against February's, and the flights just served against the training's.",
  );
  await watchDelays(client, weekly, version);
  const windows = Array.from({ length: weeks }, (_, week) => firstWeek + week * weekMs);
  const results = await judge(
    client,
    weekly,
    version,
    windows.map((fromMs) => [fromMs, fromMs + weekMs]),
  );
  table(
    ["week of", "flights", "mean delay", "effect, 1 = threshold", "verdict"],
    results.map((result) => {
      const delay = delayOf(result);
      const severity = delay?.severity ?? 0;
      return [
        new Date(result.windowStartMs).toISOString().slice(0, 10),
        result.drift.rows,
        `${delay?.shift?.windowMean.toFixed(1) ?? "?"} min`,
        `${severity.toFixed(2)} ${"▮".repeat(Math.min(30, Math.round(severity * 12)))}`,
        painted(delay?.verdict ?? "no_data"),
      ];
    }),
  );
  const drifted = results.filter((result) => delayOf(result)?.verdict === "drift").length;
  checks.that(
    results.length === weeks && drifted > 0 && drifted < weeks,
    `every week has its verdict: ${drifted} of ${weeks} drifted beyond what chance explains`,
  );
  await compareMonths(client, checks, version);
  await judgeServed(client, checks);
}

async function compareMonths(client: Client, checks: Checks, version: string): Promise<void> {
  await watchDelays(client, monthly, version);
  const [result] = await judge(client, monthly, version, [april]);
  const delay = result === undefined ? undefined : delayOf(result);
  const distance = delay?.metrics.find(({ metric }) => metric === "kolmogorov_smirnov")?.value;
  checks.that(
    delay?.p !== null && delay?.p !== undefined && delay.p < 0.01,
    `April's delays differ from February's: ${delay?.shift?.windowMean.toFixed(1)} against ` +
      `${delay?.shift?.referenceMean.toFixed(1)} minutes on average, Kolmogorov-Smirnov distance ${distance?.toFixed(3)}, p ${delay?.p?.toPrecision(2)}`,
  );
}

/** The predictions of the step before were captured; they are written out within a second. */
async function judgeServed(client: Client, checks: Checks): Promise<void> {
  await sleep(1_500);
  const evaluation = await client.send<DemoJob>("POST", `/api/v1/monitors/${served}/evaluate`, {});
  await client.follow(evaluation, "judge what was served", () => "compared with the training profile");
  const result = await client.get<Result>(`/api/v1/monitors/${served}/results/latest`);
  table(
    ["column", "effect, 1 = threshold", "verdict"],
    result.drift.columns.map(({ column, severity, verdict }) => [
      column,
      severity?.toFixed(2) ?? dim("–"),
      painted(verdict),
    ]),
  );
  checks.that(
    (result.captured?.requests ?? 0) > 0 && result.drift.rows > 300,
    `${result.captured?.requests} captured requests with ${result.drift.rows} flights were judged: ${result.drift.verdict}`,
  );
}

/** Made before serving begins: predictions are captured where a monitor asks for them. */
export async function watchServed(client: Client): Promise<void> {
  await client.send("PUT", `/api/v1/monitors/${served}`, {
    target: { deployment },
    windowHours: 1,
    everyHours: 1,
    reason: "the demo watches what it serves",
  });
}

function watchDelays(client: Client, monitor: string, version: string): Promise<unknown> {
  const [fromMs, toMs] = february;
  return client.send("PUT", `/api/v1/monitors/${monitor}`, {
    target: { deployment },
    reference: { kind: "dataset", dataset, version, timeColumn: "date", fromMs, toMs },
    columns: ["delay"],
    enabled: false,
    reason: "the demo compares stretches of the data set",
  });
}

/** Judges slices of the data set. @returns their results by time. */
async function judge(
  client: Client,
  monitor: string,
  version: string,
  windows: readonly (readonly [fromMs: number, toMs: number])[],
): Promise<Result[]> {
  const jobs: DemoJob[] = [];
  for (const [fromMs, toMs] of windows) {
    const window = { dataset, version, timeColumn: "date", fromMs, toMs };
    jobs.push(await client.send("POST", `/api/v1/monitors/${monitor}/evaluate`, { window }));
  }
  const bar = progressBar(monitor);
  for (const [index, job] of jobs.entries()) {
    bar.update(index / jobs.length);
    await client.wait(job);
  }
  bar.end(`${jobs.length} windows judged`);
  const { items } = await client.get<{ items: Result[] }>(
    `/api/v1/monitors/${monitor}/results?series=dataset:${dataset}&limit=100`,
  );
  return items.toSorted((a, b) => a.windowStartMs - b.windowStartMs);
}

function delayOf(result: Result): ColumnResult | undefined {
  return result.drift.columns.find(({ column }) => column === "delay");
}

function painted(verdict: string): string {
  if (verdict === "ok") return green(verdict);
  return verdict === "drift" ? red(verdict) : yellow(verdict);
}
