import { invalid } from "../../../shared/errors.ts";
import { type Datatype, shapeText, type Tensor, type Tensors } from "./tensors.ts";

/** One input or output of a model. */
export interface TensorSpec {
  readonly name: string;
  readonly datatype: Datatype;
  /** -1 where a dimension may have any size; null where the model does not even fix how many there are. */
  readonly shape: readonly number[] | null;
  /** Names of varying dimensions, "" where it has none; dimensions of one name have one size. */
  readonly dimensionNames: readonly string[];
  /** An input with a value of its own, which may be left out. */
  readonly optional?: boolean;
}

export interface ModelSignature {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  /** What the model has besides, and cannot be served. */
  readonly unserved?: readonly UnservedValue[];
}

/** An input or output that the protocols have no form for. */
export interface UnservedValue {
  readonly kind: "input" | "output";
  readonly name: string;
  /** As ONNX writes it, e.g. `seq(tensor(float))`. */
  readonly type: string;
}

/** The inputs that every request has to have. */
export function requiredInputs({ inputs }: ModelSignature): readonly TensorSpec[] {
  return inputs.filter(({ optional }) => optional !== true);
}

/**
 * The name of a dimension that says that sizes of this name are equal; "" for the words that exporters write where they
 * know nothing: `?` (Paddle), `None` (Keras), `unk__12` (tf2onnx), `DynamicDimension.0`.
 */
export function dimensionName(written: string): string {
  return written.length <= 40 && unknownDimension.test(written) ? "" : written;
}

const unknownDimension =
  /^[?*._:\s-]*(none|null|nil|nan|undefined|unknown|unk|any|dynamic|dynamic_?dim(ension)?)?[?*._:\s-]*\d*$/i;

/**
 * Compares tensors with what the model takes.
 *
 * @throws invalid naming the input, what was sent, and what the model takes: a missing or unknown input, another
 * datatype, number of dimensions or size, or two inputs that disagree on a dimension of the same name
 */
export function checkInputs(signature: ModelSignature, tensors: Tensors): void {
  const missing = signature.inputs.filter(
    ({ name, optional }) => optional !== true && !Object.hasOwn(tensors, name),
  );
  if (missing.length > 0) {
    throw invalid(
      `${missing.length === 1 ? "Input" : "Inputs"} ${missing.map(({ name }) => `"${name}"`).join(", ")} missing; ${takes(signature)}.`,
      { field: "inputs" },
    );
  }
  let count = 0;
  for (const name in tensors) {
    count++;
    if (count > signature.inputs.length || !signature.inputs.some((spec) => spec.name === name)) {
      throw invalid(`The model has no input "${unknownName(signature, tensors)}"; ${takes(signature)}.`, {
        field: "inputs",
      });
    }
  }
  const sizes = new Map<string, { size: number; name: string }>();
  for (const spec of signature.inputs) {
    const tensor = tensors[spec.name];
    if (tensor !== undefined) checkTensor(spec, tensor, sizes);
  }
}

/**
 * @returns the specifications of the outputs asked for, all of them when none are named
 * @throws invalid for a name that the model does not have
 */
export function selectOutputs(
  signature: ModelSignature,
  names: readonly string[] | undefined,
): readonly TensorSpec[] {
  if (names === undefined || names.length === 0) return signature.outputs;
  return names.map((name) => {
    const spec = signature.outputs.find((output) => output.name === name);
    if (spec !== undefined) return spec;
    const known = signature.outputs.map((output) => `"${output.name}"`).join(", ");
    const unserved = signature.unserved?.find((value) => value.kind === "output" && value.name === name);
    if (unserved !== undefined) {
      throw invalid(
        `Output "${name}" of the model is ${unserved.type}, which cannot be answered; ${known} can.`,
        { field: "outputs" },
      );
    }
    throw invalid(`The model has no output "${name}"; it has ${known}.`, { field: "outputs" });
  });
}

function checkTensor(
  spec: TensorSpec,
  tensor: Tensor,
  sizes: Map<string, { size: number; name: string }>,
): void {
  if (tensor.datatype !== spec.datatype) {
    throw invalid(`Input "${spec.name}" is ${tensor.datatype}; the model takes ${spec.datatype}.`, {
      field: spec.name,
    });
  }
  if (spec.shape === null) return;
  if (tensor.shape.length !== spec.shape.length) throw wrongShape(spec, tensor);
  for (let axis = 0; axis < spec.shape.length; axis++) {
    const size = tensor.shape[axis] ?? 0;
    const wanted = spec.shape[axis] ?? -1;
    if (wanted >= 0 && size !== wanted) throw wrongShape(spec, tensor);
    const dimension = spec.dimensionNames[axis];
    if (wanted >= 0 || !dimension) continue;
    const seen = sizes.get(dimension);
    if (seen === undefined) sizes.set(dimension, { size, name: spec.name });
    else if (seen.size !== size) {
      throw invalid(
        `Input "${spec.name}" has the shape ${shapeText(tensor.shape)}, so its dimension "${dimension}" is ${size}, but it is ` +
          `${seen.size} in input "${seen.name}"; they must be equal.`,
        { field: spec.name },
      );
    }
  }
}

function wrongShape(spec: TensorSpec, tensor: Tensor) {
  return invalid(
    `Input "${spec.name}" has the shape ${shapeText(tensor.shape)}; the model takes ${shapeText(spec.shape ?? [])}` +
      `${spec.shape?.includes(-1) ? ", where -1 is any size" : ""}.`,
    { field: spec.name },
  );
}

function takes(signature: ModelSignature): string {
  const inputs = signature.inputs.map(
    ({ name, datatype, shape, optional }) =>
      `"${name}" (${datatype} ${shape === null ? "of any shape" : shapeText(shape)}${optional === true ? ", optional" : ""})`,
  );
  return `the model takes ${inputs.join(", ") || "no inputs"}`;
}

function unknownName(signature: ModelSignature, tensors: Tensors): string {
  const known = new Set(signature.inputs.map(({ name }) => name));
  return Object.keys(tensors).find((name) => !known.has(name)) ?? "";
}
