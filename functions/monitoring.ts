import { mount } from "./host/http.ts";

mount({
  "monitoring-alert-subscriptions": "api/v1/alert-subscriptions/{*rest}",
  "monitoring-alerts": "api/v1/alerts/{*rest}",
  "monitoring-labels": "api/v1/labels/{*rest}",
  "monitoring-rollbacks": "api/v1/rollbacks/{*rest}",
  "monitoring-monitors": "api/v1/monitors/{*rest}",
});
