import { hashText } from "../hash.ts";
import { type MeanAndSquares, mergeMoments } from "../moments.ts";
import { binOf } from "./histogram.ts";
import {
  type CategoricalReference,
  longestLevel,
  type NumericReference,
  type ReferenceProfile,
  representable,
  type ValueCount,
} from "./profile.ts";

/**
 * What a stretch of time looked like, counted against a reference's frozen edges and levels, as plain JSON. Profiles of
 * the same reference merge: counts exactly, means and deviations up to rounding, in any order and any grouping.
 */
export interface WindowProfile {
  readonly version: 2;
  /** Of the reference that the counts are aligned with. */
  readonly fingerprint: string;
  readonly columns: readonly WindowColumn[];
}

export type WindowColumn = NumericWindow | CategoricalWindow;

export interface NumericWindow {
  readonly kind: "numeric";
  readonly name: string;
  /** All rows, those without a usable value included. */
  count: number;
  nulls: number;
  nan: number;
  posInf: number;
  negInf: number;
  /** Values that are no numbers. */
  mistyped: number;
  /** Finite values below the first and above the last edge; those between are in `counts`. */
  under: number;
  over: number;
  readonly counts: number[];
  /** Of each bin: the sum of the distances of its values from its lower edge; up to rounding, whatever the grouping. */
  readonly offsets: number[];
  /** Likewise of the values below, from the first edge, and of those above, from the last one. */
  underOffset: number;
  overOffset: number;
  /** Per distinct value of the reference, where it lists them. */
  readonly distinctCounts: number[];
  /** Of the finite values, 0 before the first; null once it has exceeded the doubles. */
  mean: number | null;
  /** The sum of the squared deviations from the mean, likewise. */
  m2: number | null;
  min: number | null;
  max: number | null;
}

export interface CategoricalWindow {
  readonly kind: "categorical";
  readonly name: string;
  count: number;
  /** And empty texts, where the reference has none as a level: a tensor of texts has no other way to lack a value. */
  nulls: number;
  /** Values that are neither text nor a number nor a truth value. */
  mistyped: number;
  /** Per level of the reference. */
  readonly counts: number[];
  /** Rows of levels that the reference does not list. */
  unlisted: number;
  /** Some of those levels, chosen by their hash, with their exact counts. */
  unlistedLevels: ValueCount<string>[];
}

/** New values of one column. */
export interface NewValues {
  readonly name: string;
  readonly values: ArrayLike<unknown>;
}

const shownLevels = 20;

/** A window without rows. */
export function emptyWindow(reference: ReferenceProfile): WindowProfile {
  return {
    version: 2,
    fingerprint: reference.fingerprint,
    columns: reference.columns.map((column) =>
      column.kind === "numeric" ? emptyNumeric(column) : emptyCategorical(column),
    ),
  };
}

/**
 * Counts further values into a window, in place. Takes any values: what cannot be used is counted as such. A column that
 * the reference does not have is passed over.
 *
 * @throws Error when the window was counted against another reference.
 */
export function addValues(
  window: WindowProfile,
  reference: ReferenceProfile,
  columns: readonly NewValues[],
): void {
  requireSame(reference.fingerprint, window.fingerprint);
  for (const added of columns) {
    const index = reference.columns.findIndex((column) => column.name === added.name);
    const frozen = reference.columns[index];
    const column = window.columns[index];
    if (frozen?.kind === "numeric" && column?.kind === "numeric") {
      addNumbers(column, frozen, added);
    } else if (frozen?.kind === "categorical" && column?.kind === "categorical") {
      addLevels(column, frozen, added);
    }
  }
}

/**
 * Several windows of one reference together; the parts are left as they are.
 *
 * @throws Error when one was counted against another reference.
 */
export function mergeWindows(reference: ReferenceProfile, parts: readonly WindowProfile[]): WindowProfile {
  for (const part of parts) requireSame(reference.fingerprint, part.fingerprint);
  return {
    ...emptyWindow(reference),
    columns: reference.columns.map((column, index) => {
      const columns = parts.flatMap((part) => part.columns[index] ?? []);
      return column.kind === "numeric"
        ? mergeNumeric(
            column,
            columns.filter((part) => part.kind === "numeric"),
          )
        : mergeCategorical(
            column,
            columns.filter((part) => part.kind === "categorical"),
          );
    }),
  };
}

/** The finite values of a side as points of weight, about the mean of what lies in each bin. */
export interface BinnedValues {
  /** Ascending. */
  readonly sorted: readonly number[];
  readonly weights: readonly number[];
}

