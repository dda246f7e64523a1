import { encodeModel } from "../../../shared/onnx/index.ts";
import { identityModel, linearModel } from "../../models/serving/models.ts";
import type { GroundClient } from "./ground.ts";

/** Registered models with versions and aliases, a deployment with revisions, and predictions of each protocol. */
export async function makeModels({ send, mlflow, named }: GroundClient): Promise<void> {
  for (const [name, model] of [
    [named("linear"), linearModel([1, 2], 1)],
    [named("texts"), identityModel("string")],
  ] as const) {
    await mlflow("registered-models/create", { name, description: "d", tags: [{ key: "a", value: "b" }] });
    for (const version of ["1", "2"]) {
      const folder = `0/fuzz/${name}/${version}`;
      await send(
        "PUT",
        `/api/2.0/mlflow-artifacts/artifacts/${folder}/model.onnx`,
        Buffer.from(encodeModel(model)),
      );
      const source = `mlflow-artifacts:/${folder}`;
      await mlflow("model-versions/create", {
        name,
        source,
        description: "d",
        tags: [{ key: "a", value: "b" }],
      });
    }
    await mlflow("registered-models/alias", { name, alias: "champion", version: "1" });
  }
  const name = named("linear");
  await mlflow("registered-models/update", { name, description: "x" }, "PATCH");
  await mlflow("registered-models/set-tag", { name, key: "t", value: "v" });
  await mlflow("model-versions/set-tag", { name, version: "1", key: "t", value: "v" });
  await mlflow("model-versions/update", { name, version: "1", description: "x" }, "PATCH");
  await mlflow("model-versions/transition-stage", {
    name,
    version: "2",
    stage: "Staging",
    archive_existing_versions: true,
  });
  await mlflow("webhooks", {
    name: named("hook"),
    url: "http://127.0.0.1:9/hook",
    events: [{ entity: "REGISTERED_MODEL", action: "CREATED" }],
  }).catch(() => {});
  const variants = [
    { name: "old", model: name, version: "1", weight: 50 },
    { name: "new", model: name, alias: "champion", weight: 50 },
  ];
  const spec = { variants, sticky: { by: "header", name: "x-customer" }, reason: "fuzz" };
  const deployment = named("shop");
  await send("PUT", `/api/v1/deployments/${deployment}`, spec);
  await send(
    "PATCH",
    `/api/v1/deployments/${deployment}`,
    { variants: variants.slice(0, 1).map((one) => ({ ...one, weight: 100 })) },
    { "if-match": '"1"' },
  );
  await send("POST", `/api/v1/deployments/${deployment}/rollback`, { toRevision: 1, reason: "back" });
  const input = { name: "X", shape: [2, 2], datatype: "FP32", data: [1, 2, 3, 4] };
  for (const model of [name, deployment]) {
    await send("POST", `/v2/models/${model}/infer`, { id: "1", inputs: [input], outputs: [{ name: "Y" }] });
    const head = JSON.stringify({
      inputs: [{ ...input, data: undefined, parameters: { binary_data_size: 16 } }],
      outputs: [{ name: "Y", parameters: { binary_data: true } }],
    });
    await send(
      "POST",
      `/v2/models/${model}/infer`,
      Buffer.concat([Buffer.from(head), Buffer.from(new Float32Array([1, 2, 3, 4]).buffer)]),
      {
        "content-type": "application/octet-stream",
        "inference-header-content-length": String(head.length),
      },
    );
  }
  const words = { name: "X", shape: [1, 2], datatype: "BYTES", data: ["a", "é"] };
  await send("POST", `/v2/models/${named("texts")}/infer`, { inputs: [words] }).catch(() => {});
  const frame = {
    columns: ["a", "b"],
    data: [
      [1, 2],
      [3, 4],
    ],
  };
  const scoring = `/serving/${deployment}/invocations`;
  await send("POST", scoring, { dataframe_split: frame, params: {} });
  await send("POST", scoring, { dataframe_records: [{ a: 1, b: 2 }] });
  await send("POST", scoring, { inputs: [[1, 2]] });
  await send("POST", scoring, "a,b\n1,2\n3,4\n", { "content-type": "text/csv" });
  await send("POST", "/v2/repository/index", { ready: true });
  await send("GET", `/api/v1/deployments/${deployment}/comparison`).catch(() => {});
}
