import { createHmac, timingSafeEqual } from "node:crypto";
import type { Clock } from "../clock.ts";
import { forbidden, invalid } from "../errors.ts";
import type { SignedAccess } from "./blob-store.ts";
import { checkKey } from "./keys.ts";

/** What a link allows: read, add, create, write, list, delete. Azure's letters. */
export type Permission = "r" | "a" | "c" | "w" | "l" | "d";

export interface ContainerAccess {
  readonly permissions: readonly Permission[];
  readonly expiresInMs: number;
  readonly baseUrl: string;
}

/**
 * Signed links to blobs of this server, `<baseUrl>/blobs/<key>?sv=…&se=…&sr=…&sp=…&sig=…`. The names in the query are
 * those of Azure's shared access signatures, so that stock Azure Storage clients take them for such; the signature is
 * HMAC-SHA256 under our own key.
 */
export interface BlobLinks {
  blobUrl(key: string, access: SignedAccess): string;
  /** A link that stages one block of a blob, and can do nothing else: the blob itself cannot be written by it. */
  blockUrl(key: string, blockId: string, access: Omit<SignedAccess, "method">): string;
  /** A link to everything below a prefix, which Azure's clients see as a container. */
  containerUrl(prefix: string, access: ContainerAccess): string;
  /**
   * @param request `path` is the key, or for a call on a container its prefix; `anyOf` the permissions of which one is enough
   * @throws forbidden when the link is not ours, was changed, has expired or does not allow this
   */
  verify(request: LinkedRequest): void;
}

export interface LinkedRequest {
  readonly path: string;
  readonly query: URLSearchParams;
  readonly of: "blob" | "container";
  readonly anyOf: readonly Permission[];
  /** Set where one block is staged. */
  readonly block?: string;
}

const version = "2025-07-05";
/** Azure has no such resource: its letters are b for a blob and c for a container. */
const oneBlock = "block";
const maxMs = 365 * 86_400_000;

export function createBlobLinks(options: { readonly signingKey: string; readonly clock: Clock }): BlobLinks {
  const { signingKey, clock } = options;

  function sign(parts: Signed): string {
    const { block } = parts;
    const text = [
      ...[parts.version, parts.resource, parts.path, parts.permissions, parts.expires],
      ...(block === undefined ? [] : [block]),
    ].join("\n");
    return createHmac("sha256", signingKey).update(`ketline-blob-link\n${text}`).digest("base64");
  }

  function link(baseUrl: string, parts: Omit<Signed, "version" | "expires">, expiresInMs: number): string {
    if (!(expiresInMs > 0 && expiresInMs <= maxMs)) {
      throw invalid(`expiresInMs is ${expiresInMs}; a link lives up to ${maxMs} (a year).`);
    }
    // Whole seconds, as Azure writes them, rounded up: a link never ends before its time.
    const expires = new Date(Math.ceil((clock() + expiresInMs) / 1000) * 1000)
      .toISOString()
      .replace(".000Z", "Z");
    const signed = { ...parts, version, expires };
    const query = new URLSearchParams({
      sv: version,
      se: expires,
      sr: parts.resource,
      sp: parts.permissions,
      ...(parts.resource === "c" ? { sdd: String(parts.path.split("/").length) } : {}),
      ...(parts.block === undefined ? {} : { comp: "block", blockid: parts.block }),
      sig: sign(signed),
    });
    const path = parts.path.split("/").map(encodeURIComponent).join("/");
    return `${baseUrl}/blobs/${path}?${query}`;
  }

  return {
    blobUrl(key, { method, expiresInMs, baseUrl }) {
      checkKey(key);
      return link(
        baseUrl,
        { resource: "b", path: key, permissions: method === "GET" ? "r" : "cw" },
        expiresInMs,
      );
    },

    blockUrl(key, block, { expiresInMs, baseUrl }) {
      checkKey(key);
      return link(baseUrl, { resource: oneBlock, path: key, permissions: "w", block }, expiresInMs);
    },

    containerUrl(prefix, { permissions, expiresInMs, baseUrl }) {
      checkKey(prefix);
      return link(baseUrl, { resource: "c", path: prefix, permissions: permissions.join("") }, expiresInMs);
    },

    verify({ path, query, of, anyOf, block }) {
      const given = signedPart(path, query);
      const signature = Buffer.from(query.get("sig") ?? "", "base64");
      const expected = Buffer.from(sign(given), "base64");
      if (signature.length !== expected.length || !timingSafeEqual(signature, expected)) {
        throw forbidden("The link's signature is not right: it was changed, or another server made it.", {
          code: "AuthenticationFailed",
        });
      }
      if (!(Date.parse(given.expires) > clock())) {
        throw forbidden(`The link expired at ${given.expires}.`, { code: "AuthenticationFailed" });
      }
      if (given.resource === oneBlock && given.block !== block) {
        throw forbidden("The link stages one block (comp=block); it is for nothing else.", {
          code: "AuthorizationResourceTypeMismatch",
        });
      }
      if (of === "container" && given.resource !== "c") {
        throw forbidden("The link is for one blob; this needs a link for the container.", {
          code: "AuthorizationResourceTypeMismatch",
        });
      }
      if (!anyOf.some((permission) => given.permissions.includes(permission))) {
        throw forbidden(`The link allows "${given.permissions}"; this needs "${anyOf.join('" or "')}".`, {
          code: "AuthorizationPermissionMismatch",
        });
      }
    },
  };
}

interface Signed {
  readonly version: string;
  readonly resource: string;
  readonly path: string;
  readonly permissions: string;
  readonly expires: string;
  /** The id of the one block that may be staged. */
  readonly block?: string;
}

function signedPart(path: string, query: URLSearchParams): Signed {
  const resource = query.get("sr") ?? "";
  // The depth says how much of the path is the container. Another depth gives another text, which was not signed.
  const depth = Number(query.get("sdd") ?? Number.NaN);
  return {
    version: query.get("sv") ?? "",
    resource,
    path: resource === "c" ? path.split("/").slice(0, depth).join("/") : path,
    permissions: query.get("sp") ?? "",
    expires: query.get("se") ?? "",
    ...(resource === oneBlock ? { block: query.get("blockid") ?? "" } : {}),
  };
}
