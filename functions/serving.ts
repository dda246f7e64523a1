import { mount } from "./http.ts";

mount({
  "serving-deployments": "api/v1/deployments/{*rest}",
  "serving-inference": "v2/{*rest}",
  "serving-scoring": "serving/{*rest}",
});
