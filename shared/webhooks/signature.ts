import { createHmac } from "node:crypto";

/**
 * `v1,` and the HMAC-SHA256 over `id.timestamp.payload` in Base64, as Standard Webhooks (1.0) makes it.
 *
 * @param secret the key's bytes, or a text of which they are the UTF-8
 */
export function hmacSignature(
  secret: string | Buffer,
  deliveryId: string,
  timestamp: string,
  payload: string,
): string {
  const mac = createHmac("sha256", secret).update(`${deliveryId}.${timestamp}.${payload}`, "utf8");
  return `v1,${mac.digest("base64")}`;
}
