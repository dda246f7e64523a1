import type { GroundClient } from "./ground.ts";

/** Data sets, a training on one, a monitor and batch predictions. */
export async function makeData({ send, job, named, settled }: GroundClient): Promise<void> {
  const dataset = named("table");
  const rows = Array.from({ length: 300 }, (_, row) => {
    const day = new Date(Date.UTC(2001, 0, 1 + Math.floor(row / 5))).toISOString().slice(0, 10);
    return [day, row % 7, (row * 37) % 11, ["x", "y", "z"][row % 3], (row * 13) % 29, row % 2].join(",");
  });
  const csv = `day,a,b,constructor,target,__proto__\n${rows.join("\n")}\n`;
  const uploaded = await send("POST", `/api/v1/datasets/${dataset}/versions?format=csv`, csv, {
    "content-type": "text/csv",
  });
  const lines = rows
    .slice(0, 40)
    .map((_, row) => JSON.stringify({ a: row, b: { c: [row] }, constructor: "x" }));
  await send("POST", `/api/v1/datasets/${named("lines")}/versions?format=jsonl`, lines.join("\n")).catch(
    () => {},
  );
  await settled(uploaded);
  const { body } = await send("GET", `/api/v1/datasets/${dataset}/versions/latest`);
  const version = String(body.version);
  await send("PUT", `/api/v1/datasets/${dataset}`, { description: "d", expectations: [] }).catch(() => {});
  await send("GET", `/api/v1/datasets/${dataset}/versions/${version}/content`);
  const upload = await send("POST", `/api/v1/datasets/${dataset}/uploads`, { format: "csv" }).catch(
    () => undefined,
  );
  if (upload !== undefined) {
    const { id, url: target } = upload.body;
    await send("PUT", String(target), csv, { "x-ms-blob-type": "BlockBlob" }).catch(() => {});
    await send("POST", `/api/v1/datasets/${dataset}/uploads/${id}/complete`, {}).catch(() => {});
  }
  const split = {
    timeColumn: "day",
    train: { from: "2001-01-01", to: "2001-02-10" },
    holdout: { from: "2001-02-10", to: "2001-03-10" },
  };
  await job("/api/v1/training", {
    dataset,
    version,
    task: "binary",
    target: { column: "target", greaterThan: 14 },
    derive: [{ name: "weekday", from: "day", part: "dayOfWeek" }],
    features: [{ column: "a" }, { column: "constructor" }, { column: "weekday", kind: "categorical" }],
    split,
    slices: ["constructor"],
    registeredModel: named("trained"),
  });
  const monitor = named("watch");
  await send("PUT", `/api/v1/monitors/${monitor}`, {
    target: { deployment: named("shop") },
    reference: {
      kind: "dataset",
      dataset,
      version,
      timeColumn: "day",
      fromMs: Date.UTC(2001, 0, 1),
      toMs: Date.UTC(2001, 1, 1),
    },
    columns: ["a", "b"],
    enabled: false,
    reason: "fuzz",
  });
  const window = {
    dataset,
    version,
    timeColumn: "day",
    fromMs: Date.UTC(2001, 1, 1),
    toMs: Date.UTC(2001, 2, 1),
  };
  await job(`/api/v1/monitors/${monitor}/evaluate`, { window }).catch(() => {});
  await send("GET", `/api/v1/monitors/${monitor}/results?limit=2`);
  await send("POST", "/api/v1/labels", { labels: [{ requestId: "1", value: 1 }] }).catch(() => {});
  await job("/api/v1/batch-predictions", {
    input: { dataset, version },
    target: { model: named("linear"), version: "1" },
    output: { dataset: named("scored") },
  }).catch(() => {});
}
