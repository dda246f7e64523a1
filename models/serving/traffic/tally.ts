import { callersFaults } from "../../../shared/errors.ts";
import { fromHalves } from "../../../shared/half.ts";
import { type MeanAndSquares, mergeMoments } from "../../../shared/statistics/index.ts";
import type { Observation } from "../inference/data-plane.ts";
import type { Tensor, Tensors } from "../tensors/tensors.ts";

/** What is counted of one variant in one window of time: plain JSON that merges exactly with that of others. */
export interface Tally {
  requests: number;
  rows: number;
  /** By the kind of error, as `Prediction.errorKind` names it. */
  errors: Record<string, number>;
  /** Requests that were answered with a NaN, an infinity, or nothing at all. */
  invalid: number;
  /** Requests that were answered, by `latencyBucket` of their duration. */
  latency: Record<string, number>;
  /** By the name of the output; of a row with several values, by `name[index]`. */
  outputs: Record<string, ValueTally>;
  /** Of a shadow: how its rows compare with those that the caller got, by the name of the output. */
  agreement: Record<string, AgreementTally>;
}

export interface ValueTally {
  numbers: MeanAndSquares;
  min: number | null;
  max: number | null;
  /** NaN and infinities, which are left out of the numbers. */
  nonFinite: number;
  /** Of texts, truth values and whole numbers; the rest when there are many. */
  labels: Record<string, number>;
  otherLabels: number;
}

export interface AgreementTally {
  rows: number;
  agreed: number;
  /** The shadow's value less the caller's, where both are finite numbers. */
  differences: MeanAndSquares;
}

/** Of one request: enough for a distribution, and a bound on what counting costs. */
const maxRows = 1000;
const maxColumns = 32;
const maxLabels = 50;
const bucketsPerDoubling = 8;
/** Two numbers agree when they differ by less: what batching and rounding do stays below (facts in `bench/README.md`). */
const relativeTolerance = 1e-5;

export function emptyTally(): Tally {
  return { requests: 0, rows: 0, errors: {}, invalid: 0, latency: {}, outputs: {}, agreement: {} };
}

/** Adds one request, in place. */
export function addToTally(tally: Tally, { prediction, answered }: Observation): void {
  tally.requests++;
  if (prediction.status === "error") {
    bump(tally.errors, prediction.errorKind ?? "internal", 1);
    return;
  }
  bump(tally.latency, String(latencyBucket(prediction.durationMs)), 1);
  if (hasInvalidOutput(prediction.outputs)) tally.invalid++;
  tally.rows += rowsOf(prediction.outputs);
  for (const [name, values] of columnsOf(prediction.outputs)) {
    addValues(own(tally.outputs, name, emptyValues), values);
  }
  if (answered === null) return;
  const theirs = new Map(columnsOf(answered.outputs));
  for (const [name, ours] of columnsOf(prediction.outputs)) {
    const others = theirs.get(name);
    if (others === undefined) continue;
    addAgreement(own(tally.agreement, name, noAgreement), ours, others);
  }
}

/** Both together, as a new tally. */
export function mergeTallies(a: Tally, b: Tally): Tally {
  return {
    requests: a.requests + b.requests,
    rows: a.rows + b.rows,
    errors: mergeBy(a.errors, b.errors, sum),
    invalid: a.invalid + b.invalid,
    latency: mergeBy(a.latency, b.latency, sum),
    outputs: mergeBy(a.outputs, b.outputs, mergeValues),
    agreement: mergeBy(a.agreement, b.agreement, (x, y) => ({
      rows: x.rows + y.rows,
      agreed: x.agreed + y.agreed,
      differences: mergeMoments(x.differences, y.differences),
    })),
  };
}

/** Requests that failed and were not the caller's mistake. */
export function failuresOf({ errors }: Pick<Tally, "errors">): number {
  return Object.entries(errors).reduce(
    (all, [kind, count]) => (callersFaults.has(kind) ? all : all + count),
    0,
  );
}

/** Requests that were refused, for the caller's mistake. */
export function refusalsOf({ errors }: Pick<Tally, "errors">): number {
  return Object.entries(errors).reduce(
    (all, [kind, count]) => (callersFaults.has(kind) ? all + count : all),
    0,
  );
}

/** Requests that got an answer. */
export function answersOf({ requests, errors }: Pick<Tally, "requests" | "errors">): number {
  return requests - Object.values(errors).reduce((all, count) => all + count, 0);
}

/** Eight buckets per doubling: a percentile read from them is at most 4.5 % off. */
function latencyBucket(ms: number): number {
  return Math.round(Math.log2(Math.max(ms, 0.001)) * bucketsPerDoubling);
}

/** The milliseconds in the middle of a bucket. */
export function latencyOf(bucket: number): number {
  return 2 ** (bucket / bucketsPerDoubling);
}

/** @returns milliseconds; null when nothing was answered */
export function latencyQuantile(latency: Tally["latency"], probability: number): number | null {
  const buckets = Object.entries(latency)
    .map(([bucket, count]) => [Number(bucket), count] as const)
    .sort(([a], [b]) => a - b);
  const total = buckets.reduce((all, [, count]) => all + count, 0);
  let seen = 0;
  for (const [bucket, count] of buckets) {
    seen += count;
    if (seen >= probability * total) return latencyOf(bucket);
  }
  return null;
}

const none: MeanAndSquares = { count: 0, mean: 0, m2: 0 };

function emptyValues(): ValueTally {
  return { numbers: none, min: null, max: null, nonFinite: 0, labels: {}, otherLabels: 0 };
}

function noAgreement(): AgreementTally {
  return { rows: 0, agreed: 0, differences: none };
}

type Value = number | string | boolean | bigint;

