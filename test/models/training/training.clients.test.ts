import { afterAll, describe, expect, it } from "vitest";
import { openGraph } from "../../../models/training/evaluation/scoring.ts";
import { recipeInside } from "../../../models/training/export/model-graph.ts";
import { flightsBytes } from "../../support/flights.ts";
import { lateFlights } from "../../support/late-flights.ts";
import { listen } from "../../support/mlflow.ts";
import { mlflow2PythonPath, pythonPath, runPython } from "../../support/python.ts";
import { type TrainingGround, trainingGround } from "../../support/training.ts";

describe.each([
  { version: 3, python: pythonPath() },
  { version: 2, python: mlflow2PythonPath() },
])("the stock Python client of MLflow $version", ({ python }) => {
  if (python === undefined) return it.skip("is not installed", () => undefined);
  let ground: TrainingGround | undefined;
  afterAll(() => ground?.close());

  it("loads the champion by its alias and predicts what the graph does here", async () => {
    ground = await trainingGround();
    await ground.addDataset("flights", "parquet", await flightsBytes({ share: 0.01, format: "parquet" }));
    await ground.train({ ...lateFlights, registeredModel: "late-flights" });
    const server = await listen(ground);
    const uri = "models:/late-flights@champion";
    const run = await runPython(python, "training_scenario.py", [server.url, uri]);
    await server.close();
    expect(run.exitCode, run.stderr).toBe(0);
    const found = JSON.parse(run.stdout.trim().split("\n").at(-1) ?? "");

    const prefix = await ground.registry.artifactPrefix("late-flights", 1);
    const content = await ground.blobs.get(`${prefix}/model.onnx`);
    const bytes = new Uint8Array(await new Response(content?.stream).arrayBuffer());
    const recipe = recipeInside(bytes);
    if (recipe === null) throw new Error("The model says nothing about itself.");
    const graph = await openGraph(bytes, recipe);
    const inputs = new Map<string, Float32Array | string[]>([
      ["distance", Float32Array.of(500, 2000, Number.NaN)],
      ["origin", ["ORD", "", "nowhere"]],
      ["destination", ["SFO", "SFO", ""]],
      ["hour", Float32Array.of(18, 5, 12)],
      ["dayOfWeek", Float32Array.of(5, 1, 7)],
    ]);
    const expected = Array.from(await graph.predict(inputs, 3));
    await graph.close();
    for (const [row, [negative, positive]] of found.probabilities.entries()) {
      expect(positive).toBeCloseTo(expected[row] ?? Number.NaN, 6);
      expect(negative + positive).toBeCloseTo(1, 6);
    }
    expect(found.labels).toEqual(expected.map((probability) => (probability >= 0.5 ? 1 : 0)));
    expect(found.inputs).toEqual(["distance", "origin", "destination", "hour", "dayOfWeek"]);
    expect(found.example).toEqual([3, ["dayOfWeek", "destination", "distance", "hour", "origin"]]);
  });
});
