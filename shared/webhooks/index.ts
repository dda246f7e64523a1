export { createDeliverer, type Deliverer } from "./deliverer.ts";
export {
  createDeliveryStore,
  type Delivery,
  type DeliveryStore,
  deliveryStates,
  newDelivery,
} from "./delivery-store.ts";
export { complaintOf, isSuccess, triesPerDelivery } from "./retries.ts";
export { createSecretBox, type SecretBox } from "./secrets.ts";
export { type Resolve, refusalOf, type SendingOptions, send } from "./sending.ts";
export { hmacSignature } from "./signature.ts";
