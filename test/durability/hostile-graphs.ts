import {
  type AttributeValue,
  buildModel,
  type ElementType,
  encodeModel,
  type ModelProto,
  mlDomain,
  node,
  tensor,
  tensorInfo,
} from "../../shared/onnx/index.ts";
import { TensorProto_DataLocation } from "../../shared/onnx/schema/onnx_pb.js";

/* Models that were built to harm whoever runs them, and the requests that make them do it. */

export interface HostileModel {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Asked first, a few times: many are quick until they are trusted. */
  readonly harmless: HostileInput;
  readonly harmful: HostileInput;
}

export interface HostileInput {
  readonly datatype: string;
  readonly shape: readonly number[];
  readonly data: readonly (number | string)[];
}

type Dims = readonly (number | string)[];
type Nodes = Parameters<typeof buildModel>[0]["nodes"];

interface Parts {
  readonly x?: readonly [ElementType, Dims];
  readonly y?: readonly [ElementType, Dims];
  readonly constants?: Parameters<typeof buildModel>[0]["initializers"];
}

function graph(
  nodes: Nodes,
  { x = ["float32", ["N"]], y = ["float32", ["M"]], constants = [] }: Parts = {},
): ModelProto {
  return buildModel({
    name: "hostile",
    producerVersion: "test",
    inputs: [tensorInfo("X", ...x)],
    outputs: [tensorInfo("Y", ...y)],
    nodes,
    initializers: constants,
  });
}

function withOpset(version: number, model: ModelProto): ModelProto {
  for (const opset of model.opsetImport) if (opset.domain === "") opset.version = BigInt(version);
  return model;
}

/** The node with graphs as attributes. */
function withGraphs(step: Nodes[number], graphs: Readonly<Record<string, ModelProto>>): Nodes[number] {
  const attributes = Object.entries(graphs).map(([name, { graph: inner }]) => {
    const [attribute] = node("", [], [], { [name]: { int: 0 } }).attribute;
    if (attribute === undefined || inner === undefined) throw new Error("it has a graph");
    // Nothing but the graph may be set.
    const { i: _, ...rest } = attribute;
    return { ...rest, type: 5, g: inner } as typeof attribute;
  });
  return { ...step, attribute: [...step.attribute, ...attributes] };
}

function body(
  nodes: Nodes,
  outputs: readonly (readonly [string, ElementType, Dims])[],
  inputs: readonly (readonly [string, ElementType, Dims])[] = [],
): ModelProto {
  return buildModel({
    name: "body",
    producerVersion: "test",
    inputs: inputs.map((input) => tensorInfo(...input)),
    outputs: outputs.map((output) => tensorInfo(...output)),
    nodes,
    initializers: [],
  });
}

const integers = (name: string, ...values: readonly number[]) =>
  tensor(name, BigInt64Array.from(values, BigInt));
const float = (value: number, ...more: readonly number[]): HostileInput => ({
  datatype: "FP32",
  shape: [1 + more.length],
  data: [value, ...more],
});
const whole = (...values: readonly (number | string)[]): HostileInput => ({
  datatype: "INT64",
  shape: [values.length],
  data: values,
});
const wholeX = { x: ["int64", ["N"]] } as const;

/** A model that runs as often as its input says, or for ever. */
function loop(times: "input" | "ever"): ModelProto {
  const step = body(
    [node("Identity", ["go"], ["on"]), node("Add", ["sum", "sum"], ["next"])],
    [
      ["on", "bool", []],
      ["next", "float32", ["N"]],
    ],
    [
      ["i", "int64", []],
      ["go", "bool", []],
      ["sum", "float32", ["N"]],
    ],
  );
  const limit = times === "ever" ? "" : "count";
  return graph(
    [
      node("ReduceMax", ["X"], ["most"], { keepdims: { int: 0 } }),
      node("Cast", ["most"], ["count"], { to: { int: 7 } }),
      node("Cast", ["count"], ["yes"], { to: { int: 9 } }),
      withGraphs(node("Loop", [limit, "yes", "X"], ["Y"]), { body: step }),
    ],
    { y: ["float32", ["N"]] },
  );
}

