import { createPlatform } from "../../../../platform.ts";
import { loadConfig } from "../../../../shared/config.ts";

// Makes a webhook and a model, and is killed by the parent while the receiver lets it wait.
const [directory = "", url = ""] = process.argv.slice(2);
const platform = await createPlatform(
  loadConfig({ KETLINE_DATA: directory, KETLINE_WEBHOOK_ALLOW_PRIVATE: "true", KETLINE_LOG_LEVEL: "silent" }),
);
const post = async (path: string, body: object): Promise<void> => {
  const answer = await platform.app.request(`/api/2.0/mlflow${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  if (answer.status !== 200) throw new Error(await answer.text());
};
await post("/webhooks", { name: "w", url, events: [{ entity: "REGISTERED_MODEL", action: "CREATED" }] });
await post("/registered-models/create", { name: "m" });
// Holds the process up, as a server's listener would.
setInterval(() => {}, 60_000);
