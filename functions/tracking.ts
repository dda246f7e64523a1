import { mount, mountMlflow } from "./host/http.ts";

mountMlflow("tracking", [
  "artifacts",
  "experiments",
  "get-online-trace-details",
  "logged-models",
  "metrics",
  "runs",
  "traces",
  "unified-traces",
  "upload-artifact",
]);
mount({
  "tracking-artifact-proxy": "api/2.0/mlflow-artifacts/{*rest}",
  "tracking-artifact-proxy-ajax": "ajax-api/2.0/mlflow-artifacts/{*rest}",
  "tracking-garbage": "api/v1/tracking/{*rest}",
  "tracking-get-artifact": "get-artifact",
  "tracking-version-3": "api/3.0/mlflow/{*rest}",
  "tracking-version-3-ajax": "ajax-api/3.0/mlflow/{*rest}",
});
