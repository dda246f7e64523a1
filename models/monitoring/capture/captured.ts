import { type CapturedTensors, rowsOf, tensorColumns } from "./captured-tensors.ts";
import { outputColumn } from "./columns.ts";

/** The name under which predictions stand that asked a registered model without a deployment. */
export const directly = "_direct";

/** Below it lie the predictions, and below the other the profiles of their hours, in the same order of folders. */
export const captureRoot = "capture/v1/";
export const hoursRoot = "monitoring/hours/v1/";

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
  /** The code version of the server that answered. */
  readonly code: string;
  /** The share of requests that were kept, errors apart. */
  readonly rate: number;
  /** Of the request; its tensors may hold fewer of them. */
  readonly rows: number;
  readonly inputs: CapturedTensors;
  readonly outputs: CapturedTensors;
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
  const root = shadow ? "shadow=" : "deployment=";
  return `${captureRoot}${root}${encodeURIComponent(deployment)}/model=${encodeURIComponent(model)}/version=${version}/`;
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
    const { v, id, atMs, inputs, outputs } = parsed as Partial<CapturedLine>;
    const whole =
      v === 1 &&
      typeof id === "string" &&
      typeof atMs === "number" &&
      areTensors(inputs) &&
      areTensors(outputs);
    return whole ? (parsed as CapturedLine) : null;
  } catch {
    return null;
  }
}

/**
 * All columns of a line by name, outputs as `output:…`. A tensor that does not have a row for each row of the others
 * (a constant, say, or one of which fewer rows were kept) still gives its values.
 */
export function columnsOf(line: CapturedLine): Map<string, readonly unknown[]> {
  const columns = new Map<string, readonly unknown[]>(tensorColumns(line.inputs));
  for (const [name, values] of tensorColumns(line.outputs)) columns.set(outputColumn(name), values);
  return columns;
}

function areTensors(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  return Object.values(value).every(
    (tensor) =>
      typeof tensor === "object" &&
      tensor !== null &&
      Array.isArray(tensor.shape) &&
      rowsOf(tensor.shape) >= 0 &&
      (Array.isArray(tensor.data) || typeof tensor.base64 === "string"),
  );
}
