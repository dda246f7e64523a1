import { describe, expect, it } from "vitest";
import { tensorsFromFrame } from "../../../../models/serving/protocols/frame.ts";
import type { ModelDescription } from "../../../../models/serving/repository/model.ts";

describe("a table with a missing text", () => {
  const modelOf = (metadata: ModelDescription["metadata"]): ModelDescription => ({
    signature: {
      inputs: [
        { name: "city", datatype: "BYTES", shape: [-1, 1], dimensionNames: ["N", ""] },
        { name: "x", datatype: "FP32", shape: [-1, 1], dimensionNames: ["N", ""] },
      ],
      outputs: [],
    },
    classLabels: {},
    columns: null,
    params: [],
    metadata,
    nodeCount: 1,
    fileBytes: 1,
    inlineCost: null,
    rowWise: true,
    servedFile: "/model.onnx",
    hints: { unranked: [], defaults: {}, unserved: [] },
  });
  const frame = { columns: ["city", "x"], rows: [[null, 1]] };

  it("feeds it to a model that was trained here as the category that it was in training", () => {
    const { city } = tensorsFromFrame(frame, modelOf({ "ketline.recipe": "{}" }));
    expect(city?.data).toEqual([""]);
  });

  it("is refused for other models, which do not say what a missing text is", () => {
    expect(() => tensorsFromFrame(frame, modelOf({}))).toThrow(/"city" is null; the model takes text/);
  });
});
