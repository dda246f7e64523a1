// Submits jobs of every kind that has a row of its own, as fast as it can, until it is killed. No worker runs them.
// Arguments: where to begin counting; `prepare` makes what the jobs refer to and ends. Configuration: the environment.
import { writeSync } from "node:fs";
import { createPlatform } from "../../../platform.ts";
import { loadConfig } from "../../../shared/config.ts";
import { encodeModel } from "../../../shared/onnx/index.ts";
import { linearModel } from "../../models/serving/models.ts";

const [from = "0"] = process.argv.slice(2);
const platform = await createPlatform(loadConfig(process.env));
const plane =
  "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/local/providers/Microsoft.Quantum/workspaces/local";

async function ask(method: string, path: string, body: unknown): Promise<Record<string, unknown>> {
  const isBytes = body instanceof Uint8Array;
  const answer = await platform.app.fetch(
    new Request(`http://localhost${path}`, {
      method,
      headers: { "content-type": isBytes ? "application/octet-stream" : "application/json" },
      body: isBytes ? new Uint8Array(body) : JSON.stringify(body),
    }),
  );
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path} answered ${answer.status}: ${text}`);
  return text === "" ? {} : JSON.parse(text);
}

async function prepare(): Promise<void> {
  const rows = Array.from({ length: 40 }, (_, n) => `${n},${n % 7},${n % 2}`);
  const content = new TextEncoder().encode(`a,b,y\n${rows.join("\n")}\n`);
  await ask("POST", "/api/v1/datasets/rows/versions?format=csv", content);
  await platform.runner.drain();
  const file = "/api/2.0/mlflow-artifacts/artifacts/0/models/model.onnx";
  await ask("PUT", file, encodeModel(linearModel([2, 3], 1)));
  await ask("POST", "/api/2.0/mlflow/registered-models/create", { name: "linear" });
  const source = "mlflow-artifacts:/0/models";
  await ask("POST", "/api/2.0/mlflow/model-versions/create", { name: "linear", source });
}

const training = {
  dataset: "rows",
  task: "binary",
  target: { column: "y", greaterThan: 0 },
  features: [{ column: "a" }],
  split: { holdoutFraction: 0.5, seed: 1 },
};

/** The number of a submission tells its kind. @returns the id that was acknowledged */
async function submit(n: number): Promise<string> {
  switch (n % 6) {
    case 0:
      return String((await ask("POST", "/api/v1/training", training)).id);
    case 1:
      // The same key by two clients: one job, one row.
      return String((await ask("POST", `/api/v1/training?idempotencyKey=pair-${n >> 4}`, training)).id);
    case 2: {
      const body = {
        input: { dataset: "rows" },
        target: { model: "linear", version: 1 },
        output: { dataset: `scored-${n}` },
      };
      return String((await ask("POST", "/api/v1/batch-predictions", body)).id);
    }
    case 3: {
      const source = 'OPENQASM 3.0; include "stdgates.inc"; qubit q; bit c; h q; c = measure q;';
      const body = { language: "openqasm", source, shots: 10 };
      return String((await ask("POST", "/api/v1/quantum/jobs", body)).id);
    }
    case 4: {
      const server = { url: `http://127.0.0.1:1/${n}`, token: "secret" };
      const started = await ask("POST", "/api/v1/transfers", { direction: "import", server });
      return String((started.job as { id: string }).id);
    }
    default: {
      const containerUri = `http://localhost/blobs/${await storage(n)}`;
      await ask("PUT", `${plane}/jobs/item-${n}?api-version=2025-12-01-preview`, {
        itemType: "Job",
        providerId: "ketline",
        target: "ketline.simulator",
        containerUri,
        inputDataFormat: "qasm.v3",
        outputDataFormat: "microsoft.quantum-results.v2",
      });
      return `item-${n}`;
    }
  }
}

async function storage(n: number): Promise<string> {
  const given = await ask("POST", `${plane}/storage/sasUri?api-version=2025-12-01-preview`, {
    containerName: `job-${n}`,
  });
  return new URL(String(given.sasUri)).pathname.replace(/^\/blobs\//, "");
}

if (from === "prepare") {
  await prepare();
  await platform.close();
} else {
  let n = Number(from);
  const writers = Array.from({ length: 8 }, async () => {
    for (;;) {
      const mine = n++;
      // Synchronously, so that nothing acknowledged is lost on the way to who reads it.
      writeSync(1, `${mine} ${await submit(mine)}\n`);
    }
  });
  await Promise.all(writers);
}
