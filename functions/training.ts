import { mount } from "./http.ts";

mount({
  "training-jobs": "api/v1/training/{*rest}",
  "training-schedules": "api/v1/schedules/{*rest}",
});
