import { mount } from "./http.ts";

mount({
  "serving-batches": "api/v1/batch-predictions/{*rest}",
  "serving-deployments": "api/v1/deployments/{*rest}",
  "serving-inference": "v2/{*rest}",
  "serving-scoring": "serving/{*rest}",
});
