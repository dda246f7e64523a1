import { quoteName, quoteText } from "../../../shared/duckdb/index.ts";
import { invalid } from "../../../shared/errors.ts";
import type { Column } from "../../datasets/index.ts";
import {
  type Condition,
  type Derived,
  FeatureName,
  type RowChoice,
  type Target,
  type TrainingSpec,
} from "../schemas.ts";
import { instantMs, isoInstant } from "./instants.ts";

/** One input of a model and where its values come from. Stored with the model, so that it can be fed again. */
export interface FeatureRecipe {
  readonly name: string;
  readonly kind: "numeric" | "categorical";
  /** The element type of the graph's input. A categorical number is still a number. */
  readonly input: "number" | "text";
  readonly source: Source;
}

type Source =
  | { readonly column: string; readonly boolean: boolean }
  | { readonly from: string; readonly part: Derived["part"] };

/** What a model predicts, from what. */
export interface Recipe {
  readonly task: TrainingSpec["task"];
  readonly target: Target;
  readonly features: readonly FeatureRecipe[];
  /** Which quantile of the target is predicted; absent for its mean. */
  readonly quantile?: number;
}

/**
 * Checks a request against the columns of the data set and says where each feature comes from.
 *
 * @throws invalid naming the column and what would be right
 */
export function recipeOf(spec: TrainingSpec, columns: readonly Column[]): Recipe {
  checkDerived(spec.derive, columns);
  checkTarget(spec, columns);
  checkSplit(spec, columns);
  for (const condition of spec.where) checkCondition(condition, columns);
  for (const slice of spec.slices) sourceOf(slice, spec.derive, columns, "slices");
  const features = spec.features.map((feature): FeatureRecipe => {
    const { source, kind } = sourceOf(feature.column, spec.derive, columns, "features");
    if ("column" in source && source.column === spec.target.column) {
      throw invalid(`features: "${source.column}" is the target; a model cannot be given its own answer.`);
    }
    const text = kind === "text";
    if (text && feature.kind === "numeric") {
      throw invalid(`features: "${feature.column}" is text and cannot be numeric.`);
    }
    return {
      name: nameOf(feature),
      kind: feature.kind ?? (text ? "categorical" : "numeric"),
      input: text ? "text" : "number",
      source,
    };
  });
  const twice = features.find(({ name }, index) => features.findIndex((one) => one.name === name) < index);
  if (twice !== undefined) throw invalid(`features: "${twice.name}" is named twice.`);
  const { algorithm } = spec;
  const quantile =
    algorithm?.kind === "boosting" && algorithm.loss === "quantile" ? { quantile: algorithm.quantile } : {};
  return { task: spec.task, target: spec.target, features, ...quantile };
}

/** A request with the columns by which its rows are drawn: by their content, so that their order does not matter. */
export function withRowKey(spec: TrainingSpec, columns: readonly Column[]): TrainingSpec {
  for (const name of spec.rowKey ?? []) columnNamed(name, columns, "rowKey");
  return { ...spec, rowKey: (spec.rowKey ?? columns.map(({ name }) => name)).toSorted() };
}

function nameOf({ name, column }: TrainingSpec["features"][number]): string {
  const parsed = FeatureName.safeParse(name ?? column);
  if (parsed.success) return parsed.data;
  throw invalid(`features: the name "${name ?? column}" ${parsed.error.issues[0]?.message}.`, {
    field: "features",
  });
}

function sourceOf(
  name: string,
  derive: readonly Derived[],
  columns: readonly Column[],
  field: string,
): { source: Source; kind: Column["kind"] } {
  const derived = derive.find((one) => one.name === name);
  if (derived !== undefined) return { source: { from: derived.from, part: derived.part }, kind: "numeric" };
  const { kind } = columnNamed(name, columns, field);
  if (kind === "time" && field === "features") {
    throw invalid(`features: "${name}" is a time; derive its parts (hour, dayOfWeek, month) and use those.`);
  }
  if (kind === "other") {
    throw invalid(`${field}: "${name}" holds neither numbers, truth values, text nor times.`);
  }
  return { source: { column: name, boolean: kind === "boolean" }, kind };
}