/**
 * Where the values of a reference lie. Between two edges the area under a distribution function follows from the mean of
 * the values there, so that transport between two sides of the same edges is off only inside of bins in which their
 * distribution functions cross.
 */
export function pointsOfReference({ edges, counts, offsets }: NumericReference): BinnedValues {
  return pointsOf(edges, counts, offsets);
}

/** Likewise of a window, with what lies below and above the edges. */
export function pointsOfWindow({ edges }: NumericReference, window: NumericWindow): BinnedValues {
  const { sorted, weights } = pointsOf(edges, window.counts, window.offsets);
  const [first, last] = [edges[0] ?? 0, edges.at(-1) ?? 0];
  const below = window.under > 0;
  const above = window.over > 0;
  return {
    sorted: [
      ...(below ? [first - window.underOffset / window.under] : []),
      ...sorted,
      ...(above ? [last + window.overOffset / window.over] : []),
    ],
    weights: [...(below ? [window.under] : []), ...weights, ...(above ? [window.over] : [])],
  };
}

/** Into so many points a bin of several values is spread, evenly about their mean and no further than its nearer edge. */
const pointsOfBin = 8;

function pointsOf(
  edges: readonly number[],
  counts: readonly number[],
  offsets: readonly number[],
): { sorted: number[]; weights: number[] } {
  const sorted: number[] = [];
  const weights: number[] = [];
  counts.forEach((count, bin) => {
    if (count <= 0) return;
    const [low, high] = [edges[bin] ?? 0, edges[bin + 1] ?? 0];
    const mean = Math.min(Math.max(low + (offsets[bin] ?? 0) / count, low), high);
    const reach = Math.min(mean - low, high - mean);
    const points = count < pointsOfBin || reach === 0 ? 1 : pointsOfBin;
    for (let point = 0; point < points; point++) {
      sorted.push(mean + reach * ((2 * point + 1) / points - 1));
      weights.push(count / points);
    }
  });
  return { sorted, weights };
}

/** Finite values of a numeric window. */
export function finiteCount(column: NumericWindow): number {
  return column.count - column.nulls - column.nan - column.posInf - column.negInf - column.mistyped;
}

function emptyNumeric(column: NumericReference): NumericWindow {
  return {
    kind: "numeric",
    name: column.name,
    count: 0,
    nulls: 0,
    nan: 0,
    posInf: 0,
    negInf: 0,
    mistyped: 0,
    under: 0,
    over: 0,
    counts: column.counts.map(() => 0),
    offsets: column.counts.map(() => 0),
    underOffset: 0,
    overOffset: 0,
    distinctCounts: column.distinct?.map(() => 0) ?? [],
    mean: 0,
    m2: 0,
    min: null,
    max: null,
  };
}

function emptyCategorical(column: CategoricalReference): CategoricalWindow {
  return {
    kind: "categorical",
    name: column.name,
    count: 0,
    nulls: 0,
    mistyped: 0,
    counts: column.levels.map(() => 0),
    unlisted: 0,
    unlistedLevels: [],
  };
}

function addNumbers(column: NumericWindow, frozen: NumericReference, added: NewValues): void {
  const { edges } = frozen;
  const firstEdge = edges[0] ?? 0;
  const lastEdge = edges.at(-1) ?? 0;
  const distinct = new Map(frozen.distinct?.map((entry, index) => [entry.value, index]));
  let finite = finiteCount(column);
  let mean = column.mean ?? Number.NaN;
  let m2 = column.m2 ?? Number.NaN;
  for (let i = 0; i < added.values.length; i++) {
    const value = toNumber(added.values[i]);
    column.count++;
    if (value === null) column.nulls++;
    else if (value === undefined) column.mistyped++;
    else if (Number.isNaN(value)) column.nan++;
    else if (value === Number.POSITIVE_INFINITY) column.posInf++;
    else if (value === Number.NEGATIVE_INFINITY) column.negInf++;
    else {
      const bin = binOf(edges, value);
      if (bin < 0) {
        column.under++;
        column.underOffset = representable(column.underOffset + (firstEdge - value));
      } else if (bin >= column.counts.length) {
        column.over++;
        column.overOffset = representable(column.overOffset + (value - lastEdge));
      } else {
        increment(column.counts, bin);
        increment(column.offsets, bin, value - (edges[bin] ?? 0));
      }
      const index = distinct.get(value);
      if (index !== undefined) increment(column.distinctCounts, index);
      const delta = value - mean;
      mean += delta / ++finite;
      m2 += delta * (value - mean);
      column.min = column.min === null ? value : Math.min(column.min, value);
      column.max = column.max === null ? value : Math.max(column.max, value);
    }
  }
  column.mean = finiteOrNull(mean);
  column.m2 = finiteOrNull(m2);
}

