import { mount } from "./http.ts";

mount({
  "quantum-jobs": "api/v1/quantum/{*rest}",
  "quantum-workspace": "subscriptions/{*rest}",
});
