import { mount } from "./host/http.ts";

mount({
  "serving-batches": "api/v1/batch-predictions/{*rest}",
  "serving-deployments": "api/v1/deployments/{*rest}",
  "serving-inference": "v2/{*rest}",
  "serving-root-invocations": "invocations",
  "serving-root-ping": "ping",
  "serving-scoring": "serving/{*rest}",
});
