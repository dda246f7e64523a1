// A process of its own that sends traces and metrics where the standard variables say: one request that submits a job.
import { z } from "zod";
import { processConfig } from "../../../shared/config.ts";
import { json, route } from "../../../shared/http/index.ts";
import type { JobKind } from "../../../shared/jobs/index.ts";
import { createLogger, startTelemetry } from "../../../shared/telemetry/index.ts";
import { call, testGround } from "../../support/application.ts";

const config = processConfig({ KETLINE_LOG_LEVEL: "silent" });
const telemetry = await startTelemetry({ config, logger: createLogger(config) });
const fit: JobKind<{ n: number }> = {
  kind: "test.fit",
  spec: z.object({ n: z.number() }),
  role: "viewer",
  run: async () => null,
};
const ground = await testGround({
  observe: telemetry.observeRequest,
  events: telemetry.events,
  capabilities: ({ jobs }) => [
    {
      jobKinds: [fit],
      timers: [],
      routes: [
        route({
          method: "POST",
          path: "/api/v1/fits/:name",
          protocol: "ketline",
          tag: "Fits",
          role: "viewer",
          summary: "Fit",
          responses: { 202: { description: "The job", contentType: "application/json" } },
          handle: async ({ actor }) => json(await jobs.submit(fit, { n: 1 }, { actor }), 202),
        }),
      ],
    },
  ],
});
const parent = { traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" };
await call(ground.app, "POST", "/api/v1/fits/a", undefined, parent);
await ground.runner.drain();
const [entry] = ground.logged.filter((line) => line.msg === "request");
process.stdout.write(JSON.stringify(entry));
await ground.close();
await telemetry.close();
