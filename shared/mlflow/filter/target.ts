import { invalid } from "../../errors.ts";
import { type Clause, type Operator, parseFilter, type Value } from "./parse.ts";
import { clauseError } from "./tokens.ts";

/** What a kind of thing can be searched by, and where its SQL finds it. */
export interface SearchTarget {
  /** `tracking_run r`, as it stands after FROM. */
  readonly from: string;
  /** The column that tells its rows apart, and its kind in page tokens. */
  readonly id: Column;
  readonly attributes: Readonly<Record<string, Attribute>>;
  /** Keys and values of its own in another table, by entity. */
  readonly maps: Readonly<Partial<Record<MapEntity, MapTable>>>;
  /** Whether `datasets.name`, `.digest` and `.context` of its inputs are known. */
  readonly datasets?: boolean;
  /** Words that stand for an entity before the dot. */
  readonly prefixes: Readonly<Record<string, Entity>>;
}

export type MapEntity = "metric" | "param" | "tag";
export type Entity = "attribute" | MapEntity | "dataset";

export interface Column {
  /** As SQL: `r.start_ms`. */
  readonly sql: string;
  readonly kind: "text" | "integer";
  readonly isNullable?: boolean;
}

export interface Attribute extends Column {
  /** May stand in a filter; otherwise only in an order. */
  readonly isFilterable: boolean;
  /** Takes IN and NOT IN. */
  readonly takesLists?: boolean;
}

export interface MapTable {
  readonly table: string;
  /** How its rows belong to a row of the target, over the alias `m`: `m.run_id = r.run_id`. */
  readonly owner: string;
  /** Set where a key has many rows, of which an order takes the latest: the owner's column over the alias `m`. */
  readonly latestOf?: string;
  /** Absent keys that count as having a value. */
  readonly absent?: Readonly<Record<string, string>>;
}

/** A comparison that the target knows. */
export type Comparison =
  | {
      readonly entity: "attribute";
      readonly attribute: Attribute;
      readonly operator: Operator;
      readonly value: Value;
    }
  | {
      readonly entity: MapEntity;
      readonly key: string;
      readonly operator: Operator;
      /** null for IS NULL and IS NOT NULL. */
      readonly value: Value | null;
    }
  | { readonly entity: "dataset"; readonly key: string; readonly operator: Operator; readonly value: Value };

const numeric: readonly Operator[] = ["=", "!=", "<", "<=", ">", ">="];
const textual: readonly Operator[] = ["=", "!=", "LIKE", "ILIKE"];
const presence: readonly Operator[] = ["IS NULL", "IS NOT NULL"];
const lists: readonly Operator[] = ["IN", "NOT IN"];
/** Below what SQLite takes as a LIKE pattern, above any name, key or value that can be searched for. */
const maxTextLength = 10_000;
const datasetKeys = ["name", "digest", "context"];

/**
 * Parses a filter for a target.
 *
 * @throws invalid, with the position, for what is not the grammar or is not known to the target.
 */
export function comparisonsOf(source: string | undefined, target: SearchTarget): Comparison[] {
  if (source === undefined || source.trim() === "") return [];
  return parseFilter(source).map((clause) => comparisonOf(source, clause, target));
}

function comparisonOf(source: string, clause: Clause, target: SearchTarget): Comparison {
  const { operator, value, key } = clause;
  const entity = entityOf(clause.prefix, target, () => clause.at, source);
  const fail = (problem: string) => clauseError(source, clause.at, problem);
  const only = (known: readonly Operator[]) => {
    if (!known.includes(operator)) {
      throw fail(`Invalid comparator '${operator}' for ${entity} '${key}': not one of ${known.join(", ")}.`);
    }
  };
  const needs = (kind: Value["kind"], sentence: string) => {
    const wanted = lists.includes(operator) ? "list" : kind;
    if (value?.kind !== wanted) throw clauseError(source, clause.valueAt, sentence);
  };
  if (value?.kind === "text" && value.text.length > maxTextLength) {
    throw clauseError(source, clause.valueAt, `A text has at most ${maxTextLength} characters.`);
  }
  switch (entity) {
    case "attribute": {
      const attribute = attributeOf(key, target);
      if (attribute?.isFilterable !== true || value === null) {
        if (attribute?.isFilterable === true)
          throw fail(`IS NULL and IS NOT NULL are for tags and params, not for attribute '${key}'.`);
        const known = Object.entries(target.attributes).filter(([, { isFilterable }]) => isFilterable);
        throw fail(
          `Invalid attribute key '${key}' specified. Valid keys are ${known.map(([name]) => name).join(", ")}.`,
        );
      }
      only(
        attribute.kind === "integer"
          ? numeric
          : attribute.takesLists === true
            ? [...textual, ...lists]
            : textual,
      );
      if (attribute.kind === "integer")
        needs("number", `Expected numeric value type for numeric attribute: ${key}.`);
      else needs("text", `Expected a quoted string value for attribute '${key}'.`);
      return { entity, attribute, operator, value };
    }
    case "metric":
      only(numeric);
      needs("number", "Expected numeric value type for metric.");
      return { entity, key, operator, value };
    case "param":
    case "tag":
      only([...textual, ...presence]);
      if (value !== null) needs("text", `Expected a quoted string value for ${entity} (e.g. 'my-value').`);
      return { entity, key, operator, value };
    case "dataset":
      if (!datasetKeys.includes(key) || value === null) {
        throw fail(`Invalid dataset key '${key}' specified. Valid keys are ${datasetKeys.join(", ")}.`);
      }
      only([...textual, ...lists]);
      needs("text", "Expected a quoted string value for dataset attributes.");
      return { entity, key, operator, value };
  }
}

export function entityOf(
  prefix: string | undefined,
  target: SearchTarget,
  at: () => number,
  source: string,
): Entity {
  if (prefix === undefined) return "attribute";
  const entity = Object.hasOwn(target.prefixes, prefix) ? target.prefixes[prefix] : undefined;
  if (entity !== undefined) return entity;
  throw clauseError(
    source,
    at(),
    `Invalid entity type '${prefix}'. Valid values are ${Object.keys(target.prefixes).join(", ")}.`,
  );
}

export function attributeOf(key: string, target: SearchTarget): Attribute | undefined {
  return Object.hasOwn(target.attributes, key) ? target.attributes[key] : undefined;
}

/** @throws invalid. */
export function orderError(item: string, problem: string) {
  return invalid(`Invalid order_by clause '${item.slice(0, 200)}'. ${problem}`, { field: "order_by" });
}
