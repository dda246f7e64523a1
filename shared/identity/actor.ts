import type { Transaction } from "kysely";
/** What a caller may do, from least to most; each role includes the ones before it. */
export const roles = ["viewer", "contributor", "operator", "admin"] as const;
export type Role = (typeof roles)[number];

/** Who makes a request or runs a job. */
export interface Actor {
  /** Stable and unique: an Entra object id, a token's id, or a name of Ketline's own such as `schedule:daily`. */
  readonly id: string;
  /** For people to read. */
  readonly name: string;
  readonly role: Role;
  readonly source: "entra" | "token" | "easy-auth" | "loopback" | "system";
}

/** Ketline itself, when a timer or a policy acts. */
export function systemActor(name: string): Actor {
  return { id: `system:${name}`, name, role: "admin", source: "system" };
}

export function allows(actor: Actor, role: Role): boolean {
  return roles.indexOf(actor.role) >= roles.indexOf(role);
}

/** Whom the record of a standing order names: a rollout, a monitor, a schedule. */
export type Author = Pick<Actor, "id" | "name">;

/**
 * Asked at the deed of a standing order: whether the one who gave it could still do that deed.
 *
 * @throws forbidden, in words for the record, when the credential has ended or its role is not enough
 */
export type CheckStanding = (author: Author, role: Role) => Promise<void>;

/** What of a request says who is behind it. */
export interface Caller {
  readonly url: string;
  readonly headers: { get(name: string): string | null; has(name: string): boolean };
}

/** Finds out who is behind a request. */
export interface Identity {
  /**
   * @returns null when the request carries no credential and anonymous callers are nobody.
   * @throws unauthenticated when it carries one that is not good.
   */
  authenticate(request: Caller): Actor | null | Promise<Actor | null>;
}

/** One change, written down with who made it. Values must not hold secrets. */
export interface AuditEntry {
  readonly actor: Actor;
  /** `<noun>.<verb>`, e.g. `deployment.rollback`. */
  readonly action: string;
  /** What was changed, e.g. `deployment/late-flights`. */
  readonly subject: string;
  readonly before?: unknown;
  readonly after?: unknown;
  readonly reason?: string;
}

export interface AuditLog {
  /** @param transaction that of the change itself, so that neither is there without the other */
  record(entry: AuditEntry, transaction?: Transaction<unknown>): Promise<void>;
}
