import { z } from "zod";
import { unauthenticated } from "../errors.ts";
import type { Actor, Caller } from "./actor.ts";
import { roleOf } from "./app-roles.ts";

/** What App Service writes into X-MS-CLIENT-PRINCIPAL, in Base64. */
const Principal = z.object({
  auth_typ: z.string().optional(),
  name_typ: z.string().optional(),
  role_typ: z.string().optional(),
  claims: z.array(z.object({ typ: z.string(), val: z.string() })),
});

const schemas = {
  objectId: "http://schemas.microsoft.com/identity/claims/objectidentifier",
  nameIdentifier: "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier",
  name: "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name",
  role: "http://schemas.microsoft.com/ws/2008/06/identity/claims/role",
};

/**
 * Who App Service says is calling. Anybody can send these headers, so this is asked only when the configuration says
 * that App Service stands in front and replaces them.
 *
 * @returns null without the header.
 * @throws unauthenticated when the header cannot be read, forbidden when the principal has no role of Ketline.
 */
export function easyAuthActor(headers: Caller["headers"]): Actor | null {
  const header = headers.get("x-ms-client-principal");
  if (header === null) return null;
  const { claims, name_typ, role_typ } = parse(header);
  const first = (...types: (string | undefined)[]): string | undefined =>
    types
      .map((type) => claims.find(({ typ, val }) => typ === type && val !== "")?.val)
      .find((value) => value !== undefined);
  const id =
    first(schemas.objectId, "oid", schemas.nameIdentifier, "sub") ??
    headers.get("x-ms-client-principal-id") ??
    undefined;
  if (id === undefined) throw unauthenticated("X-MS-CLIENT-PRINCIPAL names nobody: it has no object id.");
  const name =
    first("preferred_username", name_typ, schemas.name, "name") ??
    headers.get("x-ms-client-principal-name") ??
    id;
  const roleTypes = new Set([role_typ, schemas.role, "roles"]);
  const appRoles = claims.filter(({ typ }) => roleTypes.has(typ)).map(({ val }) => val);
  return { id, name, role: roleOf(appRoles, name), source: "easy-auth" };
}

function parse(header: string): z.infer<typeof Principal> {
  try {
    return Principal.parse(JSON.parse(Buffer.from(header, "base64").toString("utf8")));
  } catch {
    throw unauthenticated("X-MS-CLIENT-PRINCIPAL is not a client principal in Base64.");
  }
}
