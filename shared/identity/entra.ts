import { z } from "zod";
import type { Clock } from "../clock.ts";
import type { Config } from "../config.ts";
import { unauthenticated, unavailable } from "../errors.ts";
import type { Actor } from "./actor.ts";
import { roleOf } from "./app-roles.ts";

type EntraConfig = NonNullable<Config["identity"]["entra"]>;

/** Asymmetric signatures only: with a symmetric one, whoever can read the public key could sign. */
const algorithms = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"];
const clockToleranceSeconds = 60;

/**
 * Verifies access tokens of Microsoft Entra: signature against the tenant's published keys, issuer, audience, time.
 *
 * @throws unauthenticated for a token that is not good, forbidden for one without a role, unavailable when the keys
 * cannot be fetched.
 */
export function createEntraVerifier(config: EntraConfig, clock: Clock): (token: string) => Promise<Actor> {
  let verifying: Promise<Verifying> | undefined;
  return async (token) => {
    verifying ??= startVerifying(config);
    const { jose, keys } = await verifying;
    try {
      const { payload } = await jose.jwtVerify(token, keys, {
        issuer: config.issuer,
        audience: config.audience,
        algorithms,
        clockTolerance: clockToleranceSeconds,
        currentDate: new Date(clock()),
        requiredClaims: ["exp", "sub"],
      });
      return actorOf(payload);
    } catch (error) {
      throw explain(error, config, jose.errors);
    }
  };
}

type Jose = typeof import("jose");

interface Verifying {
  readonly jose: Jose;
  readonly keys: ReturnType<Jose["createRemoteJWKSet"]>;
}

/** At the first token: most servers of one's own never see one. */
async function startVerifying(config: EntraConfig): Promise<Verifying> {
  const jose = await import("jose");
  // Keys are kept for ten minutes; an unknown key id asks again, at most every 30 s.
  const keys = jose.createRemoteJWKSet(new URL(config.jwksUrl), {
    timeoutDuration: 5_000,
    cooldownDuration: 30_000,
    cacheMaxAge: 600_000,
  });
  return { jose, keys };
}

/** What is read of a verified token; `oid` is the same for one person in every application, `sub` is not. */
const Claims = z.object({
  oid: z.string().optional(),
  sub: z.string(),
  preferred_username: z.string().optional(),
  name: z.string().optional(),
  azp: z.string().optional(),
  roles: z.array(z.string()).catch([]),
});

function actorOf(payload: unknown): Actor {
  const { oid, sub, preferred_username, name, azp, roles } = Claims.parse(payload);
  const id = oid ?? sub;
  const shown = preferred_username ?? name ?? azp ?? id;
  return { id, name: shown, role: roleOf(roles, shown), source: "entra" };
}

function explain(error: unknown, config: EntraConfig, errors: Jose["errors"]): unknown {
  if (error instanceof errors.JWTExpired) return unauthenticated("The Entra token has expired.");
  if (error instanceof errors.JWTClaimValidationFailed) {
    const right: Record<string, string> = { iss: config.issuer, aud: config.audience };
    const expected = right[error.claim];
    return unauthenticated(
      expected === undefined
        ? `The Entra token's claim "${error.claim}" is not good: ${error.message}.`
        : `The Entra token's claim "${error.claim}" is wrong; it must be "${expected}".`,
    );
  }
  if (error instanceof errors.JWKSTimeout || isFetchFailure(error, errors)) {
    return unavailable("The signing keys of Entra cannot be fetched now.", {
      cause: error,
      retryAfterSeconds: 10,
    });
  }
  if (error instanceof errors.JOSEError) {
    return unauthenticated(`The Entra token is not good: ${error.message}.`);
  }
  return error;
}

/** jose throws its plain base class for an answer of the key server that is not 200 or not JSON. */
function isFetchFailure(error: unknown, errors: Jose["errors"]): boolean {
  return (
    error instanceof TypeError || (error instanceof errors.JOSEError && error.code === "ERR_JOSE_GENERIC")
  );
}
