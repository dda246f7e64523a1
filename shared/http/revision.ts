import { invalid } from "../errors.ts";
import { type JsonReply, json, type RequestHead } from "./route.ts";

/** A thing of which each change makes a new revision, with the revision as its entity tag. */
export function tagged(thing: { readonly revision: number }, status = 200): JsonReply {
  return json(thing, status, { etag: `"${thing.revision}"` });
}

/**
 * The revision for which a change was made, as `If-Match` names it.
 *
 * @returns undefined without the header; `any` for `*`
 * @throws invalid when it names no revision
 */
export function expectedRevisionOf({ headers }: Pick<RequestHead, "headers">): number | "any" | undefined {
  const header = headers.get("if-match")?.trim();
  if (header === undefined) return undefined;
  if (header === "*") return "any";
  const revision = /^(?:W\/)?"?(\d{1,15})"?$/.exec(header)?.[1];
  if (revision !== undefined) return Number(revision);
  throw invalid(`If-Match is ${header}; a revision such as "3", or *, would be right.`, {
    field: "If-Match",
  });
}

/** For changes of which `*` asks no more than leaving the header out. */
export function expecting(revision: number | "any" | undefined): { readonly expectedRevision?: number } {
  return typeof revision === "number" ? { expectedRevision: revision } : {};
}
