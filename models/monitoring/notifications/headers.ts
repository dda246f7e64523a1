import { hmacSignature } from "../../../shared/webhooks/index.ts";
import { contentTypes } from "./payloads.ts";

const decodedPrefix = "whsec_";

/**
 * The headers of one try. CloudEvents carry those of Standard Webhooks 1.0, whose libraries check them; a topic of Event
 * Grid takes its access key.
 *
 * @param payload says by its form which of them it is
 * @param secret in clear; without one the request is not signed
 */
export function requestHeaders(
  deliveryId: string,
  nowMs: number,
  payload: string,
  secret: string | null,
): Record<string, string> {
  if (payload.startsWith("[")) {
    return {
      "Content-Type": contentTypes["event-grid"],
      "aeg-event-type": "Notification",
      ...(secret === null ? {} : { "aeg-sas-key": secret }),
    };
  }
  const timestamp = String(Math.floor(nowMs / 1000));
  return {
    "Content-Type": contentTypes.cloudevents,
    "webhook-id": deliveryId,
    "webhook-timestamp": timestamp,
    ...(secret === null
      ? {}
      : { "webhook-signature": hmacSignature(keyOf(secret), deliveryId, timestamp, payload) }),
  };
}

function keyOf(secret: string): string | Buffer {
  return secret.startsWith(decodedPrefix)
    ? Buffer.from(secret.slice(decodedPrefix.length), "base64")
    : secret;
}
