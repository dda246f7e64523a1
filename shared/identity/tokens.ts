import { createHash, randomBytes, randomUUID, timingSafeEqual } from "node:crypto";
import type { Clock } from "../clock.ts";
import type { Database } from "../database/index.ts";
import { conflict, forbidden, notFound, unauthenticated } from "../errors.ts";
import { type Actor, type AuditLog, allows, type Role } from "./actor.ts";
import { createTokenStore, type TokenPlace, type TokenRow } from "./token-store.ts";

/** A Ketline token as it is shown after its creation: without its secret. */
export interface Token {
  readonly id: string;
  readonly name: string;
  readonly role: Role;
  readonly createdBy: string;
  readonly createdMs: number;
  readonly expiresMs: number;
  readonly revokedMs: number | null;
  /** To the minute. */
  readonly lastUsedMs: number | null;
}

export interface NewToken {
  readonly name: string;
  readonly role: Role;
  readonly expiresInSeconds: number;
}

export interface Tokens {
  /** @returns the token and, this once, its secret. @throws forbidden for a role above the creator's. */
  createToken(request: NewToken, actor: Actor): Promise<{ readonly token: Token; readonly secret: string }>;
  /** Newest first, the revoked and expired ones too. */
  listTokens(after: TokenPlace | undefined, limit: number): Promise<readonly Token[]>;
  /** Ends a token; other instances notice within two seconds. */
  revokeToken(id: string, actor: Actor): Promise<Token>;
}

/** Every token begins with this, so that people and secret scanners know one when they see it. */
export const tokenPrefix = "ktl_";

/** The id of a token's actor is this and the token's id. */
export const actorPrefix = "token:";

const lastUsedEveryMs = 60_000;

export interface TokenActors {
  /** @throws unauthenticated for a secret that is not known, or of a token that has ended */
  actorOf(secret: string): Promise<Actor>;
  /** A token's actor as of now. @throws forbidden when the token has ended */
  actorNow(actor: Actor): Promise<Actor>;
}

export function createTokens(options: {
  readonly database: Database;
  readonly clock: Clock;
  readonly audit: AuditLog;
}): Tokens & TokenActors {
  const { clock, audit } = options;
  const store = createTokenStore(options.database);
  return {
    async createToken({ name, role, expiresInSeconds }, actor) {
      if (!allows(actor, role)) {
        throw forbidden(`${actor.name} has the role ${actor.role} and cannot hand out a token of ${role}.`, {
          field: "role",
        });
      }
      const secret = tokenPrefix + randomBytes(32).toString("base64url");
      const nowMs = clock();
      const row: TokenRow = {
        id: randomUUID(),
        name,
        role,
        secret_sha256: sha256(secret).toString("hex"),
        created_by: actor.id,
        created_ms: nowMs,
        expires_ms: nowMs + expiresInSeconds * 1000,
        revoked_ms: null,
        last_used_ms: null,
      };
      await store.insert(row);
      const token = tokenOf(row);
      await audit.record({
        actor,
        action: "token.create",
        subject: `token/${row.id}`,
        after: { name, role, expiresMs: row.expires_ms },
      });
      return { token, secret };
    },

    listTokens: async (after, limit) => (await store.list(after, limit)).map(tokenOf),

    async revokeToken(id, actor) {
      const revoked = await store.revoke(id, clock());
      if (revoked === undefined) {
        const row = await store.get(id);
        if (row === undefined) throw notFound(`There is no token "${id}".`);
        throw conflict(`Token "${row.name}" (${id}) is revoked already.`);
      }
      await audit.record({
        actor,
        action: "token.revoke",
        subject: `token/${id}`,
        before: { name: revoked.name, role: revoked.role, expiresMs: revoked.expires_ms },
      });
      return tokenOf(revoked);
    },

    async actorNow(actor) {
      const row = await store.get(actor.id.slice(actorPrefix.length));
      const why =
        row === undefined
          ? "is gone"
          : row.revoked_ms !== null
            ? "was revoked"
            : row.expires_ms <= clock()
              ? "has expired"
              : undefined;
      if (row === undefined || why !== undefined) {
        throw forbidden(`The token "${actor.name}" ${why}; what it began may not go on.`);
      }
      return { ...actor, role: row.role };
    },

    async actorOf(secret) {
      const digest = sha256(secret);
      const row = await store.bySecretHash(digest.toString("hex"));
      if (row === undefined || !timingSafeEqual(digest, Buffer.from(row.secret_sha256, "hex"))) {
        throw unauthenticated("This Ketline token is not known here.");
      }
      const nowMs = clock();
      if (row.revoked_ms !== null) throw unauthenticated(`The token "${row.name}" was revoked.`);
      if (row.expires_ms <= nowMs) {
        throw unauthenticated(
          `The token "${row.name}" expired at ${new Date(row.expires_ms).toISOString()}.`,
        );
      }
      if (row.last_used_ms === null || row.last_used_ms <= nowMs - lastUsedEveryMs) {
        await store.markUsed(row.id, nowMs, nowMs - lastUsedEveryMs);
      }
      return { id: actorPrefix + row.id, name: row.name, role: row.role, source: "token" };
    },
  };
}

export function sha256(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

function tokenOf(row: TokenRow): Token {
  return {
    id: row.id,
    name: row.name,
    role: row.role,
    createdBy: row.created_by,
    createdMs: row.created_ms,
    expiresMs: row.expires_ms,
    revokedMs: row.revoked_ms,
    lastUsedMs: row.last_used_ms,
  };
}
