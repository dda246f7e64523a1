export {
  type Actor,
  type AuditLog,
  allows,
  type Identity,
  type Role,
  roles,
  systemActor,
} from "./actor.ts";
export { type AuditBook, createAuditLog } from "./audit.ts";
export { createIdentity, type IdentityBook } from "./identity.ts";
export { identityMigrations } from "./migrations.ts";
