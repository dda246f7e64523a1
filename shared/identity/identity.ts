import { timingSafeEqual } from "node:crypto";
import type { Capability } from "../capability.ts";
import type { Clock } from "../clock.ts";
import { type Config, identityConfigured } from "../config.ts";
import type { Database } from "../database/index.ts";
import { forbidden, isKetlineError, unauthenticated } from "../errors.ts";
import {
  type Actor,
  type AuditLog,
  allows,
  type Caller,
  type CheckStanding,
  type Identity,
} from "./actor.ts";
import { easyAuthActor } from "./easy-auth.ts";
import { createEntraVerifier } from "./entra.ts";
import { loopbackActor } from "./loopback.ts";
import { tokenRoutes } from "./token-routes.ts";
import { actorPrefix, createTokens, sha256, type Tokens, tokenPrefix } from "./tokens.ts";

export interface IdentityOptions {
  readonly config: Config;
  readonly database: Database;
  readonly clock: Clock;
  readonly audit: AuditLog;
}

export interface IdentityOperations extends Identity, Tokens, Capability {
  /**
   * Who somebody is now that was known before: with the role of now, where Ketline keeps it (its own tokens). Roles from
   * Entra stand in its tokens alone, so those stay as they were.
   *
   * @throws forbidden when the credential has ended: revoked, expired, or no longer configured
   */
  actorNow(actor: Actor): Promise<Actor>;
  readonly checkStanding: CheckStanding;
}

/** A revoked token is good for so long at most. */
const rememberMs = 2_000;
const maxRemembered = 2_000;

const adminActor: Actor = { id: "admin-token", name: "admin token", role: "admin", source: "token" };

/**
 * Finds out who is behind a request, from what the configuration allows: the admin token, Ketline's own tokens, Entra
 * tokens, Easy Auth's headers; with none of these configured, the person at this machine.
 */
export function createIdentity(options: IdentityOptions): IdentityOperations {
  const { config, clock } = options;
  const tokens = createTokens(options);
  const verifyEntra =
    config.identity.entra === undefined ? undefined : createEntraVerifier(config.identity.entra, clock);
  const adminDigest =
    config.identity.adminToken === undefined ? undefined : sha256(config.identity.adminToken);
  const anybodyLocal = !identityConfigured(config);
  const remembered = createMemory(clock);

  async function actorOfSecret(secret: string, digest: Buffer): Promise<Actor> {
    if (adminDigest !== undefined && timingSafeEqual(digest, adminDigest)) return adminActor;
    if (secret.startsWith(tokenPrefix)) return tokens.actorOf(secret);
    if (verifyEntra !== undefined) return verifyEntra(secret);
    throw unauthenticated(`The credential is not a Ketline token; those begin with ${tokenPrefix}.`);
  }

  const published: Tokens = {
    createToken: tokens.createToken,
    listTokens: tokens.listTokens,
    async revokeToken(id, actor) {
      const revoked = await tokens.revokeToken(id, actor);
      remembered.forget();
      return revoked;
    },
  };

  const actorNow = async (actor: Actor): Promise<Actor> => {
    if (actor.source !== "token") return actor;
    if (actor.id.startsWith(actorPrefix)) return tokens.actorNow(actor);
    if (adminDigest !== undefined) return actor;
    throw forbidden("The admin token is no longer configured; what it began may not go on.");
  };

  return {
    ...published,
    routes: tokenRoutes(published),
    jobKinds: [],
    timers: [],

    actorNow,

    async checkStanding(author, role) {
      // Of whom Ketline keeps no role, the route has asked for the right one when the order was given.
      if (author.id !== adminActor.id && !author.id.startsWith(actorPrefix)) return;
      const actor = await actorNow({ ...author, role, source: "token" });
      if (allows(actor, role)) return;
      throw forbidden(`${actor.name} has the role ${actor.role}; what it began needs ${role}.`);
    },

    authenticate(request) {
      if (anybodyLocal) {
        const local = loopbackActor(request);
        // A stock client must send something and gets along with anything; a Ketline token is meant.
        const secret = secretIn(request.headers, "lenient");
        return secret?.startsWith(tokenPrefix) ? remembered.actor(secret, actorOfSecret) : local;
      }
      const principal = config.identity.easyAuth ? request.headers.has("x-ms-client-principal") : false;
      // Easy Auth verified the Entra token already and leaves it in the request; only a token of ours says more.
      const secret = secretIn(request.headers, principal ? "lenient" : "strict");
      if (principal && (secret === undefined || !secret.startsWith(tokenPrefix))) {
        return easyAuthActor(request.headers);
      }
      return secret === undefined ? null : remembered.actor(secret, actorOfSecret);
    },
  };
}

/**
 * The secret of the Authorization header, the bearer token or the Basic password with any user name; without that header
 * the key of Azure Quantum's clients.
 *
 * @throws unauthenticated for a header of another form, unless lenient
 */
function secretIn(headers: Caller["headers"], mode: "strict" | "lenient"): string | undefined {
  const header = headers.get("authorization");
  // Azure Quantum's stock client sends a key in a header of its own; here that is a token too.
  if (header === null) return headers.get("x-ms-quantum-api-key") ?? undefined;
  const [, scheme = "", credential = ""] = /^(\S+)\s+(\S+)\s*$/.exec(header) ?? [];
  if (scheme.toLowerCase() === "bearer") return credential;
  if (scheme.toLowerCase() === "basic") {
    const decoded = Buffer.from(credential, "base64").toString("utf8");
    const colon = decoded.indexOf(":");
    if (colon >= 0) return decoded.slice(colon + 1);
  }
  if (mode === "lenient") return undefined;
  throw unauthenticated(
    "The Authorization header must be `Bearer <token>` or `Basic <user:token in Base64>`.",
  );
}

/** Remembers briefly who a secret belongs to, or why it is refused, by its hash. */
function createMemory(clock: Clock) {
  const entries = new Map<string, { readonly untilMs: number; readonly actor: Promise<Actor> }>();
  return {
    actor(secret: string, find: (secret: string, digest: Buffer) => Promise<Actor>): Promise<Actor> {
      const digest = sha256(secret);
      const key = digest.toString("base64");
      const nowMs = clock();
      const known = entries.get(key);
      if (known !== undefined && nowMs < known.untilMs && nowMs >= known.untilMs - rememberMs)
        return known.actor;
      if (entries.size >= maxRemembered) entries.clear();
      const actor = find(secret, digest);
      entries.set(key, { untilMs: nowMs + rememberMs, actor });
      actor.catch((error: unknown) => {
        // A refusal may be remembered, a failure to find out may not.
        if (!isKetlineError(error, "unauthenticated") && !isKetlineError(error, "forbidden"))
          entries.delete(key);
      });
      return actor;
    },
    forget: () => entries.clear(),
  };
}
