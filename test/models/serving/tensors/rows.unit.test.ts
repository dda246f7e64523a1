import { describe, expect, it } from "vitest";
import { commonRows, joinRows, takeRows } from "../../../../models/serving/tensors/rows.ts";
import {
  datatypes,
  elementCount,
  elementType,
  type Tensor,
  type TensorData,
  type Tensors,
} from "../../../../models/serving/tensors/tensors.ts";
import { type RandomSource, randomSource } from "../../../support/random.ts";

const whole = (random: RandomSource, from: number, to: number) =>
  from + Math.floor(random.uniform() * (to - from + 1));

const lengthOf = (tensors: Tensors) => Object.values(tensors).reduce((sum, { data }) => sum + data.length, 0);

/** Requests of one form, as many rows each as `rows` says. */
function requests(random: RandomSource, rows: readonly number[]): Tensors[] {
  const inputs = Array.from({ length: whole(random, 1, 3) }, (_, index) => ({
    name: `input ${index}`,
    datatype: datatypes[whole(random, 0, datatypes.length - 1)] ?? "FP32",
    tail: Array.from({ length: whole(random, 0, 3) }, () => whole(random, 0, 4)),
  }));
  return rows.map((count) =>
    Object.fromEntries(
      inputs.map(({ name, datatype, tail }): [string, Tensor] => {
        const shape = [count, ...tail];
        const data = elementType(datatype).create(elementCount(shape));
        for (let i = 0; i < data.length; i++) {
          const number = whole(random, 0, 100);
          if (Array.isArray(data)) data[i] = `text ${number}`;
          else if (data instanceof BigInt64Array || data instanceof BigUint64Array) data[i] = BigInt(number);
          else data[i] = datatype === "BOOL" ? number % 2 : number;
        }
        return [name, { datatype, shape, data: data as TensorData }];
      }),
    ),
  );
}

const plain = (tensors: Tensors) =>
  Object.fromEntries(
    Object.entries(tensors).map(([name, { datatype, shape, data }]) => [
      name,
      { datatype, shape, data: [...data] },
    ]),
  );

describe("rows", () => {
  it("come back as they were from a join, of every datatype and form", () => {
    for (let seed = 1; seed <= 500; seed++) {
      const random = randomSource(seed);
      const rows = Array.from({ length: whole(random, 1, 6) }, () => whole(random, 0, 5));
      const parts = requests(random, rows);
      const joined = joinRows(parts);
      const total = rows.reduce((sum, count) => sum + count, 0);
      expect(commonRows(joined), `seed ${seed}`).toBe(total);
      expect(lengthOf(joined), `seed ${seed}`).toBe(parts.reduce((sum, part) => sum + lengthOf(part), 0));
      let start = 0;
      for (const [index, part] of parts.entries()) {
        const count = rows[index] ?? 0;
        expect(plain(takeRows(joined, start, count)), `seed ${seed}, part ${index}`).toEqual(plain(part));
        start += count;
      }
    }
  });

  it("are not common to tensors of different lengths, nor to scalars", () => {
    const of = (...shape: number[]): Tensor => ({
      datatype: "FP32",
      shape,
      data: new Float32Array(elementCount(shape)),
    });
    expect(commonRows({ a: of(2, 3), b: of(2) })).toBe(2);
    expect(commonRows({ a: of(2, 3), b: of(3) })).toBeUndefined();
    expect(commonRows({ a: of(2), b: of() })).toBeUndefined();
    expect(commonRows({})).toBeUndefined();
  });
});
