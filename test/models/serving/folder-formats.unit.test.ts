import { describe, expect, it } from "vitest";
import { readMlModel } from "../../../models/serving/mlmodel.ts";
import { parseCsv } from "../../../models/serving/protocols/csv.ts";

describe("an MLmodel file", () => {
  it("is read as PyYAML folds it, in either kind of quotes", () => {
    const text = [
      "flavors:",
      "  onnx:",
      "    data: model.onnx",
      "    providers:",
      "    - CPUExecutionProvider",
      "  python_function:",
      "    data: other.onnx",
      "signature:",
      '  inputs: "[{\\"type\\": \\"string\\", \\"name\\": \\"gr\\xF6\\xDFe\\", \\"required\\": false}, {\\"type\\"\\',
      '    : \\"long\\", \\"name\\": \\"b\\"}]"',
      "  params: null",
      "metadata:",
      "  onnx: misleading",
    ].join("\n");
    expect(readMlModel(text)).toEqual({
      flavors: ["onnx", "python_function"],
      onnxData: "model.onnx",
      columns: [
        { name: "größe", type: "string", required: false },
        { name: "b", type: "long", required: true },
      ],
      params: [],
    });
  });

  it("may be JSON, and may have no signature by columns", () => {
    const tensors = JSON.stringify([{ type: "tensor", "tensor-spec": { dtype: "float32", shape: [-1, 3] } }]);
    expect(readMlModel(JSON.stringify({ flavors: { onnx: {} }, signature: { inputs: tensors } }))).toEqual({
      flavors: ["onnx"],
      onnxData: "model.onnx",
      columns: null,
      params: [],
    });
  });

  it.each(["{", "flavors:\n  onnx:\n    data: m\nsignature:\n  inputs: 'no json'\n"])(
    "is refused when it is %j",
    (text) => {
      expect(() => readMlModel(text)).toThrow(/MLmodel/);
    },
  );

  it("without the flavour onnx has no ONNX data", () => {
    expect(readMlModel("flavors:\n  sklearn:\n    data: x\n").onnxData).toBeNull();
  });
});

describe("CSV", () => {
  it("has quotes, doubled quotes, commas and line ends in fields", () => {
    expect(parseCsv('\uFEFFa,"b ""c"""\r\n"1,2","x\ny"\n3,\n')).toEqual({
      columns: ["a", 'b "c"'],
      rows: [
        ["1,2", "x\ny"],
        ["3", ""],
      ],
    });
  });

  it.each([
    ["", "no header"],
    ['a\n"1', "not closed"],
    ["a,b\n1\n", "Row 1 of the CSV has 1 fields; its header has 2"],
  ])("is refused when it is %j", (text, message) => {
    expect(() => parseCsv(text)).toThrow(message);
  });

  it("with a long quoted field does not run out of stack", () => {
    expect(parseCsv(`a\n"${'""x'.repeat(1_000_000)}"\n`).rows[0]?.[0]).toHaveLength(2_000_000);
  });
});
