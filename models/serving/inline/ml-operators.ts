import { fixedSize, product, type Size } from "./size.ts";
import { treeOperationsOf } from "./tree-bounds.ts";
import {
  attributeOf,
  axisOf,
  type InlineRule,
  integerOf,
  isNumeric,
  made,
  type Step,
  type Value,
  valueWith,
} from "./values.ts";

/*
 * The operators of classical machine learning that may run inside the server. The lists in their attributes are held
 * against each other first: the runtime reads them by numbers that the model gives.
 */

/** Rows of a fixed number of numbers. */
function matrix({ inputs: [value] }: Step): { rows: Size; columns: number } | undefined {
  const [rows, columns, third] = value?.dims ?? [];
  if (!isNumeric(value) || value.type === "boolean" || rows === undefined || columns === undefined)
    return undefined;
  return third === undefined && columns.names.length === 0 ? { rows, columns: columns.factor } : undefined;
}

const floatsOf = ({ node }: Step, name: string) => attributeOf(node, name)?.floatCount ?? 0;

const labelsOf = ({ node }: Step, integers: string) =>
  Math.max(
    attributeOf(node, integers)?.intCount ?? 0,
    attributeOf(node, "classlabels_strings")?.textCount ?? 0,
  );

/** An element is at most as long as the list that it is from. */
function textBytesOf({ node }: Step, names: readonly string[]): number {
  return names.reduce((bytes, name) => {
    const span = attributeOf(node, name)?.span;
    return bytes + (span === undefined ? 0 : span.end - span.start);
  }, 0);
}

const sameForm =
  (perElement: number, attributes: readonly string[]): InlineRule =>
  (step) => {
    const found = matrix(step);
    const [value] = step.inputs;
    if (found === undefined || value === undefined) return undefined;
    // One number for all columns, or one for each.
    const fits = attributes.every((name) => {
      const attribute = attributeOf(step.node, name);
      const count = (attribute?.floatCount ?? 0) + (attribute?.intCount ?? 0);
      return count <= 1 || count === found.columns;
    });
    const type = step.node.operator === "Imputer" ? value.type : "float";
    return fits ? made(valueWith(type, value.dims), perElement) : undefined;
  };

const linearRegressor: InlineRule = (step) => {
  const found = matrix(step);
  if (found === undefined) return undefined;
  const targets = integerOf(step.node, "targets") ?? 1;
  const coefficients = floatsOf(step, "coefficients");
  const intercepts = floatsOf(step, "intercepts");
  if (targets < 1 || coefficients !== targets * found.columns) return undefined;
  if (intercepts !== 0 && intercepts !== targets) return undefined;
  const output = valueWith("float", [found.rows, fixedSize(targets)]);
  return { outputs: [output], work: product([found.rows, fixedSize(4 * coefficients + 60 * targets)]) };
};

const linearClassifier: InlineRule = (step) => {
  const found = matrix(step);
  const classes = labelsOf(step, "classlabels_ints");
  const coefficients = floatsOf(step, "coefficients");
  const scores = floatsOf(step, "intercepts");
  if (found === undefined || classes < 1 || coefficients !== scores * found.columns) return undefined;
  if (scores !== classes && !(scores === 1 && classes === 2)) return undefined;
  return classified(step, found.rows, classes, 4 * coefficients + 60 * classes);
};

function classified(step: Step, rows: Size, classes: number, perRow: number) {
  const isText = attributeOf(step.node, "classlabels_strings") !== undefined;
  const label = valueWith(isText ? "text" : "integer", [rows], textBytesOf(step, ["classlabels_strings"]));
  const scores = valueWith("float", [rows, fixedSize(Math.max(2, classes))]);
  return { outputs: [label, scores], work: product([rows, fixedSize(perRow)]) };
}

const treeRegressor: InlineRule = (step) => {
  const found = matrix(step);
  const targets = integerOf(step.node, "n_targets") ?? 1;
  if (found === undefined || targets < 1) return undefined;
  const operations = treeOperationsOf(step, "target", found.columns, targets);
  if (operations === undefined) return undefined;
  const output = valueWith("float", [found.rows, fixedSize(targets)]);
  return { outputs: [output], work: product([found.rows, fixedSize(operations + 60 * targets)]) };
};

