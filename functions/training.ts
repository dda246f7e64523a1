import { mount } from "./host/http.ts";

mount({
  "training-jobs": "api/v1/training/{*rest}",
  "training-schedule-routes": "api/v1/schedules/{*rest}",
});
