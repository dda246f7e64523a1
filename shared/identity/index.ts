export {
  type Actor,
  type AuditEntry,
  type AuditLog,
  allows,
  type Identity,
  type Role,
  roles,
  systemActor,
} from "./actor.ts";
export { type AuditBook, createAuditLog, type RecordedEntry } from "./audit.ts";
export { createIdentity, type IdentityBook } from "./identity.ts";
export { identityMigrations } from "./migrations.ts";
