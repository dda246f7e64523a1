import { forbidden } from "../errors.ts";
import { type Role, roles } from "./actor.ts";

/**
 * The highest of Ketline's roles among the app roles of an Entra application: `Ketline.Operator` or plain `operator`.
 *
 * @throws forbidden when there is none: somebody signed in whom nobody gave a role.
 */
export function roleOf(appRoles: readonly string[], name: string): Role {
  const given = new Set(appRoles.map((role) => role.replace(/^Ketline\.(?=[A-Z])/, "").toLowerCase()));
  const highest = roles.findLast((role) => given.has(role));
  if (highest !== undefined) return highest;
  throw forbidden(
    `${name} is signed in without a role of Ketline. Assign one of the app roles ` +
      "Ketline.Viewer, Ketline.Contributor, Ketline.Operator or Ketline.Admin.",
  );
}
