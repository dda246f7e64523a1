export {
  type Actor,
  type AuditLog,
  type Author,
  allows,
  type CheckStanding,
  type Identity,
  type Role,
  roles,
  systemActor,
} from "./actor.ts";
export { type AuditOperations, createAuditLog } from "./audit.ts";
export { createIdentity, type IdentityOperations } from "./identity.ts";
export { identityMigrations } from "./migrations.ts";
