import { elementType, type Tensor, type TensorData, type Tensors } from "./tensors.ts";

/** The number of rows that all tensors have; undefined when they do not agree, or one has no dimensions. */
export function commonRows(tensors: Tensors): number | undefined {
  let rows: number | undefined;
  for (const name in tensors) {
    const first = tensors[name]?.shape[0];
    if (first === undefined || (rows !== undefined && first !== rows)) return undefined;
    rows = first;
  }
  return rows;
}

/** Rows from `start` on, of every tensor. They share memory with the whole where they are numbers. */
export function takeRows(tensors: Tensors, start: number, count: number): Tensors {
  return mapTensors(tensors, ({ datatype, shape, data }) => {
    const width = shape.slice(1).reduce((product, size) => product * size, 1);
    const part = Array.isArray(data)
      ? data.slice(start * width, (start + count) * width)
      : (data as Float32Array).subarray(start * width, (start + count) * width);
    return { datatype, shape: [count, ...shape.slice(1)], data: part };
  });
}

/** The rows of all, one behind the other. All have the same names, datatypes and sizes but for the first dimension. */
export function joinRows(parts: readonly Tensors[]): Tensors {
  return mapTensors(parts[0] ?? {}, (first, name) => {
    const tensors = parts.flatMap((part) => part[name] ?? []);
    const rows = tensors.reduce((sum, { shape }) => sum + (shape[0] ?? 0), 0);
    const length = tensors.reduce((sum, { data }) => sum + data.length, 0);
    const joined = elementType(first.datatype).create(length);
    let offset = 0;
    for (const { data } of tensors) {
      if (Array.isArray(joined)) for (const text of data) joined[offset++] = String(text);
      else {
        (joined as Float32Array).set(data as Float32Array, offset);
        offset += data.length;
      }
    }
    return { datatype: first.datatype, shape: [rows, ...first.shape.slice(1)], data: joined as TensorData };
  });
}

function mapTensors(tensors: Tensors, map: (tensor: Tensor, name: string) => Tensor): Tensors {
  const mapped: Record<string, Tensor> = Object.create(null);
  for (const name in tensors) {
    const tensor = tensors[name];
    if (tensor !== undefined) mapped[name] = map(tensor, name);
  }
  return mapped;
}