function addValues(tally: ValueTally, values: readonly Value[]): void {
  for (const value of values) {
    if (typeof value !== "number" && (Object.hasOwn(tally.labels, String(value)) || labelsLeft(tally))) {
      bump(tally.labels, String(value), 1);
    } else if (typeof value !== "number") tally.otherLabels++;
    if (typeof value === "string" || typeof value === "boolean") continue;
    const number = Number(value);
    if (!Number.isFinite(number)) {
      tally.nonFinite++;
      continue;
    }
    tally.numbers = mergeMoments(tally.numbers, { count: 1, mean: number, m2: 0 });
    tally.min = Math.min(tally.min ?? number, number);
    tally.max = Math.max(tally.max ?? number, number);
  }
}

function labelsLeft(tally: ValueTally): boolean {
  return Object.keys(tally.labels).length < maxLabels;
}

function addAgreement(tally: AgreementTally, ours: readonly Value[], theirs: readonly Value[]): void {
  const rows = Math.min(ours.length, theirs.length);
  for (let row = 0; row < rows; row++) {
    const a = ours[row];
    const b = theirs[row];
    if (a === undefined || b === undefined) continue;
    tally.rows++;
    if (agree(a, b)) tally.agreed++;
    const difference = amountOf(a) - amountOf(b);
    if (Number.isFinite(difference)) {
      tally.differences = mergeMoments(tally.differences, { count: 1, mean: difference, m2: 0 });
    }
  }
}

function amountOf(value: Value): number {
  return typeof value === "number" || typeof value === "bigint" ? Number(value) : Number.NaN;
}

function agree(a: Value, b: Value): boolean {
  if (typeof a !== "number" || typeof b !== "number") return a === b;
  return Object.is(a, b) || Math.abs(a - b) <= relativeTolerance * Math.max(1, Math.abs(a), Math.abs(b));
}

function mergeValues(a: ValueTally, b: ValueTally): ValueTally {
  const all = Object.entries(mergeBy(a.labels, b.labels, sum)).sort(([, x], [, y]) => y - x);
  const rest = all.slice(maxLabels).reduce((total, [, count]) => total + count, 0);
  return {
    numbers: mergeMoments(a.numbers, b.numbers),
    min: a.min === null || b.min === null ? (a.min ?? b.min) : Math.min(a.min, b.min),
    max: a.max === null || b.max === null ? (a.max ?? b.max) : Math.max(a.max, b.max),
    nonFinite: a.nonFinite + b.nonFinite,
    labels: Object.fromEntries(all.slice(0, maxLabels)),
    otherLabels: a.otherLabels + b.otherLabels + rest,
  };
}

/** Whether an answer holds a NaN or an infinity, or is none. */
function hasInvalidOutput(outputs: Tensors): boolean {
  let isEmpty = true;
  for (const name in outputs) {
    isEmpty = false;
    const tensor = outputs[name];
    if (tensor !== undefined && hasNonFinite(tensor)) return true;
  }
  return isEmpty;
}

function hasNonFinite({ datatype, data }: Tensor): boolean {
  if (data instanceof Float32Array || data instanceof Float64Array) {
    for (const value of data) if (!Number.isFinite(value)) return true;
    return false;
  }
  // An exponent of ones alone: infinities and NaN of half precision.
  return (
    datatype === "FP16" && data instanceof Uint16Array && data.some((bits) => (bits & 0x7c00) === 0x7c00)
  );
}

function rowsOf(outputs: Tensors): number {
  for (const name in outputs) return outputs[name]?.shape[0] ?? 1;
  return 0;
}

/** The values of each output by row: one column, or one per element of a row where a row is a short list. */
function columnsOf(outputs: Tensors): [name: string, values: Value[]][] {
  return Object.entries(outputs).flatMap(([name, tensor]): [string, Value[]][] => {
    const rows = Math.min(tensor.shape[0] ?? 1, maxRows);
    const width = tensor.shape.slice(1).reduce((product, size) => product * size, 1);
    if (width === 0 || width > maxColumns || tensor.shape.length > 2) return [];
    const values = firstValues(tensor, rows * width);
    if (width === 1) return [[name, values]];
    return Array.from({ length: width }, (_, column): [string, Value[]] => [
      `${name}[${column}]`,
      values.filter((_value, index) => index % width === column),
    ]);
  });
}

function firstValues({ datatype, data }: Tensor, count: number): Value[] {
  const part = data.slice(0, count);
  if (datatype === "FP16") return [...fromHalves(part as Uint16Array)];
  if (datatype === "BOOL") return Array.from(part as Uint8Array, (value) => value !== 0);
  // Whole numbers are labels as often as amounts: they count as both.
  if (datatype.includes("INT")) return Array.from(part as Int32Array, (value) => BigInt(value));
  return [...(part as Float32Array | readonly string[])];
}

function bump(counts: Record<string, number>, key: string, by: number): void {
  counts[key] = own(counts, key, zero) + by;
}

const zero = () => 0;

/** What stands under a key that strangers chose, which may be called as something that every object has. */
function own<Value>(record: Record<string, Value>, key: string, first: () => Value): Value {
  if (Object.hasOwn(record, key)) return record[key] as Value;
  const value = first();
  Object.defineProperty(record, key, { value, configurable: true, enumerable: true, writable: true });
  return value;
}

const sum = (a: number, b: number) => a + b;

function mergeBy<Value>(
  a: Readonly<Record<string, Value>>,
  b: Readonly<Record<string, Value>>,
  merge: (x: Value, y: Value) => Value,
): Record<string, Value> {
  const merged = new Map(Object.entries(a));
  for (const [key, value] of Object.entries(b)) {
    const known = merged.get(key);
    merged.set(key, known === undefined ? value : merge(known, value));
  }
  return Object.fromEntries(merged);
}
