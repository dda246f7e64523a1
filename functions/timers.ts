import { app } from "@azure/functions";
import { flushCoalesced } from "./host/flush.ts";

/**
 * The timers of all capabilities. The host wants to know them before any code of theirs has run, so they stand here as
 * literals; test/functions compares them with those of the platform. Left out are those that write what this instance
 * has buffered (`monitoring-flush`, `serving-ledger`): the host runs timers on instances of their own, and each
 * invocation flushes before it ends.
 */
const schedules: Readonly<Record<string, string>> = {
  "audit-retention": "0 37 3 * * *",
  "blobs-sweep": "0 40 3 * * *",
  "tracking-uploads": "0 25 * * * *",
  "datasets-garbage": "0 53 * * * *",
  "datasets-orphans": "0 47 3 * * *",
  "datasets-uploads-sweep": "0 23 * * * *",
  "jobs-retention": "0 33 3 * * *",
  "jobs-sweep": "0 * * * * *",
  "monitoring-alerts-prune": "0 31 3 * * *",
  "monitoring-alerts-send": "*/10 * * * * *",
  "monitoring-evaluate": "0 7 * * * *",
  "monitoring-retention": "0 51 * * * *",
  "monitoring-watch": "*/10 * * * * *",
  "quantum-follow": "*/30 * * * * *",
  "quantum-sweep": "15 * * * * *",
  "registry-webhooks-prune": "0 29 3 * * *",
  "registry-webhooks-send": "*/15 * * * * *",
  "serving-batch-sweep": "0 43 3 * * *",
  "serving-rollouts": "*/30 * * * * *",
  "serving-tidy": "0 17 * * * *",
  "training-schedules": "*/10 * * * * *",
  "transfer-credentials": "30 * * * * *",
};

for (const [name, schedule] of Object.entries(schedules)) {
  app.timer(name, {
    schedule,
    handler: async () => {
      const { platform } = await import("./platform.ts");
      const ketline = await platform();
      const timer = ketline.timers.find((candidate) => candidate.name === name);
      if (timer === undefined) throw new Error(`The platform has no timer named "${name}".`);
      await timer.run();
      await flushCoalesced(ketline);
    },
  });
}
