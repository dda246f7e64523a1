import { describe, expect, it } from "vitest";
import { parseCsv } from "../../../../models/serving/protocols/csv.ts";
import { readMlModel } from "../../../../models/serving/repository/mlmodel.ts";

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

  it.each([
    ["flow style", "{flavors: {onnx: {data: a.onnx}, python_function: {data: b.onnx}}}"],
    ["tabs and line ends of Windows", "flavors:\r\n  onnx:\t\r\n    data:\ta.onnx\r\n"],
    ["a mark of UTF-8 at its start", "\uFEFFflavors:\n  onnx:\n    data: a.onnx\n"],
    ["quoted keys and comments", "# c\n'flavors': # c\n  \"\\x6fnnx\": {data: 'a.onnx'} # c\n"],
    ["keys that are no text", "1: 2\n? [a, b]\n: c\nnull: d\nflavors:\n  1: x\n  onnx: {data: a.onnx}\n"],
    [
      "a block scalar",
      "note: |\n  flavors:\n    sklearn: {}\nflavors:\n  onnx:\n    data: >-\n      a.onnx\n",
    ],
    [
      "a list whose items have mappings",
      "list:\n- flavors:\n    sklearn: {}\nflavors: {onnx: {data: a.onnx}}\n",
    ],
    ["anchors and aliases", "x: &it\n  data: a.onnx\nflavors:\n  onnx: *it\n"],
    ["a document's marks", "%YAML 1.1\n---\nflavors: {onnx: {data: a.onnx}}\n...\n"],
    [
      "words that JavaScript owns",
      "__proto__: {flavors: x}\nconstructor: y\nflavors: {onnx: {data: a.onnx}}\n",
    ],
  ])("may have %s", (_, text) => {
    expect(readMlModel(text)).toMatchObject({ onnxData: "a.onnx", columns: null, params: [] });
  });

  it("keeps what looks like a number, a date or a truth value as text", () => {
    const data = (value: string) => readMlModel(`flavors: {onnx: {data: ${value}}}`).onnxData;
    expect(["1.0", "2020-01-01", "yes", "0x10", "'null'"].map(data)).toEqual([
      "1.0",
      "2020-01-01",
      "yes",
      "0x10",
      "null",
    ]);
    expect(["null", "~", "", "Null"].map(data)).toEqual(new Array(4).fill("model.onnx"));
  });

  it("takes a signature over several lines in each style of text", () => {
    const json = '[{"type": "double", "name": "it\'s, a: \\"#\\" b"}]';
    const quoted = `'${json.replaceAll("'", "''").replace(", ", ",\n    ")}'`;
    for (const value of [quoted, `>-\n    ${json}`, `|\n    ${json}`]) {
      const { columns } = readMlModel(`flavors: {onnx: {}}\nsignature:\n  inputs: ${value}\n`);
      expect(columns).toEqual([{ name: 'it\'s, a: "#" b', type: "double", required: true }]);
    }
  });

  it.each([
    ["a key twice", "flavors: {}\nflavors: {onnx: {}}\n", 'key "flavors" twice'],
    ["a key twice further in", "flavors:\n  onnx: {}\n  onnx: {data: x}\n", 'key "onnx": flavors twice'],
    ["tabs for its levels", "flavors:\n\tonnx:\n\t\tdata: x\n", "Tabs are not allowed"],
    ["two documents", "flavors: {}\n---\nflavors: {onnx: {}}\n", "multiple documents"],
    ["a list", "- flavors\n", "not a mapping"],
    ["a text for a mapping", "flavors: onnx\n", ": flavors is not a mapping"],
    ["a list for a text", "flavors: {onnx: {data: [a]}}\n", ": flavors.onnx.data is not text"],
    [
      "a signature that is no text",
      "flavors: {onnx: {}}\nsignature: {inputs: [{name: a}]}\n",
      ": signature.inputs is not text",
    ],
    ["an alias without its anchor", "flavors: *nowhere\n", "MLmodel"],
    [
      "an alias of itself",
      "flavors: &a {onnx: *a, b: [*a]}\nsignature: &b [*b]\n",
      "signature is not a mapping",
    ],
    ["100,000 levels of lists", `a: ${"[".repeat(90_000)}`, "nested too deep"],
    ["10,000 mappings in one line", `a: ${"{a: ".repeat(10_000)}`, "nested too deep"],
    ["more words than MLflow writes", "a:\n".repeat(60_000), "words and signs"],
    ["more characters than MLflow writes", `a: ${"x".repeat(5_000_000)}`, "characters"],
    [
      "aliases of aliases",
      `a0: &a0 [x]\n${Array.from({ length: 20_000 }, (_, i) => `a${i + 1}: &a${i + 1} [*a${i}]`).join("\n")}`,
      "words and signs",
    ],
  ])("is refused with %s", (_, text, message) => {
    expect(() => readMlModel(text)).toThrow(
      expect.objectContaining({
        kind: expect.stringMatching(/^(invalid|too_large)$/),
        message: expect.stringContaining(message),
      }),
    );
  });

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
    ["a,b,a\n1,2,3\n", 'the column "a" twice'],
    ["a,b\n1\n", "Row 1 of the CSV has 1 fields; its header has 2"],
  ])("is refused when it is %j", (text, message) => {
    expect(() => parseCsv(text)).toThrow(message);
  });

  it("with a long quoted field does not run out of stack", () => {
    expect(parseCsv(`a\n"${'""x'.repeat(1_000_000)}"\n`).rows[0]?.[0]).toHaveLength(2_000_000);
  });
});
