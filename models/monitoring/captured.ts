import { parsedNumber } from "./columns.ts";

/** The name under which predictions stand that asked a registered model without a deployment. */
export const directly = "_direct";

/** One captured prediction: a line of a JSON Lines blob. */
export interface CapturedLine {
  readonly v: 1;
  readonly id: string;
  readonly atMs: number;
  readonly revision: number | null;
  readonly variant: string | null;
  readonly status: "ok" | "error";
  readonly errorKind?: string;
  readonly durationMs: number;
  /** The share of requests that were kept, errors apart. */
  readonly rate: number;
  /** Of the request; the columns may hold fewer of them. */
  readonly rows: number;
  readonly numeric: Readonly<Record<string, readonly (number | string)[]>>;
  readonly text: Readonly<Record<string, readonly string[]>>;
}

/** Predictions of one model version through one deployment: they lie together, by day and hour. */
export interface Partition {
  readonly deployment: string;
  readonly model: string;
  readonly version: string;
  /** Predictions of shadows reached no caller; they lie apart. */
  readonly shadow: boolean;
}

/** `capture/v1/deployment=…/model=…/version=…/`: names are escaped, as a model's may hold anything but a slash. */
export function partitionPrefix({ deployment, model, version, shadow }: Partition): string {
  const root = shadow ? "capture/v1/shadow=" : "capture/v1/deployment=";
  return `${root}${encodeURIComponent(deployment)}/model=${encodeURIComponent(model)}/version=${version}/`;
}

/** `dt=2001-04-23/hh=07/`, in UTC. */
export function hourPath(atMs: number): string {
  const [day = "", time = ""] = new Date(atMs).toISOString().split("T");
  return `dt=${day}/hh=${time.slice(0, 2)}/`;
}

export const hourMs = 3_600_000;

export function hourOf(atMs: number): number {
  return Math.floor(atMs / hourMs) * hourMs;
}

/** Reads a line back; null for one that is damaged: a reader counts it and goes on. */
export function parseLine(line: string): CapturedLine | null {
  try {
    const parsed: unknown = JSON.parse(line);
    if (typeof parsed !== "object" || parsed === null) return null;
    const { v, id, atMs, numeric, text } = parsed as Partial<CapturedLine>;
    const whole =
      v === 1 && typeof id === "string" && typeof atMs === "number" && isColumns(numeric) && isColumns(text);
    return whole ? (parsed as CapturedLine) : null;
  } catch {
    return null;
  }
}

/** All columns of a line, by name. */
export function columnsOf(line: CapturedLine): Map<string, readonly unknown[]> {
  const columns = new Map<string, readonly unknown[]>();
  for (const [name, values] of Object.entries(line.numeric)) columns.set(name, values.map(parsedNumber));
  for (const [name, values] of Object.entries(line.text)) columns.set(name, values);
  return columns;
}

function isColumns(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.values(value).every(Array.isArray);
}