const treeClassifier: InlineRule = (step) => {
  const found = matrix(step);
  const classes = labelsOf(step, "classlabels_int64s");
  if (found === undefined || classes < 1) return undefined;
  const operations = treeOperationsOf(step, "class", found.columns, classes);
  return operations === undefined
    ? undefined
    : classified(step, found.rows, classes, operations + 60 * classes);
};

/** From one list to the list of the same length; the second half of the name says the type. */
const labelEncoder: InlineRule = (step) => {
  const [value] = step.inputs;
  if (value === undefined || value.type === "boolean") return undefined;
  const has = (name: string) => attributeOf(step.node, name) !== undefined;
  if (has("keys_tensor") || has("values_tensor") || has("classes_strings")) return undefined;
  const type = has("values_strings") ? "text" : has("values_floats") ? "float" : "integer";
  const textBytes = type === "text" ? textBytesOf(step, ["values_strings", "default_string"]) : 0;
  return made(valueWith(type, value.dims, textBytes), 200);
};

const oneHotEncoder: InlineRule = ({ node, inputs: [value] }) => {
  const categories = Math.max(
    attributeOf(node, "cats_strings")?.textCount ?? 0,
    attributeOf(node, "cats_int64s")?.intCount ?? 0,
  );
  if (value === undefined || value.type === "boolean" || categories < 1) return undefined;
  const output = valueWith("float", [...value.dims, fixedSize(categories)]);
  const work = product([...value.dims, fixedSize(200 + 4 * categories)]);
  return { outputs: [output], work };
};

const featureVectorizer: InlineRule = ({ node, inputs }) => {
  const sizes = attributeOf(node, "inputdimensions");
  const [rows] = inputs[0]?.dims ?? [];
  if (sizes?.ints.length !== inputs.length || sizes.intCount !== inputs.length || rows === undefined)
    return undefined;
  const fits = inputs.every(
    (value, index) =>
      isNumeric(value) &&
      value.dims.length === 2 &&
      value.dims[1]?.names.length === 0 &&
      value.dims[1].factor === sizes.ints[index],
  );
  if (!fits) return undefined;
  const columns = sizes.ints.reduce((sum, size) => sum + size, 0);
  return made(valueWith("float", [rows, fixedSize(columns)]), 4);
};

/** Entries of the last dimension by their numbers. The runtime checks that each is there. */
const arrayFeatureExtractor: InlineRule = ({ inputs: [value, indices] }) => {
  if (value === undefined || indices?.type !== "integer" || value.dims.length === 0) return undefined;
  if (value.type === "text" && !value.isConstant) return undefined;
  // One dimension of values becomes a matrix of one row.
  const kept: readonly Size[] = value.dims.length === 1 ? [fixedSize(1)] : value.dims.slice(0, -1);
  const output: Value = valueWith(value.type, [...kept, product(indices.dims)], value.textBytes);
  return made(output, value.type === "text" ? 60 : 4);
};

/** The served copy of the model has an Identity in its place (see `zip-maps.ts`). */
const zipMap: InlineRule = ({ inputs: [value] }) => (value?.type === "float" ? made(value, 4) : undefined);

/** A norm for each row, or along the dimension `axis`; nothing but the rows' own numbers. */
const normalizer: InlineRule = (step) =>
  axisOf(step.node, 2, 1) === undefined ? undefined : sameForm(60, [])(step);

export const inlineMlRules: ReadonlyMap<string, InlineRule> = new Map<string, InlineRule>([
  ["ArrayFeatureExtractor", arrayFeatureExtractor],
  ["Binarizer", sameForm(4, [])],
  ["FeatureVectorizer", featureVectorizer],
  ["Imputer", sameForm(4, ["imputed_value_floats", "imputed_value_int64s"])],
  ["LabelEncoder", labelEncoder],
  ["LinearClassifier", linearClassifier],
  ["LinearRegressor", linearRegressor],
  ["Normalizer", normalizer],
  ["OneHotEncoder", oneHotEncoder],
  ["Scaler", sameForm(4, ["offset", "scale"])],
  ["TreeEnsembleClassifier", treeClassifier],
  ["TreeEnsembleRegressor", treeRegressor],
  ["ZipMap", zipMap],
]);
