import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto";
import { type KetlineError, unavailable } from "../errors.ts";

/**
 * Webhook secrets are needed in clear to sign with, so a hash will not do. They are stored encrypted (as MLflow does),
 * with AES-256-GCM under a key derived from the signing key, which lies outside the database: a copy or a backup of the
 * database alone gives nothing away. The webhook's id is bound in, so that a sealed secret is of no use in another row.
 */
export interface SecretBox {
  seal(webhookId: string, secret: string): string;
  /** @throws unavailable when it was sealed under another signing key. */
  open(webhookId: string, sealed: string): string;
}

const ivBytes = 12;
const tagBytes = 16;

export function createSecretBox(signingKey: string): SecretBox {
  const key = Buffer.from(hkdfSync("sha256", signingKey, "", "ketline webhook secrets", 32));
  return {
    seal(webhookId, secret) {
      const iv = randomBytes(ivBytes);
      const cipher = createCipheriv("aes-256-gcm", key, iv).setAAD(Buffer.from(webhookId));
      const sealed = Buffer.concat([cipher.update(secret, "utf8"), cipher.final()]);
      return `v1.${Buffer.concat([iv, cipher.getAuthTag(), sealed]).toString("base64url")}`;
    },

    open(webhookId, sealed) {
      try {
        if (!sealed.startsWith("v1.")) throw new Error("unknown form");
        const bytes = Buffer.from(sealed.slice("v1.".length), "base64url");
        const decipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(0, ivBytes), {
          authTagLength: tagBytes,
        });
        decipher.setAAD(Buffer.from(webhookId));
        decipher.setAuthTag(bytes.subarray(ivBytes, ivBytes + tagBytes));
        const secret = [decipher.update(bytes.subarray(ivBytes + tagBytes)), decipher.final()];
        return Buffer.concat(secret).toString("utf8");
      } catch {
        throw unreadable();
      }
    },
  };
}

function unreadable(): KetlineError {
  return unavailable(
    "The webhook's secret was stored under another signing key than the one in use (KETLINE_SIGNING_KEY, or the file " +
      "signing-key in the data directory); set the secret again.",
  );
}
