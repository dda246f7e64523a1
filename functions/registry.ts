import { mount, mountMlflow } from "./host/http.ts";

mountMlflow("registry", ["model-versions", "registered-models", "webhooks"]);
mount({
  "registry-get-artifact": "model-versions/get-artifact",
  "registry-history": "api/v1/registry/{*rest}",
  "registry-webhook-deliveries": "api/v1/webhooks/{*rest}",
});
