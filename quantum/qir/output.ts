import { unsupported } from "../../shared/errors.ts";

/** One call of the output recording functions of QIR, in the order of the program. */
export interface OutputRecord {
  readonly kind: "tuple" | "array" | "result" | "bool" | "int" | "double";
  /** A Q# expression; for tuples and arrays the number of their items. */
  readonly expression: string;
  readonly block: string;
  readonly line: number;
}

/** What a function of the runtime records; undefined for other functions. */
export function recordOf(callee: string): Pick<OutputRecord, "kind"> | undefined {
  const kind = /^__quantum__rt__(tuple|array|result|bool|int|integer|double)_record_output$/.exec(
    callee,
  )?.[1];
  if (kind === undefined) return undefined;
  return { kind: kind === "integer" ? "int" : (kind as OutputRecord["kind"]) };
}

interface Typed {
  readonly type: string;
  readonly expression: string;
}

/** Q# type and expression of everything that is recorded: tuples and arrays hold the records that follow them. */
export function outputOf(records: readonly OutputRecord[]): Typed {
  const block = records[0]?.block;
  const elsewhere = records.find((record) => record.block !== block);
  if (elsewhere !== undefined) {
    throw unsupported(
      `Line ${elsewhere.line} of the QIR records output in another block than before; one block must record all of it.`,
    );
  }
  const rest = [...records];
  const items: Typed[] = [];
  while (rest.length > 0) items.push(take(rest));
  if (items.length === 1 && items[0] !== undefined) return items[0];
  return items.length === 0 ? { type: "Unit", expression: "()" } : rowOf(items);
}

const scalars = { result: "Result", bool: "Bool", int: "Int", double: "Double" } as const;

/** Deeper than any result that is looked at. */
const maxDepth = 100;

function take(rest: OutputRecord[], depth = 0): Typed {
  if (depth > maxDepth) throw unsupported(`The QIR records arrays or tuples more than ${maxDepth} deep.`);
  const record = rest.shift();
  if (record === undefined)
    throw unsupported("The QIR records a tuple or an array with fewer items than it says.");
  if (record.kind !== "tuple" && record.kind !== "array") {
    return { type: scalars[record.kind], expression: record.expression };
  }
  const items: Typed[] = [];
  for (let index = 0; index < Number(record.expression); index++) items.push(take(rest, depth + 1));
  if (record.kind === "array") return rowOf(items);
  return tupleOf(items);
}

/** An array where all items have one type, otherwise a tuple, which is the only row of mixed types in Q#. */
function rowOf(items: readonly Typed[]): Typed {
  const [first] = items;
  if (first === undefined) return { type: "Result[]", expression: "[]" };
  if (items.some(({ type }) => type !== first.type)) return tupleOf(items);
  return { type: `${first.type}[]`, expression: `[${items.map(({ expression }) => expression).join(", ")}]` };
}

function tupleOf(items: readonly Typed[]): Typed {
  const [first] = items;
  if (first === undefined) return { type: "Unit", expression: "()" };
  if (items.length === 1) return first;
  return {
    type: `(${items.map(({ type }) => type).join(", ")})`,
    expression: `(${items.map(({ expression }) => expression).join(", ")})`,
  };
}
