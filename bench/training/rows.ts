import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { seededRandom } from "../../models/training/boosting/random.ts";
import type { FeatureColumn, TrainingRows } from "../../models/training/data/training-rows.ts";

/** Levels of the categorical columns. */
export const levels = [8, 40, 100, 200];

export interface Table {
  readonly rows: number;
  /** 8 % of each are missing. */
  readonly numbers: readonly Float32Array[];
  readonly categories: readonly Uint8Array[];
  readonly late: Float64Array;
  readonly value: Float64Array;
}

/** Numbers that matter and others that do not, with interactions, and categories each with an effect of its own. */
export function makeTable(rows: number, seed: number, numeric = 26, categorical = levels): Table {
  const random = seededRandom(seed);
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const effects = categorical.map((count) => Float64Array.from({ length: count }, () => 0.5 * normal()));
  const numbers = Array.from({ length: numeric }, () => new Float32Array(rows));
  const categories = categorical.map(() => new Uint8Array(rows));
  const late = new Float64Array(rows);
  const value = new Float64Array(rows);
  const x = new Float64Array(numeric);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < numeric; column++) {
      x[column] = normal();
      (numbers[column] as Float32Array)[row] = random() < 0.08 ? Number.NaN : (x[column] as number);
    }
    let score = at(x, 0) + 0.5 * at(x, 1) * at(x, 2) + Math.sin(2 * at(x, 3)) + 0.3 * (at(x, 4) ** 2 - 1);
    for (const [index, count] of categorical.entries()) {
      const level = Math.floor(random() * count);
      (categories[index] as Uint8Array)[row] = level;
      score += at(effects[index] as Float64Array, level);
    }
    late[row] = 1 / (1 + Math.exp(-score)) > random() ? 1 : 0;
    value[row] = score + normal();
  }
  return { rows, numbers, categories, late, value };
}

function at(values: Float64Array, index: number): number {
  return values[index] ?? 0;
}

/** The columns one after the other, as numpy.fromfile reads them. */
export async function writeTable(table: Table, directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  await writeFile(path.join(directory, "numbers.f32"), Buffer.concat(table.numbers.map(bytes)));
  await writeFile(path.join(directory, "categories.u8"), Buffer.concat(table.categories.map(bytes)));
  await writeFile(path.join(directory, "late.f64"), bytes(table.late));
  await writeFile(path.join(directory, "value.f64"), bytes(table.value));
}

function bytes(values: Float32Array | Float64Array | Uint8Array): Buffer {
  return Buffer.from(values.buffer, values.byteOffset, values.byteLength);
}

/** The first rows as a trainer gets them. */
export function trainingRows(table: Table, target: Float64Array, rows: number): TrainingRows {
  const features: FeatureColumn[] = [
    ...table.numbers.map((values, index) => ({
      kind: "numeric" as const,
      name: `n${index}`,
      values: values.subarray(0, rows),
    })),
    ...table.categories.map((values, index) => ({
      kind: "number levels" as const,
      name: `c${index}`,
      values: Float32Array.from(values.subarray(0, rows)),
      levels: Array.from({ length: levels[index] ?? 0 }, (_, value) => ({ value, rows })),
      codes: Int32Array.from(values.subarray(0, rows)),
    })),
  ];
  return { rows, withoutTarget: 0, target: target.subarray(0, rows), lastTarget: null, features };
}

/** The rows from `first` on, as a client sends them. */
export function requestOf(table: Table, first: number): Map<string, Float32Array> {
  return new Map([
    ...table.numbers.map((values, index) => [`n${index}`, values.subarray(first)] as const),
    ...table.categories.map(
      (values, index) => [`c${index}`, Float32Array.from(values.subarray(first))] as const,
    ),
  ]);
}