function columnNamed(name: string, columns: readonly Column[], field: string): Column {
  const found = columns.find((column) => column.name === name);
  if (found !== undefined) return found;
  const known = columns.slice(0, 50).map((column) => column.name);
  throw invalid(`${field}: the data set has no column "${name}"; it has ${known.join(", ")}.`, { field });
}

function checkDerived(derive: readonly Derived[], columns: readonly Column[]): void {
  for (const { name, from } of derive) {
    if (columnNamed(from, columns, "derive").kind !== "time") {
      throw invalid(`derive: "${from}" is not a column of times, so "${name}" cannot be derived from it.`);
    }
    if (
      columns.some((column) => column.name === name) ||
      derive.filter((one) => one.name === name).length > 1
    ) {
      throw invalid(`derive: there is another column "${name}"; choose a new name.`);
    }
  }
}

function checkTarget({ task, target }: TrainingSpec, columns: readonly Column[]): void {
  const { kind } = columnNamed(target.column, columns, "target");
  const { greaterThan, equals } = target;
  const wrong = (right: string) => invalid(`target: "${target.column}" is ${kind}; ${right}.`);
  if (task === "regression" && kind !== "numeric") throw wrong("a regression needs numbers");
  if (greaterThan !== undefined && kind !== "numeric") throw wrong("greaterThan needs numbers");
  if (
    equals !== undefined &&
    typeof equals !== { numeric: "number", boolean: "boolean", text: "string", time: "", other: "" }[kind]
  ) {
    throw wrong(`equals ${JSON.stringify(equals)} can never hold`);
  }
  if (
    task === "binary" &&
    (greaterThan ?? equals) === undefined &&
    kind !== "boolean" &&
    kind !== "numeric"
  ) {
    throw wrong("a binary task needs truth values or 0 and 1, or greaterThan or equals to make them");
  }
}

function checkSplit({ split }: TrainingSpec, columns: readonly Column[]): void {
  if ("holdoutFraction" in split) return;
  if (columnNamed(split.timeColumn, columns, "split.timeColumn").kind !== "time") {
    throw invalid(`split.timeColumn: "${split.timeColumn}" is not a column of times.`);
  }
  const { train, holdout } = split;
  if (instantMs(train.from) < instantMs(holdout.to) && instantMs(holdout.from) < instantMs(train.to)) {
    throw invalid(
      `split: the holdout (${holdout.from} to ${holdout.to}) overlaps the training period (${train.from} to ${train.to}).`,
    );
  }
}

function checkCondition({ column, min, max }: Condition, columns: readonly Column[]): void {
  const { kind } = columnNamed(column, columns, "where");
  for (const bound of [min, max]) {
    const fits =
      bound === undefined ||
      (kind === "numeric" ? typeof bound === "number" : kind === "time" && typeof bound === "string");
    if (!fits)
      throw invalid(`where: "${column}" is ${kind}; the bound ${JSON.stringify(bound)} does not fit.`);
  }
}

/** A number as the model will be given it: float32, NaN for a missing one. */
export function numberSql(source: Source): string {
  const parts: Readonly<Record<Derived["part"], string>> = {
    hour: "hour",
    dayOfWeek: "isodow",
    dayOfMonth: "day",
    month: "month",
    year: "year",
  };
  const value =
    "part" in source
      ? `${parts[source.part]}(${quoteName(source.from)})`
      : source.boolean
        ? `${quoteName(source.column)}::integer`
        : quoteName(source.column);
  // Beyond float32's range TRY_CAST gives NULL.
  return `coalesce(try_cast(${value} as float), 'nan'::float)`;
}

/** A text as the model will be given it: '' for a missing one. */
export function textSql(source: Source): string {
  if ("part" in source) throw new Error("Parts of times are numbers.");
  return `coalesce(${quoteName(source.column)}::varchar, '')`;
}

