import { describe, expect, it } from "vitest";
import { inlineCostOf, isAffordable } from "../../../../models/serving/inline/cost.ts";
import {
  type AttributeValue,
  buildModel,
  bytesSource,
  type ElementType,
  encodeModel,
  type ModelProto,
  mlDomain,
  node,
  readModel,
  tensor,
  tensorInfo,
} from "../../../../shared/onnx/index.ts";
import {
  linearModel,
  oneHotModel,
  slowModel,
  sumModel,
  tileModel,
  treeModel,
  zipMapModel,
} from "../models.ts";

const costOf = (model: ModelProto) => {
  const source = bytesSource(encodeModel(model));
  return inlineCostOf(readModel(source), source);
};

type Nodes = Parameters<typeof buildModel>[0]["nodes"];
interface Parts {
  readonly x?: readonly [ElementType, readonly (number | string)[]];
  readonly y?: readonly [ElementType, readonly (number | string)[]];
  readonly initializers?: Parameters<typeof buildModel>[0]["initializers"];
}
const graph = (
  nodes: Nodes,
  { x = ["float32", ["N", 4]], y = ["float32", ["N", 4]], initializers = [] }: Parts = {},
) =>
  buildModel({
    name: "graph",
    producerVersion: "test",
    inputs: [tensorInfo("X", ...x)],
    outputs: [tensorInfo("Y", ...y)],
    nodes,
    initializers: [...initializers],
  });
const numbers = (name: string, ...values: number[]) => tensor(name, BigInt64Array.from(values.map(BigInt)));
const column = ["float32", ["N", 1]] as const;

const tree = (changes: Record<string, AttributeValue>) =>
  graph(
    [
      node(
        "TreeEnsembleRegressor",
        ["X"],
        ["Y"],
        {
          n_targets: { int: 1 },
          nodes_treeids: { ints: [0, 0, 0] },
          nodes_nodeids: { ints: [0, 1, 2] },
          nodes_featureids: { ints: [0, 0, 0] },
          nodes_values: { floats: [1, 0, 0] },
          nodes_modes: { texts: ["BRANCH_LEQ", "LEAF", "LEAF"] },
          nodes_truenodeids: { ints: [1, 0, 0] },
          nodes_falsenodeids: { ints: [2, 0, 0] },
          target_treeids: { ints: [0, 0] },
          target_nodeids: { ints: [1, 2] },
          target_ids: { ints: [0, 0] },
          target_weights: { floats: [1, 2] },
          ...changes,
        },
        mlDomain,
      ),
    ],
    { y: column },
  );

/** A chain of operators that each take the value before twice. */
const doubling = (times: number, step: (from: string, to: string) => Nodes[number]): Nodes =>
  Array.from({ length: times }, (_, i) => step(i === 0 ? "X" : `t${i}`, i === times - 1 ? "Y" : `t${i + 1}`));

describe("a model that may run in the server", () => {
  it.each([
    ["a linear model", linearModel([1, 2, 3])],
    ["a tree", treeModel(1, 2, 3)],
    ["a classifier with its ZipMap", zipMapModel(["no", "yes"])],
    ["an encoder of texts", oneHotModel(["red", "green"])],
    ["a sum of two inputs with one batch size", sumModel()],
    [
      "an embedding",
      graph([node("Gather", ["W", "X"], ["Y"])], {
        x: ["int64", ["N"]],
        initializers: [tensor("W", new Float32Array(20), [10, 2])],
      }),
    ],
    [
      "a reshape that keeps rows",
      graph([node("Reshape", ["X", "S"], ["Y"])], { initializers: [numbers("S", 0, 2, 2)] }),
    ],
    [
      "rows of two dimensions of any size",
      graph([node("Softmax", ["X"], ["Y"])], { x: ["float32", ["N", "T"]] }),
    ],
    [
      "the square of its only input, whose rows are as many as its columns",
      graph([node("Add", ["X", "X"], ["Y"])], { x: ["float32", ["N", "N"]] }),
    ],
  ])("is %s", (_, model) => {
    expect(costOf(model)).not.toBeNull();
  });

  it("costs what its operators do, at most, for each number that is sent", () => {
    const cost = costOf(linearModel(new Array(100).fill(1)));
    expect(cost?.operations.perElement).toBeGreaterThan(1);
    expect(cost?.operations.perElement).toBeLessThan(10);
    expect(cost !== null && isAffordable(cost, 100_000)).toBe(true);
    expect(cost !== null && isAffordable(cost, 1e9)).toBe(false);
    expect(cost !== null && isAffordable(cost, Number.POSITIVE_INFINITY)).toBe(false);
  });
});