/** null: there is no value; undefined: it is no number. */
function toNumber(value: unknown): number | null | undefined {
  if (value === null || value === undefined) return null;
  if (typeof value === "number") return value;
  if (typeof value === "bigint" || typeof value === "boolean") return Number(value);
  return undefined;
}

function addLevels(column: CategoricalWindow, frozen: CategoricalReference, added: NewValues): void {
  const levels = new Map(frozen.levels.map((level, index) => [level.value, index]));
  const unlisted = new Map(column.unlistedLevels.map((level) => [level.value, level.count]));
  for (let i = 0; i < added.values.length; i++) {
    const value = added.values[i];
    column.count++;
    if (value === null || value === undefined) column.nulls++;
    else if (typeof value === "object" || typeof value === "function" || typeof value === "symbol") {
      column.mistyped++;
    } else {
      const level = String(value).slice(0, longestLevel);
      const index = levels.get(level);
      if (index !== undefined) increment(column.counts, index);
      else if (level === "") column.nulls++;
      else {
        column.unlisted++;
        unlisted.set(level, (unlisted.get(level) ?? 0) + 1);
      }
    }
  }
  column.unlistedLevels = fewestByHash(unlisted);
}

/** A level that is kept in the end was kept in every part, so its count is exact however parts are grouped. */
function fewestByHash(levels: ReadonlyMap<string, number>): ValueCount<string>[] {
  return [...levels]
    .map(([value, count]) => ({ value, count, hash: hashText(value, 0) }))
    .sort((a, b) => a.hash - b.hash || (a.value < b.value ? -1 : 1))
    .slice(0, shownLevels)
    .map(({ value, count }) => ({ value, count }));
}

function mergeNumeric(frozen: NumericReference, parts: readonly NumericWindow[]): NumericWindow {
  const merged = emptyNumeric(frozen);
  let moments = momentsOf(merged);
  for (const part of parts) {
    moments = mergeMoments(moments, momentsOf(part));
    merged.count += part.count;
    merged.nulls += part.nulls;
    merged.nan += part.nan;
    merged.posInf += part.posInf;
    merged.negInf += part.negInf;
    merged.mistyped += part.mistyped;
    merged.under += part.under;
    merged.over += part.over;
    part.counts.forEach((count, index) => {
      increment(merged.counts, index, count);
    });
    part.offsets.forEach((offset, index) => {
      if (offset !== 0) increment(merged.offsets, index, offset);
    });
    merged.underOffset = representable(merged.underOffset + part.underOffset);
    merged.overOffset = representable(merged.overOffset + part.overOffset);
    part.distinctCounts.forEach((count, index) => {
      increment(merged.distinctCounts, index, count);
    });
    merged.min = outer(merged.min, part.min, Math.min);
    merged.max = outer(merged.max, part.max, Math.max);
  }
  merged.mean = finiteOrNull(moments.mean);
  merged.m2 = finiteOrNull(moments.m2);
  return merged;
}

function mergeCategorical(
  frozen: CategoricalReference,
  parts: readonly CategoricalWindow[],
): CategoricalWindow {
  const merged = emptyCategorical(frozen);
  const unlisted = new Map<string, number>();
  for (const part of parts) {
    merged.count += part.count;
    merged.nulls += part.nulls;
    merged.mistyped += part.mistyped;
    merged.unlisted += part.unlisted;
    part.counts.forEach((count, index) => {
      increment(merged.counts, index, count);
    });
    for (const { value, count } of part.unlistedLevels)
      unlisted.set(value, (unlisted.get(value) ?? 0) + count);
  }
  merged.unlistedLevels = fewestByHash(unlisted);
  return merged;
}

function momentsOf(column: NumericWindow): MeanAndSquares {
  return { count: finiteCount(column), mean: column.mean ?? Number.NaN, m2: column.m2 ?? Number.NaN };
}

function finiteOrNull(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

function outer(a: number | null, b: number | null, choose: (a: number, b: number) => number): number | null {
  if (a === null || b === null) return a ?? b;
  return choose(a, b);
}

function increment(counts: number[], index: number, by = 1): void {
  counts[index] = (counts[index] ?? 0) + by;
}

function requireSame(expected: string, found: string): void {
  if (expected !== found) {
    throw new Error(`The window was counted against the reference ${found}, this one is ${expected}.`);
  }
}
