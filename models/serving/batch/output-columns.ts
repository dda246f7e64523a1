import { invalid } from "../../../shared/errors.ts";
import { fromHalves } from "../../../shared/half.ts";
import type { ModelDescription } from "../repository/model.ts";
import type { Datatype, Tensor } from "../tensors/tensors.ts";

/** What becomes of one output of a model in a table. */
export interface OutputPlan {
  readonly output: string;
  readonly kind: "value" | "classes" | "list";
  readonly columns: readonly { readonly name: string; readonly type: string }[];
}

export type Cell = number | bigint | string | boolean | null | readonly Cell[];

/** Beyond this, class scores are a list: a table with thousands of columns helps nobody. */
const maxClassColumns = 100;

/**
 * One value a row makes a column of the output's name, class scores a column `<output>_<class>` each, anything else a
 * column of lists, nested as the output has dimensions.
 *
 * @throws invalid when a name would be there twice; DuckDB and Parquet's readers see no difference in case
 */
export function outputPlans(
  model: ModelDescription,
  kept: readonly string[],
  extra: readonly string[],
): readonly OutputPlan[] {
  const plans = model.signature.outputs.map(({ name, datatype, shape }): OutputPlan => {
    const type = typeNames[datatype];
    const labels = Object.hasOwn(model.classLabels, name) ? model.classLabels[name] : undefined;
    if (labels !== undefined && labels.length <= maxClassColumns && isMatrix(shape, labels.length)) {
      const columns = labels.map((label) => ({ name: `${name}_${label}`, type }));
      return { output: name, kind: "classes", columns };
    }
    if (shape !== null && (shape.length <= 1 || (shape.length === 2 && shape[1] === 1))) {
      return { output: name, kind: "value", columns: [{ name, type }] };
    }
    const depth = shape === null ? 1 : shape.length - 1;
    return { output: name, kind: "list", columns: [{ name, type: type + "[]".repeat(depth) }] };
  });
  const seen = new Set<string>();
  for (const name of [
    ...kept,
    ...plans.flatMap(({ columns }) => columns.map((column) => column.name)),
    ...extra,
  ]) {
    const folded = name.toLowerCase();
    if (seen.has(folded)) {
      throw invalid(`The result would have two columns "${name}"; leave the input's out of output.keep.`);
    }
    seen.add(folded);
  }
  return plans;
}

/** The rows of an output as one list of cells for each column of its plan. */
export function cellsOf({ kind, columns, output }: OutputPlan, tensor: Tensor): readonly (readonly Cell[])[] {
  const rows = tensor.shape[0] ?? 0;
  const cells = elementsOf(tensor);
  const size = rows === 0 ? 0 : cells.length / rows;
  switch (kind) {
    case "value":
      if (size === 1 || rows === 0) return [cells];
      throw invalid(`Output "${output}" has ${size} values a row, where the model declares one.`);
    case "classes":
      return columns.map((_, index) =>
        Array.from({ length: rows }, (__, row) => cells[row * size + index] ?? null),
      );
    case "list": {
      const depth = (columns[0]?.type.match(/\[\]/g) ?? []).length;
      const inner = depth === 1 ? [size] : tensor.shape.slice(1);
      return [Array.from({ length: rows }, (_, row) => nested(cells, inner, row * size))];
    }
  }
}

function nested(cells: readonly Cell[], shape: readonly number[], start: number): readonly Cell[] {
  const [length = 0, ...inner] = shape;
  if (inner.length === 0) return cells.slice(start, start + length);
  const size = inner.reduce((product, dimension) => product * dimension, 1);
  return Array.from({ length }, (_, at) => nested(cells, inner, start + at * size));
}

function elementsOf({ datatype, data }: Tensor): readonly Cell[] {
  if (datatype === "BOOL") return Array.from(data as Uint8Array, (value) => value !== 0);
  if (datatype === "FP16") return Array.from(fromHalves(data as Uint16Array));
  return Array.from(data as ArrayLike<number | bigint | string>);
}

function isMatrix(shape: readonly number[] | null, width: number): boolean {
  return shape === null || (shape.length === 2 && (shape[1] === width || shape[1] === -1));
}

/** DuckDB's names; halves have none. */
const typeNames: Readonly<Record<Datatype, string>> = {
  BOOL: "boolean",
  UINT8: "utinyint",
  UINT16: "usmallint",
  UINT32: "uinteger",
  UINT64: "ubigint",
  INT8: "tinyint",
  INT16: "smallint",
  INT32: "integer",
  INT64: "bigint",
  FP16: "float",
  FP32: "float",
  FP64: "double",
  BYTES: "varchar",
};
