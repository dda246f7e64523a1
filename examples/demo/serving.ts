import { readFile, rm } from "node:fs/promises";
import path from "node:path";
import type { Client } from "./client.ts";
import { writeFlights } from "./flights.ts";
import { model } from "./training.ts";

export const deployment = "late-flights";

export interface Flight {
  readonly date: Date;
  readonly delay: number;
  readonly distance: number;
  readonly origin: string;
  readonly destination: string;
}

export interface Deployment {
  readonly revision: number;
  readonly variants: readonly { readonly version?: string }[];
}

/** Flights of a stretch of time, as somebody would ask about them. */
export async function readFlights(
  directory: string,
  from: string,
  before: string,
  share: number,
): Promise<Flight[]> {
  const file = path.join(directory, "flights-to-ask.jsonl");
  await writeFlights(file, { share, format: "jsonl", from, before });
  const lines = (await readFile(file, "utf8")).trim().split("\n");
  await rm(file, { force: true });
  return lines.map((line) => {
    const row: { date: string; delay: number; distance: number; origin: string; destination: string } =
      JSON.parse(line);
    return { ...row, date: new Date(`${row.date.replace(" ", "T")}Z`) };
  });
}

/**
 * Serves one version to everybody: a new revision of the deployment.
 *
 * @param revision the one that is changed; should somebody else have changed it meanwhile, nothing happens
 */
export function deploy(
  client: Client,
  version: number,
  reason: string,
  revision?: number,
): Promise<Deployment> {
  const variants = [{ name: `v${version}`, model, version: String(version), weight: 100 }];
  const headers: Record<string, string> = revision === undefined ? {} : { "if-match": `"${revision}"` };
  return client.send("PUT", `/api/v1/deployments/${deployment}`, { variants, reason }, headers);
}

export function rollback(client: Client, reason: string, toRevision?: number): Promise<Deployment> {
  const target = toRevision === undefined ? {} : { toRevision };
  return client.send("POST", `/api/v1/deployments/${deployment}/rollback`, { ...target, reason });
}

export interface Answer {
  /** Probability of being late, per flight. */
  readonly probabilities: readonly number[];
  readonly version: string;
  readonly revision: string;
}

const inputs: readonly {
  readonly name: string;
  readonly datatype: string;
  value(flight: Flight): number | string;
}[] = [
  { name: "hour", datatype: "FP32", value: ({ date }) => date.getUTCHours() },
  { name: "weekday", datatype: "FP32", value: ({ date }) => ((date.getUTCDay() + 6) % 7) + 1 },
  { name: "distance", datatype: "FP32", value: ({ distance }) => distance },
  { name: "origin", datatype: "BYTES", value: ({ origin }) => origin },
  { name: "destination", datatype: "BYTES", value: ({ destination }) => destination },
];

/** Asks by the Open Inference Protocol, one request for all the flights given. */
export async function predict(client: Client, flights: readonly Flight[]): Promise<Answer> {
  const shape = [flights.length, 1];
  const response = await fetch(`${client.url}/v2/models/${deployment}/infer`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      inputs: inputs.map(({ name, datatype, value }) => ({
        name,
        datatype,
        shape,
        data: flights.map(value),
      })),
    }),
    signal: AbortSignal.timeout(30_000),
  });
  if (!response.ok) throw new Error(`A prediction answered ${response.status}: ${await response.text()}`);
  const { outputs } = (await response.json()) as { outputs: { name: string; data: number[] }[] };
  const data = outputs.find(({ name }) => name === "probabilities")?.data ?? [];
  return {
    probabilities: flights.map((_, row) => data[2 * row + 1] ?? Number.NaN),
    version: response.headers.get("ketline-model-version") ?? "",
    revision: response.headers.get("ketline-revision") ?? "",
  };
}
