import { hmacSignature } from "../../../../shared/webhooks/index.ts";

/** MLflow's headers (mlflow/webhooks/constants.py), made as Standard Webhooks makes its own. */
const deliveryIdHeader = "X-MLflow-Delivery-Id";
const timestampHeader = "X-MLflow-Timestamp";
const signatureHeader = "X-MLflow-Signature";

/**
 * The headers of one try.
 *
 * @param deliveryId the same at every try, so that a receiver can tell what it has seen
 * @param nowMs of this try: a receiver may refuse what is signed long ago
 * @param secret without one the request is not signed
 */
export function deliveryHeaders(
  deliveryId: string,
  nowMs: number,
  payload: string,
  secret: string | null,
): Record<string, string> {
  const timestamp = String(Math.floor(nowMs / 1000));
  return {
    [deliveryIdHeader]: deliveryId,
    [timestampHeader]: timestamp,
    ...(secret === null ? {} : { [signatureHeader]: hmacSignature(secret, deliveryId, timestamp, payload) }),
  };
}
