import { elementTypeCode, mlDomain, node, tensor } from "../../../shared/onnx/index.ts";
import type { CategoricalEncoding, Encoding } from "../data/encoding.ts";
import type { PredictorGraph } from "../fitting/trainer.ts";
import type { LinearFit } from "./newton.ts";

type Nodes = ReturnType<typeof node>[];
type Tensors = ReturnType<typeof tensor>[];

/**
 * The linear model with its preprocessing as ONNX operators: from one input per feature to the score, in double
 * precision throughout, so that only the rounding of the output to float32 is left between the graph and the trainer.
 * Tensors inside are named `ketline:…`, which no feature may be.
 */
export function linearGraph(encoding: Encoding, fit: LinearFit): PredictorGraph {
  const nodes: Nodes = [];
  const initializers: Tensors = [];
  const terms: string[] = [];
  const { numeric, categorical } = encoding;
  if (numeric.length > 0) terms.push(...numericTerms(encoding, fit, nodes, initializers));
  let offset = numeric.length + numeric.filter(({ indicator }) => indicator).length;
  for (const [index, feature] of categorical.entries()) {
    const { length } = feature.levels;
    if (length > 0) {
      const weights = fit.weights.subarray(offset, offset + length);
      terms.push(levelTerm(feature, weights, index, nodes, initializers));
    }
    offset += length;
  }
  initializers.push(tensor("ketline:intercept", Float64Array.of(fit.intercept), [1, 1]));
  if (terms.length === 0) terms.push(zeroTerm(categorical, nodes, initializers));
  nodes.push(node("Sum", [...terms, "ketline:intercept"], ["ketline:score"]));
  return { nodes, initializers, score: "ketline:score" };
}

/** All numbers side by side: `where(missing, fill, x)`, centred, times the weights; plus the indicators. */
function numericTerms(encoding: Encoding, fit: LinearFit, nodes: Nodes, initializers: Tensors): string[] {
  const { numeric } = encoding;
  const row = (name: string, values: Iterable<number>): string => {
    const array = Float64Array.from(values);
    initializers.push(tensor(name, array, [1, array.length]));
    return name;
  };
  const names = numeric.map(({ name }) => name);
  nodes.push(
    node("Concat", names, ["ketline:numbers.float"], { axis: { int: 1 } }),
    node("Cast", ["ketline:numbers.float"], ["ketline:numbers"], { to: { int: elementTypeCode("float64") } }),
    node("IsNaN", ["ketline:numbers"], ["ketline:numbers.nan"]),
    node("IsInf", ["ketline:numbers"], ["ketline:numbers.infinite"]),
    node("Or", ["ketline:numbers.nan", "ketline:numbers.infinite"], ["ketline:numbers.missing"]),
    node(
      "Where",
      [
        "ketline:numbers.missing",
        row(
          "ketline:numbers.fill",
          numeric.map(({ fill }) => fill),
        ),
        "ketline:numbers",
      ],
      ["ketline:numbers.filled"],
    ),
    node(
      "Sub",
      [
        "ketline:numbers.filled",
        row(
          "ketline:numbers.mean",
          numeric.map(({ mean }) => mean),
        ),
      ],
      ["ketline:numbers.centred"],
    ),
  );
  const weights = (name: string, values: readonly number[]): string => {
    initializers.push(tensor(name, Float64Array.from(values), [values.length, 1]));
    return name;
  };
  // The weights of standardised numbers, divided by their deviations here: beside a matrix product the runtime would turn
  // a division by one constant into a factor in float32.
  const own = numeric.map(({ sd }, index) => (fit.weights[index] as number) / sd);
  nodes.push(
    node(
      "MatMul",
      ["ketline:numbers.centred", weights("ketline:numbers.weights", own)],
      ["ketline:numbers.score"],
    ),
  );
  if (!numeric.some(({ indicator }) => indicator)) return ["ketline:numbers.score"];
  let next = numeric.length;
  const missing = numeric.map(({ indicator }) => (indicator ? (fit.weights[next++] ?? 0) : 0));
  nodes.push(
    node("Cast", ["ketline:numbers.missing"], ["ketline:missing"], {
      to: { int: elementTypeCode("float64") },
    }),
    node(
      "MatMul",
      ["ketline:missing", weights("ketline:missing.weights", missing)],
      ["ketline:missing.score"],
    ),
  );
  return ["ketline:numbers.score", "ketline:missing.score"];
}

/** The weight of the row's level: its index, the last one for an unknown level, looked up among weights that end in 0. */
function levelTerm(
  feature: CategoricalEncoding,
  weights: Float64Array,
  index: number,
  nodes: Nodes,
  initializers: Tensors,
): string {
  const prefix = `ketline:levels.${index}`;
  const unknown = feature.levels.length;
  const padded = new Float64Array(unknown + 1);
  padded.set(weights);
  initializers.push(tensor(`${prefix}.weights`, padded));
  nodes.push(
    levelIndex(feature, `${prefix}.index`),
    node("Gather", [`${prefix}.weights`, `${prefix}.index`], [`${prefix}.score`], { axis: { int: 0 } }),
  );
  return `${prefix}.score`;
}

function levelIndex(feature: CategoricalEncoding, output: string): ReturnType<typeof node> {
  const keys =
    feature.input === "text"
      ? { keys_strings: { texts: feature.levels } }
      : { keys_floats: { floats: feature.levels } };
  const attributes = {
    ...keys,
    values_int64s: { ints: feature.levels.map((_, level) => level) },
    default_int64: { int: feature.levels.length },
  };
  return node("LabelEncoder", [feature.name], [output], attributes, mlDomain);
}

/** A model that is nothing but its intercept still has one answer per row. */
function zeroTerm(categorical: readonly CategoricalEncoding[], nodes: Nodes, initializers: Tensors): string {
  const [feature] = categorical;
  if (feature === undefined) throw new Error("The model has no feature.");
  const never = feature.input === "text" ? { ...feature, levels: ["\u0000"] } : { ...feature, levels: [0] };
  return levelTerm(never as CategoricalEncoding, Float64Array.of(0), categorical.length, nodes, initializers);
}
