import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type CryptoKey, exportJWK, generateKeyPair, type JWTPayload, SignJWT } from "jose";

/** An issuer of tokens on loopback, as Microsoft Entra is one: signing keys at a JWKS address. */
export interface TestIssuer {
  readonly issuer: string;
  readonly audience: string;
  readonly jwksUrl: string;
  /** The environment variables that make Ketline trust it. */
  readonly env: Readonly<Record<string, string>>;
  /** How often its keys were fetched. */
  readonly fetches: () => number;
  /** From now on the address answers so; 200 with the keys at first. */
  answer(status: number, body?: string): void;
  /** Signs with a new key, published under a new id. */
  rotate(): Promise<void>;
  sign(claims: JWTPayload, options?: SignOptions): Promise<string>;
  close(): Promise<void>;
}

export interface SignOptions {
  /** Now by default, and good for an hour. */
  readonly issuedAt?: Date;
  readonly expires?: Date | null;
  readonly issuer?: string;
  readonly audience?: string | string[];
  readonly key?: CryptoKey;
  readonly keyId?: string;
}

export async function startIssuer(now: () => number): Promise<TestIssuer> {
  let generation = 1;
  let pair = await generateKeyPair("RS256", { extractable: true });
  let fetches = 0;
  let answer: { status: number; body: string | undefined } = { status: 200, body: undefined };
  const published = async () =>
    JSON.stringify({
      keys: [{ ...(await exportJWK(pair.publicKey)), kid: `key-${generation}`, alg: "RS256", use: "sig" }],
    });
  const server = createServer(async (_, response) => {
    fetches++;
    response.writeHead(answer.status, { "content-type": "application/json" });
    response.end(answer.body ?? (await published()));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const issuer = `${base}/v2.0`;
  const audience = "api://ketline";
  const jwksUrl = `${base}/keys`;
  return {
    issuer,
    audience,
    jwksUrl,
    env: {
      KETLINE_ENTRA_ISSUER: issuer,
      KETLINE_ENTRA_AUDIENCE: audience,
      KETLINE_ENTRA_JWKS_URL: jwksUrl,
    },
    fetches: () => fetches,
    answer(status, body) {
      answer = { status, body };
    },
    async rotate() {
      generation++;
      pair = await generateKeyPair("RS256", { extractable: true });
    },
    sign(claims, options = {}) {
      const issuedAt = options.issuedAt ?? new Date(now());
      const token = new SignJWT(claims)
        .setProtectedHeader({ alg: "RS256", kid: options.keyId ?? `key-${generation}`, typ: "JWT" })
        .setIssuer(options.issuer ?? issuer)
        .setAudience(options.audience ?? audience)
        .setIssuedAt(issuedAt)
        .setNotBefore(issuedAt);
      if (options.expires !== null) {
        token.setExpirationTime(options.expires ?? new Date(issuedAt.getTime() + 3600_000));
      }
      return token.sign(options.key ?? pair.privateKey);
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
