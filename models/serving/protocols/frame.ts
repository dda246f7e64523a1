import { invalid } from "../../../shared/errors.ts";
import type { ModelDescription } from "../repository/model.ts";
import { described, elementsFromJson } from "../tensors/elements.ts";
import { requiredInputs, type TensorSpec } from "../tensors/signature.ts";
import type { Datatype, Tensor, Tensors } from "../tensors/tensors.ts";

/** A table as MLflow clients send it: named columns, rows of cells; a cell is null where a value is missing. */
export interface Frame {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly unknown[])[];
}

/**
 * Feeds a table to a model. A model whose inputs are all columns of the table gets each as its own input; a model of one
 * input gets all columns side by side, in the order of its MLflow signature where it has one, else as they were sent.
 * Columns that the model does not know are passed over where names say which ones it knows (as MLflow does).
 *
 * @throws invalid naming missing columns, a wrong number of columns, or the first cell that does not fit
 */
export function tensorsFromFrame(frame: Frame, model: ModelDescription): Tensors {
  const required = requiredInputs(model.signature);
  const [only, second] = required;
  if (only === undefined) throw invalid("The model takes no inputs; a table cannot be fed to it.");
  const tensors: Record<string, Tensor> = Object.create(null);
  if (second === undefined && takesMatrix(only, frame, model)) {
    tensors[only.name] = matrix(only, frame, columnOrder(only, frame, model), model);
    return tensors;
  }
  const missing = required.filter(({ name }) => !frame.columns.includes(name));
  if (missing.length > 0) {
    throw invalid(
      `${missing.length === 1 ? "Column" : "Columns"} ${quotedNames(missing.map(({ name }) => name))} missing; ` +
        `the table has ${quotedNames(frame.columns)}.`,
    );
  }
  for (const spec of model.signature.inputs) {
    if (!frame.columns.includes(spec.name)) continue;
    tensors[spec.name] = column(spec, frame, frame.columns.indexOf(spec.name), model);
  }
  return tensors;
}

/** Whether a model of one input takes the table as a matrix, rather than the one column that has the input's name. */
function takesMatrix(input: TensorSpec, frame: Frame, model: ModelDescription): boolean {
  if (input.shape !== null && input.shape.length !== 2) return false;
  if (model.columns !== null && model.columns.length > 1) return true;
  const width = input.shape?.[1] ?? -1;
  return !(frame.columns.includes(input.name) && (width === 1 || frame.columns.length === 1));
}

function columnOrder(input: TensorSpec, frame: Frame, model: ModelDescription): number[] {
  const width = input.shape?.[1] ?? -1;
  if (model.columns !== null && (width < 0 || model.columns.length === width)) {
    const missing = model.columns.filter(({ name, required }) => required && !frame.columns.includes(name));
    if (missing.length > 0) {
      throw invalid(
        `${missing.length === 1 ? "Column" : "Columns"} ${quotedNames(missing.map(({ name }) => name))} missing; ` +
          `the model takes ${quotedNames(model.columns.map(({ name }) => name))}.`,
      );
    }
    return model.columns.map(({ name }) => frame.columns.indexOf(name));
  }
  if (width >= 0 && frame.columns.length !== width) {
    throw invalid(
      `The table has ${frame.columns.length} columns, ${quotedNames(frame.columns)}; the model takes ${width}.`,
    );
  }
  return frame.columns.map((_, index) => index);
}

/** @param order indexes of columns, -1 for one that is optional and missing */
function matrix(spec: TensorSpec, frame: Frame, order: readonly number[], model: ModelDescription): Tensor {
  const cells: unknown[] = [];
  for (const row of frame.rows) for (const index of order) cells.push(index < 0 ? null : row[index]);
  const shape = [frame.rows.length, order.length];
  const name = (at: number) => {
    const index = order[at % order.length] ?? -1;
    return `Row ${Math.floor(at / order.length)}, column "${frame.columns[index] ?? ""}"`;
  };
  return {
    datatype: spec.datatype,
    shape,
    data: cellsToElements(spec.datatype, cells, name, missingTextOf(model)),
  };
}