/** Harmless up to 100. */
function sleeper(harm: Nodes): ModelProto {
  return graph([
    node("ReduceMax", ["X"], ["most"], { keepdims: { int: 0 } }),
    node("Constant", [], ["limit"], { value_float: { float: 100 } }),
    node("Greater", ["most", "limit"], ["awake"]),
    withGraphs(node("If", ["awake"], ["Y"]), {
      then_branch: body(harm, [["out", "float32", ["A"]]]),
      else_branch: body([node("Identity", ["X"], ["out"])], [["out", "float32", ["A"]]]),
    }),
  ]);
}

const shapeOfX: Nodes = [node("Cast", ["X"], ["S"], { to: { int: 7 } })];
const sum = (from: string) => node("ReduceSum", [from], ["Y"], { keepdims: { int: 0 } });
const scalarY = { y: ["float32", []] } as const;
const chain = (times: number, step: (from: string, to: string) => Nodes[number]): Nodes =>
  Array.from({ length: times }, (_, i) => step(i === 0 ? "X" : `t${i}`, i === times - 1 ? "Z" : `t${i + 1}`));

function tree(changes: Record<string, AttributeValue>): ModelProto {
  const attributes: Record<string, AttributeValue> = {
    n_targets: { int: 1 },
    nodes_treeids: { ints: [0, 0, 0, 0, 0] },
    nodes_nodeids: { ints: [0, 1, 2, 3, 4] },
    nodes_featureids: { ints: [0, 0, 0, 0, 0] },
    nodes_values: { floats: [100, 1000, 0, 0, 0] },
    nodes_modes: { texts: ["BRANCH_LEQ", "BRANCH_LEQ", "LEAF", "LEAF", "LEAF"] },
    nodes_truenodeids: { ints: [2, 3, 0, 0, 0] },
    nodes_falsenodeids: { ints: [1, 4, 0, 0, 0] },
    target_treeids: { ints: [0, 0, 0] },
    target_nodeids: { ints: [2, 3, 4] },
    target_ids: { ints: [0, 0, 0] },
    target_weights: { floats: [1, 2, 3] },
    ...changes,
  };
  return graph([node("TreeEnsembleRegressor", ["X"], ["Y"], attributes, mlDomain)], {
    x: ["float32", ["N", 1]],
    y: ["float32", ["N", 1]],
  });
}

function external(location: string): ModelProto {
  const model = graph([node("Add", ["X", "W"], ["Y"])], { constants: [tensor("W", new Float32Array(4))] });
  const [weights] = model.graph?.initializer ?? [];
  if (weights === undefined) throw new Error("it has weights");
  weights.rawData = new Uint8Array(0);
  weights.dataLocation = TensorProto_DataLocation.EXTERNAL;
  weights.externalData = [{ $typeName: "onnx.StringStringEntryProto", key: "location", value: location }];
  return model;
}

/** Each level twice as many graphs as the one around it. */
function nested(levels: number): ModelProto {
  const outputs = [["out", "float32", ["A"]]] as const;
  const yes = [
    node("Constant", [], ["one"], { value_int: { int: 1 } }),
    node("Cast", ["one"], ["yes"], { to: { int: 9 } }),
  ];
  let inner = body([node("Identity", ["X"], ["out"])], outputs);
  for (let i = 0; i < levels; i++) {
    inner = body(
      [withGraphs(node("If", ["yes"], ["out"]), { then_branch: inner, else_branch: inner })],
      outputs,
    );
  }
  return graph([...yes, withGraphs(node("If", ["yes"], ["Y"]), { then_branch: inner, else_branch: inner })]);
}

/** Length-delimited fields in one another, many levels deep: graph, node, attribute, graph … */
function deepBytes(levels: number): Uint8Array {
  let inner: Buffer<ArrayBuffer> = Buffer.alloc(0);
  const tags = [0x0a, 0x2a, 0x32];
  for (let i = 0; i < levels; i++) {
    const length: number[] = [];
    for (let rest = inner.byteLength; ; rest >>>= 7) {
      length.push(rest > 127 ? (rest & 127) | 128 : rest);
      if (rest <= 127) break;
    }
    inner = Buffer.concat([Buffer.from([tags[i % 3] ?? 0x0a, ...length]), inner]);
  }
  return Buffer.concat([Buffer.from([0x08, 0x08, 0x3a]), Buffer.from([...varint(inner.byteLength)]), inner]);
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>>= 7) {
    bytes.push(rest > 127 ? (rest & 127) | 128 : rest);
    if (rest <= 127) return bytes;
  }
}

