import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto";
import type { z } from "zod";
import { invalid } from "../../shared/errors.ts";
import { Credentials } from "./schemas.ts";

/**
 * Credentials for another server, as they wait in the database for their job: AES-256-GCM under a key derived from the
 * signing key, bound to the id of their transfer. They are deleted when the transfer ends.
 */
export interface CredentialSeal {
  seal(transferId: string, credentials: z.infer<typeof Credentials>): string;
  /** @throws invalid when they were sealed with another key. */
  open(transferId: string, sealed: string): z.infer<typeof Credentials>;
}

const nonceBytes = 12;
const tagBytes = 16;

export function createCredentialSeal(signingKey: string): CredentialSeal {
  const key = new Uint8Array(hkdfSync("sha256", signingKey, "ketline", "transfer credentials", 32));
  return {
    seal(transferId, credentials) {
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(Buffer.from(transferId));
      const text = Buffer.concat([cipher.update(JSON.stringify(credentials), "utf8"), cipher.final()]);
      return Buffer.concat([nonce, cipher.getAuthTag(), text]).toString("base64url");
    },

    open(transferId, sealed) {
      const bytes = Buffer.from(sealed, "base64url");
      const decipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(0, nonceBytes))
        .setAAD(Buffer.from(transferId))
        .setAuthTag(bytes.subarray(nonceBytes, nonceBytes + tagBytes));
      try {
        const text = decipher.update(bytes.subarray(nonceBytes + tagBytes), undefined, "utf8");
        return Credentials.parse(JSON.parse(text + decipher.final("utf8")));
      } catch (cause) {
        throw invalid(
          "The credentials of this transfer were sealed with another signing key. Start the transfer again: it goes on where it stopped.",
          { cause },
        );
      }
    },
  };
}
