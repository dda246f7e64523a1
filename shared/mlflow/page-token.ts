import { z } from "zod";
import { invalid } from "../errors.ts";

/** One value of the sort key of the last row of a page. */
export type KeyPart = string | number;
export type KeyKind = "text" | "integer" | "number";

const Token = z.object({ after: z.array(z.union([z.string(), z.number()])), of: z.string().optional() });

/**
 * An opaque page token: base64 of the JSON of the sort key after which the next page starts.
 *
 * @param of names the search that the token is good for
 */
export function pageToken(after: readonly KeyPart[], of?: string): string {
  return Buffer.from(JSON.stringify({ after, of })).toString("base64");
}

/**
 * @param kinds of the parts that the sort key has
 * @param of names the search that the token has to be good for
 * @throws invalid when the token was not made for this order, or is no token at all.
 */
export function readPageToken(
  token: string | undefined,
  kinds: readonly KeyKind[],
  of?: string,
): readonly KeyPart[] | undefined {
  if (token === undefined || token === "") return undefined;
  const parsed = Token.safeParse(decode(token));
  if (parsed.success && parsed.data.after.length === kinds.length && parsed.data.of === of) {
    const { after } = parsed.data;
    if (kinds.every((kind, index) => isOfKind(after[index], kind))) return after;
  }
  throw invalid(
    `Invalid page token '${token.slice(0, 100)}': pass the next_page_token of the page before, with the same ${of === undefined ? "order_by" : "experiments, filter, datasets and order_by"}.`,
  );
}

function isOfKind(part: KeyPart | undefined, kind: KeyKind): boolean {
  if (kind === "text") return typeof part === "string" && !part.includes("\0");
  return typeof part === "number" && (kind === "number" || Number.isSafeInteger(part));
}

function decode(token: string): unknown {
  try {
    return JSON.parse(Buffer.from(token, "base64").toString("utf8"));
  } catch {
    return undefined;
  }
}
