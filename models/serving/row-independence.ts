import type { ModelProto, NodeProto } from "onnx-buf";
import { mlDomain, modelNodes } from "../../shared/onnx/index.ts";
import type { OnnxSession } from "./onnx-session.ts";
import { commonRows, joinRows, takeRows } from "./rows.ts";
import type { ModelSignature } from "./signature.ts";
import type { Tensor, Tensors } from "./tensors.ts";

/*
 * Whether rows of different requests may be put into one run: only where each row's answer depends on nothing but that
 * row. Decided twice, by the operators and by trying it, and both must agree.
 */

/** Operators of classical machine learning that look at one row at a time. */
const rowWiseMl = new Set([
  "ArrayFeatureExtractor",
  "Binarizer",
  "CategoryMapper",
  "FeatureVectorizer",
  "Imputer",
  "LabelEncoder",
  "LinearClassifier",
  "LinearRegressor",
  "Normalizer",
  "OneHotEncoder",
  "SVMClassifier",
  "SVMRegressor",
  "Scaler",
  "TreeEnsembleClassifier",
  "TreeEnsembleRegressor",
]);

/** Standard operators that work element by element, or along the last dimension with weights. */
const rowWise = new Set(
  (
    "Abs Add And Cast Ceil Clip Constant Div Dropout Elu Equal Erf Exp Floor Gelu Greater GreaterOrEqual HardSigmoid " +
    "Identity LayerNormalization LeakyRelu Less LessOrEqual Log MatMul Max Min Mul Neg Not Or Pow PRelu Reciprocal " +
    "Relu Reshape Round Selu Sigmoid Sign Softplus Softsign Sqrt Sub Sum Tanh TfIdfVectorizer Where Xor"
  ).split(" "),
);

/** Those that work along one dimension, with the one they take when the model does not say. */
const alongAxis: Readonly<Record<string, number>> = {
  ArgMax: 0,
  ArgMin: 0,
  Concat: 0,
  Flatten: 1,
  LogSoftmax: -1,
  Softmax: -1,
};

/** Whether every operator of a model is known to keep rows apart. */
export function keepsRowsApart(model: ModelProto): boolean {
  if (model.functions.length > 0) return false;
  for (const node of modelNodes(model)) {
    if (node.domain === mlDomain ? !rowWiseMl.has(node.opType) : !isRowWise(node)) return false;
  }
  return true;
}

function isRowWise(node: NodeProto): boolean {
  if (node.domain !== "" && node.domain !== "ai.onnx") return false;
  const number = (name: string) => node.attribute.find((attribute) => attribute.name === name)?.i;
  const usual = alongAxis[node.opType];
  if (usual !== undefined) return Number(number("axis") ?? usual) !== 0;
  if (node.opType === "Gemm") return number("transA") !== 1n;
  if (node.opType === "BatchNormalization") return number("training_mode") !== 1n;
  if (node.opType.startsWith("Reduce")) {
    const axes = node.attribute.find((attribute) => attribute.name === "axes")?.ints ?? [];
    return axes.length > 0 && !axes.includes(0n);
  }
  return rowWise.has(node.opType);
}

/** Whether inputs and outputs all begin with a dimension of any size, which is found nowhere else. */
export function isByRow({ inputs, outputs }: ModelSignature): boolean {
  const specs = [...inputs, ...outputs];
  if (!specs.every(({ shape }) => shape !== null && shape[0] === -1)) return false;
  const batchNames = new Set(
    specs.map(({ dimensionNames }) => dimensionNames[0] ?? "").filter((name) => name !== ""),
  );
  return specs.every(({ dimensionNames }) => dimensionNames.slice(1).every((name) => !batchNames.has(name)));
}

/**
 * Tries it: one row of a request and another like it, alone and together.
 *
 * @returns undefined when the row has no floating-point number to vary, so that nothing could be seen
 */
export async function triesRowByRow(session: OnnxSession, sample: Tensors): Promise<boolean | undefined> {
  if ((commonRows(sample) ?? 0) < 1) return false;
  const one = takeRows(sample, 0, 1);
  const other = varied(one);
  if (other === undefined) return undefined;
  const names = session.signature.outputs.map(({ name }) => name);
  const alone = [await session.run(one, names), await session.run(other, names)];
  const { outputs: together } = await session.run(joinRows([one, other]), names);
  if (commonRows(together) !== 2) return false;
  return alone.every(({ outputs }, row) => agree(outputs, takeRows(together, row, 1)));
}

function varied(row: Tensors): Tensors | undefined {
  const copy: Record<string, Tensor> = Object.create(null);
  let isVaried = false;
  for (const name in row) {
    const tensor = row[name];
    if (tensor === undefined) continue;
    if (tensor.datatype === "FP32" || tensor.datatype === "FP64") {
      const data = (tensor.data as Float64Array).map((value, index) =>
        Number.isFinite(value) ? value * 1.37 + ((index % 7) - 2.5) * 0.61 : index % 3,
      );
      copy[name] = { ...tensor, data };
      isVaried ||= data.length > 0;
    } else copy[name] = tensor;
  }
  return isVaried ? copy : undefined;
}

/** What another order of the same sums may change; measured up to 5e-7 of the value. */
const tolerance = 1e-4;

function agree(a: Tensors, b: Tensors): boolean {
  for (const name in a) {
    const x = a[name];
    const y = b[name];
    if (x === undefined || y === undefined || x.shape.join() !== y.shape.join()) return false;
    for (let i = 0; i < x.data.length; i++) {
      const p = x.data[i];
      const q = y.data[i];
      if (Object.is(p, q)) continue;
      const close =
        typeof p === "number" &&
        typeof q === "number" &&
        Math.abs(p - q) <= tolerance * Math.max(1, Math.abs(p));
      if (!close) return false;
    }
  }
  return true;
}
