import { z } from "zod";
import { countWithinSize } from "../answer-size.ts";
import { invalid } from "../errors.ts";

/** The query of every list of Ketline's own API. */
export const pageQuery = {
  limit: z.coerce.number().int().min(1).max(1000).default(100).describe("How many items at most"),
  cursor: z.string().max(2000).optional().describe("`nextCursor` of the page before"),
};

/** The answer of every list of Ketline's own API. */
export function pageOf<Item extends z.ZodType>(item: Item) {
  return z.object({
    items: z.array(item),
    nextCursor: z.string().optional().describe("Absent on the last page"),
  });
}

/** A position in a list as an opaque string. */
export function encodeCursor(position: unknown): string {
  return Buffer.from(JSON.stringify(position)).toString("base64url");
}

/**
 * @returns undefined when there is no cursor.
 * @throws invalid when it is not one that the same list gave out.
 */
export function decodeCursor<Position>(
  schema: z.ZodType<Position>,
  cursor: string | undefined,
): Position | undefined {
  if (cursor === undefined) return undefined;
  try {
    return schema.parse(JSON.parse(Buffer.from(cursor, "base64url").toString("utf8")));
  } catch {
    throw invalid(`The cursor "${cursor.slice(0, 100)}" is not one that this list gave out.`, {
      field: "cursor",
    });
  }
}

/**
 * One page from a list that was asked for one item more than the limit; fewer where they are large.
 *
 * @param positionOf what the next page starts after
 */
export function page<Item, Shown>(
  found: readonly Item[],
  limit: number,
  show: (item: Item) => Shown,
  positionOf: (last: Item) => unknown,
): { items: Shown[]; nextCursor?: string } {
  const shown = found.slice(0, limit).map(show);
  const items = shown.slice(0, countWithinSize(shown));
  const last = found[items.length - 1];
  const more = found.length > items.length && last !== undefined;
  return { items, ...(more ? { nextCursor: encodeCursor(positionOf(last)) } : {}) };
}