/** The value of a column or of a derived one as text, for naming slices; null stays null. */
export function sliceSql(name: string, derive: readonly Derived[]): string {
  const derived = derive.find((one) => one.name === name);
  if (derived === undefined) return `left(${quoteName(name)}::varchar, 200)`;
  return `try_cast(${numberSql(derived)} as integer)::varchar`;
}

/** The target as a double; NULL, NaN and infinities are no target. */
export function targetSql({ column, greaterThan, equals }: Target): string {
  const name = quoteName(column);
  if (greaterThan !== undefined) {
    return `case when not isnan(${name}::double) then (${name}::double > ${greaterThan})::integer::double end`;
  }
  if (typeof equals === "string") return `(${name}::varchar = ${quoteText(equals)})::integer::double`;
  if (typeof equals === "number") {
    return `case when not isnan(${name}::double) then (${name}::double = ${equals})::integer::double end`;
  }
  if (typeof equals === "boolean") return `(${name} = ${equals})::integer::double`;
  return `case when isfinite(${name}::double) then ${name}::double end`;
}

/** Which rows are read for a part of the split. */
export function rowsSql(spec: RowChoice, part: "train" | "holdout"): string {
  const conditions = [splitSql(spec, part), ...spec.where.map(conditionSql)];
  if (spec.sample !== undefined) {
    conditions.push(`${uniformSql("sample", spec.sample.seed, spec.rowKey)} < ${spec.sample.fraction}`);
  }
  return conditions.join(" and ");
}

function splitSql({ split, rowKey }: RowChoice, part: "train" | "holdout"): string {
  if ("holdoutFraction" in split) {
    const comparison = part === "holdout" ? "<" : ">=";
    return `${uniformSql("split", split.seed, rowKey)} ${comparison} ${split.holdoutFraction}`;
  }
  const { from, to } = split[part];
  const time = quoteName(split.timeColumn);
  return `${time} >= ${instantSql(from)} and ${time} < ${instantSql(to)}`;
}

function conditionSql({ column, in: values, min, max }: Condition): string {
  const name = quoteName(column);
  const literal = (value: string | number | boolean) =>
    typeof value === "string" ? quoteText(value) : String(value);
  const conditions: string[] = [];
  if (values !== undefined) {
    const texts = values.map((value) => quoteText(String(value)));
    const numbers = values.every((value) => typeof value === "number");
    conditions.push(
      numbers
        ? `${name}::double in (${values.map(literal).join(", ")})`
        : `${name}::varchar in (${texts.join(", ")})`,
    );
  }
  const bound = (value: string | number) => (typeof value === "string" ? instantSql(value) : String(value));
  if (min !== undefined) conditions.push(`${name} >= ${bound(min)}`);
  if (max !== undefined) conditions.push(`${name} <= ${bound(max)}`);
  return `(${conditions.join(" and ")})`;
}

/** With a zone it compares with dates, times and times with a zone alike; the session's zone is UTC. */
function instantSql(text: string): string {
  return `${quoteText(isoInstant(text))}::timestamptz`;
}

/** A number from 0 to 1 that depends on what the row holds and on a seed, wherever the row stands in the file. */
function uniformSql(purpose: string, seed: number, rowKey: TrainingSpec["rowKey"]): string {
  return `md5_number_lower(${quoteText(`${purpose}:${seed}:`)} || ${contentSql(rowKey)})::double / 18446744073709551616.0`;
}

/** The row's values as one text; a missing value differs from an empty text. */
export function contentSql(rowKey: TrainingSpec["rowKey"]): string {
  if (rowKey === undefined) throw new Error("Rows are drawn by columns that were not settled.");
  const values = rowKey.map((name) => `coalesce('=' || ${quoteName(name)}::varchar, '')`);
  return `concat_ws(chr(31), ${values.join(", ")})`;
}