describe("a model that never runs in the server", () => {
  it.each<readonly [string, ModelProto]>([
    [
      "divides whole numbers",
      graph([node("Div", ["X", "X"], ["Y"])], { x: ["int64", ["N"]], y: ["int64", ["N"]] }),
    ],
    [
      "divides whole numbers that it made from others",
      graph([
        node("Cast", ["X"], ["I"], { to: { int: 6 } }),
        node("Div", ["I", "I"], ["J"]),
        node("Cast", ["J"], ["Y"], { to: { int: 1 } }),
      ]),
    ],
    ["takes a remainder", graph([node("Mod", ["X", "X"], ["Y"], { fmod: { int: 1 } })])],
    [
      "averages whole numbers",
      graph([node("Cast", ["X"], ["I"], { to: { int: 7 } }), node("ReduceMean", ["I"], ["Y"])]),
    ],
    ["draws a window", graph([node("HannWindow", ["X"], ["Y"])], { x: ["int64", []] })],
    ["draws at random", graph([node("RandomNormalLike", ["X"], ["Y"])])],
    [
      "takes a depth",
      graph([node("OneHot", ["X", "D", "V"], ["Y"])], {
        x: ["int64", ["N"]],
        initializers: [numbers("D", 3e9), tensor("V", new Float32Array([0, 1]))],
      }),
    ],
    [
      "expands",
      graph([node("Expand", ["X", "S"], ["Y"])], { initializers: [numbers("S", 1000, 1000, 1000, 4)] }),
    ],
    ["tiles", tileModel()],
    ["counts to a value", graph([node("Range", ["X", "X", "X"], ["Y"])], { x: column })],
    ["pads", graph([node("CenterCropPad", ["X", "S"], ["Y"])], { initializers: [numbers("S", 1e6, 1e6)] })],
    ["uses another domain", graph([node("Gelu", ["X"], ["Y"], {}, "com.microsoft")])],
    ["has a graph inside", withSubgraph()],
    ["multiplies matrices whose sizes it does not know", slowModel(3)],
    [
      "adds a column to its own row",
      graph([node("Transpose", ["X"], ["T"], { perm: { ints: [1, 0] } }), node("Add", ["X", "T"], ["Y"])], {
        x: column,
      }),
    ],
    [
      "puts each row beside each other by a reshape",
      graph([node("Reshape", ["X", "S"], ["T"]), node("Mul", ["X", "T"], ["Y"])], {
        x: column,
        initializers: [numbers("S", 1, -1)],
      }),
    ],
    [
      "multiplies every row with every other",
      graph([node("Gemm", ["X", "X"], ["Y"], { transB: { int: 1 } })]),
    ],
    [
      "doubles its rows thirty times",
      graph(doubling(30, (from, to) => node("Concat", [from, from], [to], { axis: { int: 0 } }))),
    ],
    [
      "doubles its columns thirty times",
      graph(doubling(30, (from, to) => node("Concat", [from, from], [to], { axis: { int: 1 } }))),
    ],
    [
      "makes long rows of few numbers",
      graph(
        [
          node("Gather", ["X", "I"], ["A"], { axis: { int: 1 } }),
          node("Gather", ["A", "I"], ["B"], { axis: { int: 1 } }),
          node("Gather", ["B", "I"], ["Y"], { axis: { int: 1 } }),
        ],
        {
          initializers: [tensor("I", new BigInt64Array(20_000), [1000, 20])],
          y: ["float32", ["N", "A", "B", "C", "D", "E", "F"]],
        },
      ),
    ],
    ["has ninety thousand steps", graph(doubling(90_000, (from, to) => node("Add", [from, from], [to])))],
    [
      "has as many targets as a number says",
      graph([
        node(
          "LinearRegressor",
          ["X"],
          ["Y"],
          { targets: { int: 3e9 }, coefficients: { floats: [1, 2, 3, 4] } },
          mlDomain,
        ),
      ]),
    ],
    [
      "has fewer coefficients than columns",
      graph([node("LinearRegressor", ["X"], ["Y"], { coefficients: { floats: [1] } }, mlDomain)]),
    ],
    ["has a tree that leads back up", tree({ nodes_truenodeids: { ints: [0, 0, 0] } })],
    ["has a tree that leads nowhere", tree({ nodes_truenodeids: { ints: [7, 0, 0] } })],
    ["asks for a column that is not there", tree({ nodes_featureids: { ints: [4, 0, 0] } })],
    ["adds to a target that is not there", tree({ target_ids: { ints: [0, 5] } })],
    ["has lists of different lengths", tree({ nodes_values: { floats: [1] } })],
    [
      "repeats a long text for each row",
      graph(
        [
          node(
            "LabelEncoder",
            ["X"],
            ["Y"],
            {
              keys_int64s: { ints: [1] },
              values_strings: { texts: ["a"] },
              default_string: { text: "b".repeat(70e6) },
            },
            mlDomain,
          ),
        ],
        { x: ["int64", ["N"]], y: ["string", ["N"]] },
      ),
    ],
    [
      "squares the number of rows that it was given with no columns",
      graph([node("Add", ["X", "X"], ["Y"])], { x: ["float32", ["N", 0]] }),
    ],
    [
      "takes a number of a type that is no float as one",
      graph([node("Exp", ["X"], ["Y"])], { x: ["int64", ["N"]] }),
    ],
  ])("%s", (_, model) => {
    expect(costOf(model)).toBeNull();
  });

  it("may have any input of the same sizes: two of their own names are two sizes", () => {
    const model = buildModel({
      name: "two",
      producerVersion: "test",
      inputs: [tensorInfo("a", "float32", ["N", 1]), tensorInfo("b", "float32", ["M"])],
      outputs: [tensorInfo("Y", "float32", ["N", "M"])],
      nodes: [node("Add", ["a", "b"], ["Y"])],
      initializers: [],
    });
    expect(costOf(model)).toBeNull();
  });
});

function withSubgraph(): ModelProto {
  const model = graph([node("If", ["C"], ["Y"])]);
  const inner = graph([node("Relu", ["X"], ["Z"])]).graph;
  const [step] = model.graph?.node ?? [];
  if (inner === undefined || step === undefined) throw new Error("it has a graph");
  step.attribute = node("If", [], [], { then_branch: { int: 0 } }).attribute.map((attribute) => ({
    ...attribute,
    g: inner,
  }));
  return model;
}
