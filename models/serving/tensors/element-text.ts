import { fromHalves } from "../../../shared/half.ts";
import { elementCount, type Tensor } from "./tensors.ts";

/**
 * The elements of a tensor as the text of a flat JSON list. 64-bit integers keep all their digits. JSON has no word for
 * NaN, which becomes null, nor for infinity, which becomes 1e999: valid JSON that parsers read as infinity again.
 */
export function flatJson(tensor: Tensor): string {
  return listText(tensor, 0, elementCount(tensor.shape));
}

/** The same as lists nested as the shape says; a scalar is bare. */
export function nestedJson(tensor: Tensor): string {
  const { shape } = tensor;
  const write = (axis: number, start: number, count: number): string => {
    if (axis === shape.length - 1) return listText(tensor, start, count);
    const size = shape[axis] ?? 0;
    const step = size === 0 ? 0 : count / size;
    const parts = Array.from({ length: size }, (_, i) => write(axis + 1, start + i * step, step));
    return `[${parts.join(",")}]`;
  };
  if (shape.length === 0) return listText(tensor, 0, 1).slice(1, -1);
  return write(0, 0, elementCount(shape));
}

function listText({ datatype, data }: Tensor, start: number, count: number): string {
  const whole = start === 0 && count === data.length;
  const part = whole ? data : data.slice(start, start + count);
  switch (datatype) {
    case "FP32":
    case "FP64":
      return floatsText(part as Float32Array | Float64Array);
    case "FP16":
      return floatsText(fromHalves(part as Uint16Array));
    case "BYTES":
      return JSON.stringify(part);
    case "BOOL":
      return `[${Array.from(part as Uint8Array, (value) => value !== 0).join(",")}]`;
    default:
      return `[${part.join(",")}]`;
  }
}

function floatsText(values: Float32Array | Float64Array): string {
  for (let i = 0; i < values.length; i++) {
    if (!Number.isFinite(values[i])) return `[${Array.from(values, floatText).join(",")}]`;
  }
  return `[${values.join(",")}]`;
}

function floatText(value: number): string {
  if (Number.isNaN(value)) return "null";
  if (value === Number.POSITIVE_INFINITY) return "1e999";
  return value === Number.NEGATIVE_INFINITY ? "-1e999" : String(value);
}
