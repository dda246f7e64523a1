import { commonRows, joinRows, takeRows } from "../tensors/rows.ts";
import type { ModelSignature } from "../tensors/signature.ts";
import type { Tensor, Tensors } from "../tensors/tensors.ts";
import type { OnnxSession } from "./onnx-session.ts";

/*
 * Whether rows of different requests may be put into one run: only where each row's answer depends on nothing but that
 * row. Decided three times, by the operators (`row-operators.ts`), by the signature and by trying it, and all must agree.
 */

/** Whether inputs and outputs all begin with a dimension of any size, which is found nowhere else. */
export function isByRow({ inputs, outputs }: ModelSignature): boolean {
  const specs = [...inputs, ...outputs];
  if (!specs.every(({ shape }) => shape !== null && shape[0] === -1)) return false;
  const batchNames = new Set(
    specs.map(({ dimensionNames }) => dimensionNames[0] ?? "").filter((name) => name !== ""),
  );
  return specs.every(({ dimensionNames }) => dimensionNames.slice(1).every((name) => !batchNames.has(name)));
}

/**
 * Tries it: one row of a request and two like it, each alone and all together.
 *
 * @returns undefined when the row has no floating-point number to vary, so that nothing could be seen
 */
export async function triesRowByRow(session: OnnxSession, sample: Tensors): Promise<boolean | undefined> {
  if ((commonRows(sample) ?? 0) < 1) return false;
  const one = takeRows(sample, 0, 1);
  const larger = varied(one, 1.37, 0.61);
  const opposite = varied(one, -0.73, 1.9);
  if (larger === undefined || opposite === undefined) return undefined;
  const rows = [larger, one, opposite];
  const names = session.signature.outputs.map(({ name }) => name);
  try {
    const { outputs: together } = await session.run(joinRows(rows), names);
    if (commonRows(together) !== rows.length) return false;
    for (const [index, row] of rows.entries()) {
      const { outputs: alone } = await session.run(row, names);
      if (!agree(alone, takeRows(together, index, 1))) return false;
    }
    return true;
  } catch {
    // It does not take rows one by one, or not any rows.
    return false;
  }
}

/** Another row of the same form; elements of it move by different amounts. */
function varied(row: Tensors, scale: number, step: number): Tensors | undefined {
  const copy: Record<string, Tensor> = Object.create(null);
  let isVaried = false;
  for (const name in row) {
    const tensor = row[name];
    if (tensor === undefined) continue;
    if (tensor.datatype === "FP32" || tensor.datatype === "FP64") {
      const data = (tensor.data as Float64Array).map((value, index) =>
        Number.isFinite(value) ? value * scale + ((index % 7) - 2.5) * step : index % 3,
      );
      copy[name] = { ...tensor, data };
      isVaried ||= data.length > 0;
    } else copy[name] = tensor;
  }
  return isVaried ? copy : undefined;
}

/** What another order of the same sums may change; measured up to 5e-7 of the value. */
const tolerance = 1e-4;

function agree(a: Tensors, b: Tensors): boolean {
  for (const name in a) {
    const x = a[name];
    const y = b[name];
    if (x === undefined || y === undefined || x.shape.join() !== y.shape.join()) return false;
    for (let i = 0; i < x.data.length; i++) {
      const p = x.data[i];
      const q = y.data[i];
      if (Object.is(p, q)) continue;
      const close =
        typeof p === "number" &&
        typeof q === "number" &&
        Math.abs(p - q) <= tolerance * Math.max(1, Math.abs(p));
      if (!close) return false;
    }
  }
  return true;
}
