import { mount } from "./host/http.ts";

mount({
  "quantum-jobs": "api/v1/quantum/{*rest}",
  "quantum-workspace": "subscriptions/{*rest}",
});
