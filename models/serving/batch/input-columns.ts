import { invalid, isKetlineError } from "../../../shared/errors.ts";
import type { Column } from "../../datasets/index.ts";
import { tensorsFromFrame } from "../protocols/frame.ts";
import type { ModelDescription } from "../repository/model.ts";
import { checkInputs, requiredInputs } from "../tensors/signature.ts";
import type { Datatype } from "../tensors/tensors.ts";

/**
 * The columns of a data set that are read for a model, in the order in which the model gets them as a table. Matching
 * them with its inputs is the scoring protocol's; here only those are left out that it would pass over.
 *
 * @param chosen names of the columns that the table has; all of the data set's when null
 * @throws invalid naming a column that is missing, or whose type the model does not take
 */
export function inputColumnsOf(
  model: ModelDescription,
  available: readonly Column[],
  chosen: readonly string[] | null,
): readonly Column[] {
  const table = chosen === null ? available : columnsNamed(available, chosen);
  const known = new Set(
    requiredInputs(model.signature).length > 1
      ? model.signature.inputs.map(({ name }) => name)
      : [...(model.columns ?? []), ...model.signature.inputs].map(({ name }) => name),
  );
  const named = table.filter(({ name }) => known.has(name));
  const inputColumns = named.length > 0 && isTaken(model, named) ? named : table;
  try {
    tryColumns(model, inputColumns);
  } catch (error) {
    if (chosen !== null || !isKetlineError(error, "invalid")) throw error;
    throw invalid(
      `${error.message} Where the model does not name its columns, input.columns says which it gets.`,
    );
  }
  for (const column of inputColumns) checkType(column, datatypeFor(model, column));
  return inputColumns;
}

/** @throws invalid for a name that the data set does not have */
export function columnsNamed(available: readonly Column[], names: readonly string[]): readonly Column[] {
  return names.map((name) => {
    const found = available.find((column) => column.name === name);
    if (found !== undefined) return found;
    const shown = available.slice(0, 20).map((column) => `"${column.name}"`);
    throw invalid(
      `The data set has no column "${name}"; it has ${shown.join(", ")}${available.length > 20 ? ", …" : ""}.`,
    );
  });
}

/** A table of these columns and no rows fits or does not, as one with rows would. */
function tryColumns(model: ModelDescription, columns: readonly Column[]): void {
  const inputs = tensorsFromFrame({ columns: columns.map(({ name }) => name), rows: [] }, model);
  const { signature } = model;
  // No rows tell neither how long lists are nor whether there are enough rows for a fixed number of them.
  const ranks = signature.inputs.map((spec) => ({
    ...spec,
    shape: columns.some(isList) ? null : (spec.shape?.map((size, axis) => (axis === 0 ? -1 : size)) ?? null),
  }));
  checkInputs({ ...signature, inputs: ranks }, inputs);
}

function isTaken(model: ModelDescription, columns: readonly Column[]): boolean {
  try {
    tryColumns(model, columns);
    return true;
  } catch {
    return false;
  }
}

function datatypeFor({ signature }: ModelDescription, { name }: Column): Datatype | undefined {
  const [only, second] = requiredInputs(signature);
  return second === undefined
    ? only?.datatype
    : signature.inputs.find((input) => input.name === name)?.datatype;
}

function checkType(column: Column, datatype: Datatype | undefined): void {
  if (datatype === undefined || isList(column)) return;
  const { kind, name, type } = column;
  const fits =
    datatype === "BYTES" ? kind === "text" || kind === "time" : kind === "numeric" || kind === "boolean";
  if (fits) return;
  const wanted = datatype === "BYTES" ? "text" : `numbers (${datatype})`;
  throw invalid(`Column "${name}" is ${type}; the model takes ${wanted} there.`);
}

/** Lists of numbers, such as embeddings, feed inputs of more dimensions. */
export function isList({ type }: Column): boolean {
  return /\[\d*\]$/.test(type);
}
