import { openAsBlob } from "node:fs";
import { rm } from "node:fs/promises";
import path from "node:path";
import type { Checks } from "./checks.ts";
import type { Client, DemoJob } from "./client.ts";
import { flightsFile, writeFlights } from "./flights.ts";
import { heading, say, table } from "./terminal.ts";

interface Version {
  readonly version: string;
  readonly state: string;
  readonly rows: number | null;
  readonly columns: readonly { readonly name: string; readonly type: string }[];
  readonly checks: readonly { readonly passed: boolean }[];
  readonly profile: readonly ColumnProfile[] | null;
}

interface ColumnProfile {
  readonly name: string;
  readonly kind: string;
  readonly nulls: number;
  readonly distinct: { readonly value: number };
  readonly min?: number | string | null;
  readonly max?: number | string | null;
  readonly mean?: number | null;
}

export const dataset = "flights";

const expectations = [
  { kind: "rows", min: 10_000 },
  { kind: "nulls", column: "delay", maxShare: 0 },
  { kind: "range", column: "distance", min: 1, max: 10_000 },
  { kind: "column", column: "date", type: "time" },
];

/** Registers the flights with what must hold for them. @returns the version's id. */
export async function registerFlights(
  client: Client,
  checks: Checks,
  directory: string,
  full: boolean,
): Promise<string> {
  heading(
    1,
    "Data",
    "US flights of January to June 2001, versioned by their content and checked before use.",
  );
  const sample = path.join(directory, "flights-sample.parquet");
  if (!full) await writeFlights(sample, { share: 0.08, format: "parquet" });
  await client.send("PUT", `/api/v1/datasets/${dataset}`, {
    description: "US flights of 2001",
    expectations,
  });
  const content = await openAsBlob(full ? flightsFile : sample);
  const registered = await client.upload<{ version: Version; job: DemoJob | null }>(
    `/api/v1/datasets/${dataset}/versions?format=parquet`,
    content,
    "application/vnd.apache.parquet",
  );
  await rm(sample, { force: true });
  if (registered.job !== null) await client.follow(registered.job, "register flights", () => "profiled");
  const { version } = registered.version;
  const ready = await client.get<Version>(`/api/v1/datasets/${dataset}/versions/${version}`);
  table(
    ["column", "type", "missing", "distinct", "from", "to"],
    (ready.profile ?? []).map((column) => [
      column.name,
      ready.columns.find(({ name }) => name === column.name)?.type ?? "",
      column.nulls,
      column.distinct.value,
      String(column.min ?? ""),
      String(column.max ?? ""),
    ]),
  );
  say(`   version ${version.slice(0, 12)}…, ${ready.rows?.toLocaleString("en-US")} rows`);
  checks.that(
    ready.state === "ready" && ready.checks.every(({ passed }) => passed),
    `all ${ready.checks.length} expectations hold, so the version may be trained on`,
  );
  return version;
}
