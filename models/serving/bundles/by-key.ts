import { invalid } from "../../../shared/errors.ts";
import type { ModelDescription } from "../repository/model.ts";
import type { TensorSpec } from "../tensors/signature.ts";
import { elementType, type Tensor, type TensorData, type Tensors } from "../tensors/tensors.ts";
import type { Bundles, KeyColumn, SubModel } from "./bundle-index.ts";

const datatypes = { text: "BYTES", integer: "INT64", boolean: "BOOL" } as const;

/** What a version of many models takes: the inputs of its models, and the columns that tell which one answers. */
export function describeByKey(own: ModelDescription, { keyColumns }: Bundles): ModelDescription {
  const known = new Map(own.signature.inputs.map((input) => [input.name, input]));
  const keys = keyColumns.flatMap(({ name, kind }): TensorSpec[] => {
    const input = known.get(name);
    if (input === undefined)
      return [{ name, datatype: datatypes[kind], shape: [-1, 1], dimensionNames: ["N", ""] }];
    if (input.datatype === datatypes[kind]) return [];
    throw invalid(
      `Its key column "${name}" is ${datatypes[kind]}, and its input of that name ${input.datatype}.`,
    );
  });
  const inputs = [...keys, ...own.signature.inputs];
  return { ...own, signature: { ...own.signature, inputs }, inlineCost: null, columns: null };
}

/** The rows of a request that one model answers; `model` is undefined for the version's own. */
export interface KeyGroup {
  readonly model: SubModel | undefined;
  readonly rows: readonly number[];
}

/** @throws invalid when the inputs do not have one row each */
export function groupByKey(inputs: Tensors, { keyColumns, find }: Bundles): KeyGroup[] {
  const rows = rowsOf(inputs);
  const texts = keyColumns.map((column) => textsOf(inputs, column));
  const groups = new Map<string, KeyGroup & { readonly rows: number[] }>();
  const ofModel = new Map<SubModel | undefined, KeyGroup & { readonly rows: number[] }>();
  for (let row = 0; row < rows; row++) {
    const values = texts.map((text) => text(row));
    const key = JSON.stringify(values);
    let group = groups.get(key);
    if (group === undefined) {
      const model = find(values);
      group = ofModel.get(model) ?? { model, rows: [] };
      ofModel.set(model, group);
      groups.set(key, group);
    }
    group.rows.push(row);
  }
  if (ofModel.size === 0) return [{ model: undefined, rows: [] }];
  return [...ofModel.values()];
}

function rowsOf(inputs: Tensors): number {
  let rows: number | undefined;
  for (const name in inputs) {
    const size = inputs[name]?.shape[0] ?? 0;
    if (rows !== undefined && size !== rows) {
      throw invalid(`Input "${name}" has ${size} rows and another one ${rows}; each row needs its key.`, {
        field: name,
      });
    }
    rows = size;
  }
  return rows ?? 0;
}

/** As the training wrote keys: whole numbers in decimal, truth values as `true` and `false`. */
function textsOf(inputs: Tensors, { name, kind }: KeyColumn): (row: number) => string {
  const data: TensorData = inputs[name]?.data ?? [];
  if (kind === "boolean") return (row) => (data[row] ? "true" : "false");
  return (row) => String(data[row]);
}

/** Some rows of the inputs that a model takes. */
export function rowsFor(inputs: Tensors, names: readonly string[], rows: readonly number[]): Tensors {
  const taken: Record<string, Tensor> = Object.create(null);
  for (const name of names) {
    const tensor = inputs[name];
    if (tensor === undefined) continue;
    const { datatype, shape, data } = tensor;
    if (rows.length === (shape[0] ?? 0)) {
      taken[name] = tensor;
      continue;
    }
    const width = widthOf(shape);
    const part = elementType(datatype).create(rows.length * width) as unknown[];
    for (const [to, from] of rows.entries())
      for (let index = 0; index < width; index++) part[to * width + index] = data[from * width + index];
    taken[name] = { datatype, shape: [rows.length, ...shape.slice(1)], data: part as unknown as TensorData };
  }
  return taken;
}

/** Answers for groups of rows, put together in the order of the rows. */
export function assemble(
  rows: number,
  names: readonly string[],
  answers: readonly { readonly rows: readonly number[]; readonly outputs: Tensors }[],
): Tensors {
  const whole: Record<string, Tensor> = Object.create(null);
  for (const name of names) {
    const first = answers[0]?.outputs[name];
    if (first === undefined) throw new Error(`The model gave no output "${name}".`);
    if (answers.length === 1) {
      whole[name] = first;
      continue;
    }
    const width = widthOf(first.shape);
    const data = elementType(first.datatype).create(rows * width) as unknown[];
    for (const { rows: places, outputs } of answers) {
      const part = outputs[name];
      if (part === undefined || part.datatype !== first.datatype || widthOf(part.shape) !== width)
        throw new Error(`The models of the version give "${name}" in different forms.`);
      for (const [from, to] of places.entries())
        for (let index = 0; index < width; index++)
          data[to * width + index] = part.data[from * width + index];
    }
    whole[name] = {
      datatype: first.datatype,
      shape: [rows, ...first.shape.slice(1)],
      data: data as unknown as TensorData,
    };
  }
  return whole;
}

function widthOf(shape: readonly number[]): number {
  return shape.slice(1).reduce((product, size) => product * size, 1);
}