/** One column as an input; its cells may be lists where the input has more dimensions. */
function column(spec: TensorSpec, frame: Frame, index: number, model: ModelDescription): Tensor {
  const missingText = missingTextOf(model);
  const rows = frame.rows.length;
  const cells = frame.rows.map((row) => row[index]);
  const name = (at: number) => `Row ${at}, column "${spec.name}"`;
  const first = cells[0];
  if (!Array.isArray(first)) {
    const trailing = spec.shape === null ? 0 : Math.max(0, spec.shape.length - 1);
    const shape = [rows, ...new Array<number>(trailing).fill(1)];
    return { datatype: spec.datatype, shape, data: cellsToElements(spec.datatype, cells, name, missingText) };
  }
  const inner = shapeOfLists(first);
  const size = inner.reduce((product, dimension) => product * dimension, 1);
  const elements = cells.flatMap((cell, row) => {
    const flat = Array.isArray(cell) ? cell.flat(inner.length - 1) : [cell];
    if (flat.length === size) return flat;
    throw invalid(`${name(row)} has ${flat.length} elements; the first row has ${size}.`);
  });
  const data = cellsToElements(spec.datatype, elements, (at) => name(Math.floor(at / size)), missingText);
  return { datatype: spec.datatype, shape: [rows, ...inner], data };
}

/** What a missing text is to a model that was trained here: a category of its own. Others do not say. */
function missingTextOf({ metadata }: ModelDescription): string | undefined {
  return "ketline.recipe" in metadata ? "" : undefined;
}

const maxDimensions = 16;

/** The sizes of nested lists, by their first elements. @throws invalid when they are nested too deep */
export function shapeOfLists(list: unknown): number[] {
  const shape: number[] = [];
  for (let at = list; Array.isArray(at); at = at[0]) {
    shape.push(at.length);
    if (shape.length > maxDimensions) throw invalid(`Lists are nested deeper than ${maxDimensions} levels.`);
  }
  return shape;
}

/**
 * Cells as pandas would take them to numpy: truth values count as 1 and 0, and text that is a number counts as one,
 * because a CSV has nothing but text.
 */
function cellsToElements(
  datatype: Datatype,
  cells: readonly unknown[],
  name: (at: number) => string,
  missingText: string | undefined,
): Tensor["data"] {
  if (datatype === "BYTES") {
    return cells.map((cell, at) => {
      if (typeof cell === "string") return cell;
      if (cell === null && missingText !== undefined) return missingText;
      throw invalid(`${name(at)} is ${described(cell)}; the model takes text.`);
    });
  }
  const isFloat = datatype.startsWith("FP");
  const values = cells.map((cell, at) => {
    const value =
      typeof cell === "string" ? numberOf(cell, datatype) : typeof cell === "boolean" ? Number(cell) : cell;
    const fits = typeof value === "number" || typeof value === "bigint" || (isFloat && value === null);
    if (fits) return value;
    throw invalid(
      `${name(at)} is ${described(cell)}; the model takes ${isFloat ? "numbers" : "whole numbers"}.`,
    );
  });
  return elementsFromJson(datatype, values, "The table");
}

/** Missing values as pandas reads them from CSV (`pandas.read_csv`, na_values), as far as numbers go. */
const missing = new Set(["", "nan", "NaN", "NA", "N/A", "n/a", "null", "NULL", "None", "<NA>", "#N/A"]);

function numberOf(text: string, datatype: Datatype): number | bigint | null | undefined {
  const trimmed = text.trim();
  if (missing.has(trimmed)) return null;
  if (/^[+-]?inf(inity)?$/i.test(trimmed)) return trimmed.startsWith("-") ? -Infinity : Infinity;
  if (/^(true|false)$/i.test(trimmed)) return trimmed.toLowerCase() === "true" ? 1 : 0;
  if (/^[+-]?\d+$/.test(trimmed) && datatype.endsWith("INT64")) return BigInt(trimmed.replace("+", ""));
  return /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(trimmed) ? Number(trimmed) : undefined;
}

function quotedNames(names: readonly string[]): string {
  const shown = names.slice(0, 20).map((name) => `"${name}"`);
  return shown.join(", ") + (names.length > 20 ? ` and ${names.length - 20} more` : "");
}
