import { app } from "@azure/functions";
import { mount } from "./host/http.ts";

mount({
  "system-audit": "api/v1/audit/{*rest}",
  "system-blobs": "blobs/{*rest}",
  "system-docs": "docs/{*rest}",
  "system-health": "health",
  "system-jobs": "api/v1/jobs/{*rest}",
  "system-openapi": "openapi.json",
  // An empty template would mean the function's name; AzureWebJobsDisableHomepage lets this one answer.
  "system-root": "{root:maxlength(0)?}",
  "system-tokens": "api/v1/tokens/{*rest}",
  "system-version": "version",
});

/** Called on an instance before it gets its first request: opens the database and its connections. */
app.warmup("system-warmup", {
  handler: async () => {
    const { platform } = await import("./platform.ts");
    await platform();
  },
});
