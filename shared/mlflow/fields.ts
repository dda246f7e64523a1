import { z } from "zod";
import { limits } from "./bounds.ts";
import { lengthOf } from "./names.ts";

/**
 * The field types of MLflow's requests, as protobuf's JSON reading takes them: int64 and double also as strings, as the
 * query of a GET sends them; null means unset (the reader drops it before the schema sees it).
 */

/** A string field that need not be there. @param maxLength in characters, not in UTF-16's units */
export const textOf = (maxLength: number) =>
  z
    .string("a string is expected")
    .refine((value) => value.length <= maxLength || lengthOf(value) <= maxLength, {
      error: tooLong(maxLength),
    })
    .meta({ maxLength });
/** A string field that must be there: an empty one counts as missing, because protobuf cannot tell them apart. */
export const requiredTextOf = (maxLength: number) =>
  z
    .string("a string is expected")
    .refine((value) => value !== "" && (value.length <= maxLength || lengthOf(value) <= maxLength), {
      error: ({ input }) => (input === "" ? "missing" : tooLong(maxLength)),
    })
    .meta({ maxLength });

const tooLong = (maxLength: number) => `it exceeds the maximum length of ${maxLength} characters`;

export const text = textOf(limits.text);
export const requiredText = requiredTextOf(limits.text);
export const pageTokenText = textOf(limits.pageToken);
/** What is cut, or refused in MLflow's words, by whoever reads it; the body is its bound. */
export const longText = textOf(limits.dataset.profile);

const integerText = /^[+-]?\d{1,30}$/;

/** int64, of which the safe integers are taken. */
export const int64 = z
  .union([z.number(), z.string().regex(integerText)], "an integer is expected")
  .transform(Number)
  .refine(Number.isSafeInteger, { error: "an integer of at most 53 bits is expected" });

export const int32 = int64.refine((value) => Math.abs(value) <= 2 ** 31, {
  error: "an integer of at most 32 bits is expected",
});

const named: ReadonlyMap<string, number> = new Map([
  ["NaN", Number.NaN],
  ["Infinity", Number.POSITIVE_INFINITY],
  ["-Infinity", Number.NEGATIVE_INFINITY],
]);

/** A double; NaN and the infinities travel as strings. */
export const double = z
  .union([z.number(), z.string().max(500)], "a number is expected")
  .transform((value, context) => {
    if (typeof value === "number") return value;
    const number = named.get(value) ?? (value.trim() === "" ? undefined : Number(value));
    if (number !== undefined && (named.has(value) || !Number.isNaN(number))) return number;
    context.issues.push({ code: "custom", message: "a number is expected", input: value });
    return z.NEVER;
  });

export const flag = z.union(
  [
    z.boolean(),
    z
      .string()
      .regex(/^(true|false)$/i)
      .transform((value) => value.toLowerCase() === "true"),
  ],
  "true or false is expected",
);

/** A repeated field; absent is empty. A GET sends one value as itself. @param options.max entries; 1000 by default */
export const list = <Item extends z.ZodType>(
  item: Item,
  options: { readonly query?: boolean; readonly max?: number } = {},
) => {
  const max = options.max ?? limits.entries;
  const items = z.array(item, "a list is expected").max(max, `at most ${max} entries are taken`).default([]);
  return options.query === true
    ? z.preprocess((value) => (value === undefined || Array.isArray(value) ? value : [value]), items)
    : items;
};

/** `{key, value}`, MLflow's form of maps. A tag or parameter without a value has the empty one. */
export const keyValue = z.object({ key: requiredText, value: longText.default("") });

/** A page size. @param max the largest that MLflow takes */
export const pageSize = (max: number) =>
  int32.refine((value) => value >= 1 && value <= max, {
    error: `it must be a positive integer of at most ${max}`,
  });

/** A protobuf enumeration: its name or its number. */
export const enumeration = <Name extends string>(names: Readonly<Record<Name, number>>) =>
  z.union([z.string(), z.number()]).transform((value, context): Name => {
    const entries = Object.entries(names) as [Name, number][];
    const found = entries.find(([name, number]) => value === name || String(value) === String(number));
    if (found !== undefined) return found[0];
    context.issues.push({
      code: "custom",
      message: `one of ${entries.map(([name]) => name).join(", ")} is expected`,
      input: value,
    });
    return z.NEVER;
  });

export const viewType = enumeration({ ACTIVE_ONLY: 1, DELETED_ONLY: 2, ALL: 3 });
export type ViewType = z.infer<typeof viewType>;
