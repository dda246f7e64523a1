import type { InferenceSession, Tensor } from "onnxruntime-node";
import type { HoldoutBatch } from "../data/holdout-rows.ts";
import type { FeatureRecipe, Recipe } from "../data/recipe.ts";

/** A graph of ours that is ready to predict. */
export interface GraphScorer {
  /** The probability of a 1, or the value, for each row. */
  predict(inputs: HoldoutBatch["inputs"], rows: number): Promise<Float32Array>;
  close(): Promise<void>;
}

/**
 * Opens a graph made by `modelGraph` in ONNX Runtime, on one thread. Only in workers that are not ended from outside:
 * ending a thread inside ONNX Runtime aborts the whole process.
 */
export async function openGraph(bytes: Uint8Array, recipe: Recipe): Promise<GraphScorer> {
  const ort = await import("onnxruntime-node");
  const session: InferenceSession = await ort.InferenceSession.create(bytes, {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
  });
  const tensorOf = ({ name, input }: FeatureRecipe, inputs: HoldoutBatch["inputs"], rows: number): Tensor => {
    const values = inputs.get(name);
    if (values === undefined) throw new Error(`The graph's input "${name}" was not read.`);
    return input === "text"
      ? new ort.Tensor("string", values as string[], [rows, 1])
      : new ort.Tensor("float32", values as Float32Array, [rows, 1]);
  };
  return {
    async predict(inputs, rows) {
      const feeds = Object.fromEntries(
        recipe.features.map((feature) => [feature.name, tensorOf(feature, inputs, rows)]),
      );
      const output = recipe.task === "binary" ? "probabilities" : "prediction";
      const { [output]: found } = await session.run(feeds, [output]);
      const values = found?.data as Float32Array;
      // Of the two probabilities of a row the second is that of a 1.
      return recipe.task === "binary" ? values.filter((_, index) => index % 2 === 1) : values;
    },
    close: () => session.release(),
  };
}