const divides = (operator: string, bits: number): ModelProto =>
  graph(
    [
      node("Cast", ["X"], ["I"], { to: { int: bits } }),
      node("Gather", ["I", "first"], ["a"]),
      node("Gather", ["I", "second"], ["b"]),
      node(operator, ["a", "b"], ["Y"]),
    ],
    {
      ...wholeX,
      y: [bits === 7 ? "int64" : "float32", []],
      constants: [tensor("first", BigInt64Array.of(0n), []), tensor("second", BigInt64Array.of(1n), [])],
    },
  );

const window = (operator: string) =>
  graph([node("Squeeze", ["X"], ["n"]), node(operator, ["n"], ["W"]), sum("W")], { ...wholeX, ...scalarY });

const none: HostileInput = { datatype: "FP32", shape: [0], data: [] };
const ones = float(1, 2);
const big = float(30_000, 30_000);
const square = (size: number): HostileInput => ({
  datatype: "FP32",
  shape: [size, 1],
  data: new Array(size).fill(1),
});
const pair: HostileInput = { datatype: "FP32", shape: [2, 1], data: [1, 2] };
const columnX = { x: ["float32", ["N", 1]] } as const;

function manyValues(inputs: number, outputs: number): ModelProto {
  const names = Array.from({ length: inputs }, (_, i) => `X${i}`);
  return buildModel({
    name: "many",
    producerVersion: "test",
    inputs: ["X", ...names].map((name) => tensorInfo(name, "float32", ["N"])),
    outputs: Array.from({ length: outputs }, (_, i) => tensorInfo(`Y${i}`, "float32", ["N"])),
    nodes: Array.from({ length: outputs }, (_, i) => node("Identity", ["X"], [`Y${i}`])),
    initializers: [],
  });
}

