import { quoteName } from "../../../shared/duckdb/index.ts";
import { invalid } from "../../../shared/errors.ts";
import type { Column } from "../../datasets/index.ts";

/** A column whose values tell which model a row belongs to. */
export interface KeyColumn {
  readonly name: string;
  readonly kind: "text" | "integer" | "boolean";
}

/**
 * @throws invalid for a column that is not there, is named twice, is the target, or whose values cannot be written down
 * as a key: a fraction or a time is written in more than one way
 */
export function keyColumnsOf(
  names: readonly string[],
  columns: readonly Column[],
  target: string,
): readonly KeyColumn[] {
  return names.map((name, index) => {
    const found = columns.find((column) => column.name === name);
    if (found === undefined) {
      const known = columns.slice(0, 50).map((column) => column.name);
      throw refusal(`the data set has no column "${name}"; it has ${known.join(", ")}.`);
    }
    if (names.indexOf(name) < index) throw refusal(`"${name}" is named twice.`);
    if (name === target) throw refusal(`"${name}" is the target; whoever asks for a prediction has none.`);
    if (/\p{Cc}/u.test(name) || name.length > 200)
      throw refusal(`"${name}" has control characters or over 200 letters and cannot be an input.`);
    if (found.kind === "text" || found.kind === "boolean") return { name, kind: found.kind };
    if (/^(U?(TINY|SMALL|BIG)INT|U?INTEGER)$/i.test(found.type)) return { name, kind: "integer" };
    throw refusal(`"${name}" is ${found.type}; a key is made of texts, whole numbers and truth values.`);
  });
}

function refusal(text: string) {
  return invalid(`partitionBy: ${text}`, { field: "partitionBy" });
}

/** A missing text is the empty one, as for features; a row without a whole number or truth value has no key. */
export function keySql({ name, kind }: KeyColumn): string {
  const text = `${quoteName(name)}::varchar`;
  return kind === "text" ? `coalesce(${text}, '')` : text;
}
