import { readFile } from "node:fs/promises";
import path from "node:path";
import type { GroundClient } from "./ground.ts";

const examples = path.resolve(import.meta.dirname, "../../../examples/quantum");

/** Programs that are checked, drawn, compiled and estimated, and jobs on both planes. */
export async function runPrograms({ send, job, named }: GroundClient): Promise<void> {
  const [bell, rotation] = await Promise.all(
    ["bell.qs", "rotation.qasm"].map((file) => readFile(path.join(examples, file), "utf8")),
  );
  const program = { language: "qsharp", source: bell };
  const turn = { language: "openqasm", source: rotation, arguments: { theta: 0.5 } };
  for (const body of [program, turn]) {
    await send("POST", "/api/v1/quantum/check", body);
    await send("POST", "/api/v1/quantum/circuits", body).catch(() => {});
    await send("POST", "/api/v1/quantum/qir", { ...body, profile: "base" }).catch(() => {});
    await send("POST", "/api/v1/quantum/estimates", { ...body, parameters: [{ errorBudget: 0.01 }] }).catch(
      () => {},
    );
  }
  await job("/api/v1/quantum/jobs", {
    name: "bell",
    ...program,
    shots: 20,
    expected: { uniform: ["00", "11"] },
  });
  const plane = `/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/lab/providers/Microsoft.Quantum/Workspaces/${named("bench")}`;
  const sas = (await send("POST", `${plane}/storage/sasUri`, { containerName: "job-1" })).body.sasUri;
  const [address, query] = String(sas).split("?");
  await send(
    "PUT",
    `${address}/inputData?${query}`,
    rotation?.replace("input float theta;", "float theta = 0.5;") ?? "",
    { "x-ms-blob-type": "BlockBlob" },
  );
  await send("PUT", `${plane}/sessions/s1`, {
    name: "s",
    target: "ketline.simulator",
    providerId: "ketline",
  }).catch(() => {});
  await send("PUT", `${plane}/jobs/j1`, {
    name: "j",
    itemType: "Job",
    providerId: "ketline",
    target: "ketline.simulator",
    containerUri: sas,
    inputDataUri: `${address}/inputData`,
    inputDataFormat: "qasm.v3",
    outputDataFormat: "microsoft.quantum-results.v2",
    inputParams: { shots: 20 },
  });
  for (const rest of [
    "jobs",
    "jobs/j1",
    "providerStatus",
    "quotas",
    "sessions",
    "topLevelItems?$filter=Name eq 'j'&$orderby=CreationTime desc&$top=1",
  ]) {
    await send("GET", `${plane}/${rest}`).catch(() => {});
  }
}