export function hostileModels(): readonly HostileModel[] {
  const model = (
    name: string,
    made: ModelProto | Uint8Array,
    harmful: HostileInput,
    harmless: HostileInput = ones,
  ): HostileModel => ({
    name,
    bytes: made instanceof Uint8Array ? made : encodeModel(made),
    harmless,
    harmful,
  });
  const huge = sum("R");
  const one = tensor("one", new Float32Array([1]));
  const onOff = tensor("V", new Float32Array([0, 1]));
  const cast = (from: string, to: string, type: number) => node("Cast", [from], [to], { to: { int: type } });
  const noise = (...shape: readonly number[]) => [
    node("RandomNormal", [], ["R"], { shape: { ints: shape } }),
    node("ReduceSum", ["R"], ["out"], { keepdims: { int: 0 } }),
  ];
  const doubled = (axis: number) => [
    ...chain(34, (from, to) => node("Concat", [from, from], [to], { axis: { int: axis } })),
    sum("Z"),
  ];
  const alone = (data: number): HostileInput => ({ datatype: "FP32", shape: [1, 1], data: [data] });
  const targets = { targets: { int: 100_000_000 }, coefficients: { floats: [1] } };
  const labels = {
    keys_int64s: { ints: [1] },
    values_strings: { texts: ["a"] },
    default_string: { text: "b".repeat(2_000_000) },
  };
  const words = {
    mode: { text: "TF" },
    min_gram_length: { int: 1 },
    max_gram_length: { int: 1 },
    max_skip_count: { int: 0 },
    ngram_counts: { ints: [0] },
    ngram_indexes: { ints: [3_000_000_000] },
    pool_int64s: { ints: [1] },
  };
  const resized = [
    node("Reshape", ["one", "form"], ["P"]),
    node("Concat", ["two", "X"], ["scales"], { axis: { int: 0 } }),
    node("Resize", ["P", "", "scales"], ["R"]),
    huge,
  ];
  const counted = [
    node("ReduceMax", ["X"], ["n"], { keepdims: { int: 0 } }),
    node("Constant", [], ["zero"], { value_float: { float: 0 } }),
    node("Constant", [], ["step"], { value_float: { float: 1 } }),
    node("Range", ["zero", "n", "step"], ["R"]),
    huge,
  ];
  const folded = [
    node("RandomNormal", [], ["R"], { shape: { ints: [40_000, 40_000] } }),
    node("Add", ["R", "one"], ["Q"]),
    node("ReduceSum", ["Q"], ["q"], { keepdims: { int: 0 } }),
    node("Add", ["X", "q"], ["Y"]),
  ];
  const cropped = [...shapeOfX, node("CenterCropPad", ["X", "S"], ["P"], { axes: { ints: [0] } }), sum("P")];
  const steps = chain(90_000, (from, to) => node("Add", [from, "X"], [to]));
  const scalar = (nodes: Nodes, ...constants: NonNullable<Parts["constants"]>) =>
    graph(nodes, { ...scalarY, constants });
  const made = (operator: string, ...inputs: readonly string[]) => [
    ...shapeOfX,
    node(operator, inputs, ["R"]),
    huge,
  ];
  return [
    model("divide-overflow", divides("Div", 7), whole("-9223372036854775808", -1), whole(4, 2)),
    model("divide-by-zero", divides("Div", 7), whole(1, 0), whole(4, 2)),
    model("remainder-of-zero", divides("Mod", 7), whole(1, 0), whole(4, 2)),
    model(
      "divide-int32",
      graph([cast("X", "I", 6), node("Div", ["one", "I"], ["J"]), cast("J", "Y", 1)], {
        constants: [tensorOfInt32("one", 1)],
      }),
      float(0),
      float(1),
    ),
    model(
      "mean-of-none",
      graph([cast("X", "I", 7), node("ReduceMean", ["I"], ["J"]), cast("J", "Y", 1)]),
      none,
    ),
    model("sleeping-noise", sleeper(noise(16_000, 16_000)), float(1000)),
    model("sleeping-loop-of-noise", sleeper(noise(4_000_000_000)), float(1000)),
    model("hann-window", window("HannWindow"), whole(2_000_000_000), whole(8)),
    model("hamming-window", window("HammingWindow"), whole(900_000_000), whole(8)),
    model("blackman-window", window("BlackmanWindow"), whole(300_000_000), whole(8)),
    model("crop-or-pad", withOpset(18, graph(cropped, scalarY)), float(2e9), float(1)),
    model(
      "one-hot-of-a-constant",
      graph([node("OneHot", ["X", "D", "V"], ["R"]), huge], {
        ...wholeX,
        ...scalarY,
        constants: [integers("D", 3e9), onOff],
      }),
      whole(1),
      whole(1),
    ),
    model(
      "one-hot-of-the-input",
      graph([node("OneHot", ["X", "X", "V"], ["R"]), huge], { ...wholeX, ...scalarY, constants: [onOff] }),
      whole(2e9),
      whole(2),
    ),
    model("ninety-thousand-steps", graph([...steps, node("Identity", ["Z"], ["Y"])]), ones),
    model("endless", loop("ever"), ones),
    model("endless-too", loop("ever"), ones),
    model("as-often-as-said", loop("input"), float(2e9), float(3)),
    model("constant-of-the-input", scalar(made("ConstantOfShape", "S")), big, ones),
    model(
      "constant-of-a-constant",
      scalar([node("ConstantOfShape", ["S"], ["R"]), huge], integers("S", 400_000, 1_000_000)),
      ones,
    ),
    model(
      "constant-of-two-gigabytes",
      scalar([node("ConstantOfShape", ["S"], ["R"]), huge], integers("S", 500_000_000)),
      ones,
    ),
    model("expand", scalar(made("Expand", "one", "S"), one), big, ones),
    model("tile", scalar(made("Tile", "one", "S"), tensor("one", new Float32Array([1]), [1, 1])), big, ones),
    model("count", scalar(counted), float(1.6e7), ones),
    model("noise-of-an-attribute", graph(folded, { constants: [one] }), ones),
    model("rows-doubled", graph(doubled(0), scalarY), ones),
    model("columns-doubled", graph(doubled(1), { ...columnX, ...scalarY }), pair, pair),
    model(
      "all-with-all",
      graph([node("Transpose", ["X"], ["T"]), node("Add", ["X", "T"], ["R"]), huge], {
        ...columnX,
        ...scalarY,
      }),
      square(40_000),
      pair,
    ),
    model(
      "all-times-all",
      graph([node("Gemm", ["X", "X"], ["R"], { transB: { int: 1 } }), huge], { ...columnX, ...scalarY }),
      square(40_000),
      pair,
    ),
    model(
      "outer-products",
      graph([node("Einsum", ["X", "X", "X"], ["R"], { equation: { text: "i,j,k->ijk" } }), huge], scalarY),
      float(1, ...new Array(2000).fill(1)),
    ),
    model(
      "resize",
      scalar(resized, one, tensor("two", new Float32Array([1, 1])), integers("form", 1, 1, 1, 1)),
      big,
      ones,
    ),
    model(
      "pad",
      scalar([cast("X", "p", 7), node("Pad", ["one", "p"], ["R"]), huge], one),
      float(1e9, 1e9),
      ones,
    ),
    model(
      "a-large-answer",
      graph([...shapeOfX, node("ConstantOfShape", ["S"], ["Y"])], { y: ["float32", ["A", "B"]] }),
      float(6000, 6000),
    ),
    model("missing-data", external("weights.bin"), ones),
    model("data-outside", external("../../../../../../etc/passwd"), ones),
    model("data-at-a-path", external("/etc/passwd"), ones),
    model(
      "a-circle",
      graph([node("Add", ["X", "b"], ["a"]), node("Add", ["a", "X"], ["b"]), node("Identity", ["b"], ["Y"])]),
      ones,
    ),
    model(
      "a-tree-that-leads-to-itself",
      tree({ nodes_truenodeids: { ints: [2, 1, 0, 0, 0] } }),
      alone(500),
      alone(1),
    ),
    model(
      "a-tree-that-leads-back",
      tree({ nodes_truenodeids: { ints: [2, 0, 0, 0, 0] } }),
      alone(500),
      alone(1),
    ),
    model(
      "a-tree-beyond-its-columns",
      tree({ nodes_featureids: { ints: [0, 2e9, 0, 0, 0] } }),
      alone(500),
      alone(1),
    ),
    model("targets-beyond-the-list", tree({ target_ids: { ints: [0, 2e9, 1e9] } }), alone(500), alone(1)),
    model(
      "too-few-coefficients",
      graph([node("LinearRegressor", ["X"], ["Y"], targets, mlDomain)], {
        ...columnX,
        y: ["float32", ["N", "T"]],
      }),
      pair,
      pair,
    ),
    model(
      "a-text-of-megabytes",
      graph([node("LabelEncoder", ["X"], ["Y"], labels, mlDomain)], { ...wholeX, y: ["string", ["N"]] }),
      whole(...new Array(1000).fill(2)),
      whole(1),
    ),
    model(
      "words-by-the-billion",
      graph([node("TfIdfVectorizer", ["X"], ["Y"], words)], wholeX),
      whole(1),
      whole(1),
    ),
    model("garbage", Buffer.from("this is no model ".repeat(1000)), ones),
    model("nothing", new Uint8Array(0), ones),
    model("cut-off", encodeModel(loop("ever")).subarray(0, 120), ones),
    model("deep-bytes", deepBytes(20_000), ones),
    model("graphs-in-graphs", nested(10), ones),
    model("ten-thousand-inputs", manyValues(10_000, 1), ones),
    model("ten-thousand-outputs", manyValues(0, 10_000), ones),
    model("another-domain", graph([node("Secret", ["X"], ["Y"], {}, "com.example")]), ones),
    model("sizes-that-lie", lyingSizes(), ones),
  ];
}

function tensorOfInt32(name: string, value: number) {
  const made = tensor(name, BigInt64Array.of(0n));
  return { ...made, dataType: 6, rawData: new Uint8Array(Int32Array.of(value).buffer) };
}

/** Weights that claim to be larger than they are. */
function lyingSizes(): ModelProto {
  const model = graph([node("Add", ["X", "W"], ["Y"])], { constants: [tensor("W", new Float32Array(4))] });
  const [weights] = model.graph?.initializer ?? [];
  if (weights !== undefined) weights.dims = [4_000_000_000n, 4_000_000_000n];
  return model;
}
