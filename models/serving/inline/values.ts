import type { ByteSource, OnnxNode } from "../../../shared/onnx/index.ts";
import { fixedSize, product, type Size } from "./size.ts";

/** What is known of a value of the graph before any run. */
export interface Value {
  readonly type: ValueType;
  /** Each is 1 or more. */
  readonly dims: readonly Size[];
  /** Of one element, for texts that the model itself holds. */
  readonly textBytes: number;
  /** The elements, where they are few whole numbers that never change: axes and shapes. */
  readonly integers: readonly number[] | undefined;
  readonly isConstant: boolean;
}

export type ValueType = "float" | "integer" | "boolean" | "text";

/** One operator and what goes into it; an optional input that is left out is undefined. */
export interface Step {
  readonly node: OnnxNode;
  readonly source: ByteSource;
  readonly inputs: readonly (Value | undefined)[];
}

export interface StepCost {
  readonly outputs: readonly Value[];
  /** Simple operations, at most. */
  readonly work: Size;
}

/** @returns undefined when the operator's cost does not follow from these inputs, or it might trap */
export type InlineRule = (step: Step) => StepCost | undefined;

/** Numbers of onnx.proto, `TensorProto.DataType`; others are not computed with in the server. */
export function typeOfCode(code: number): ValueType | undefined {
  if (code === 1 || code === 10 || code === 11) return "float";
  if ((code >= 2 && code <= 7) || code === 12 || code === 13) return "integer";
  return code === 8 ? "text" : code === 9 ? "boolean" : undefined;
}

export function valueWith(type: ValueType, dims: readonly Size[], textBytes = 0): Value {
  return { type, dims, textBytes, integers: undefined, isConstant: false };
}

/** One output, made with so many operations for each of its elements. */
export function made(output: Value, operationsPerElement: number): StepCost {
  return { outputs: [output], work: product([...output.dims, fixedSize(operationsPerElement)]) };
}

export function isNumeric(value: Value | undefined): value is Value {
  return value !== undefined && value.type !== "text";
}

export function attributeOf({ attributes }: OnnxNode, name: string) {
  return attributes.find((attribute) => attribute.name === name);
}

export function integerOf(node: OnnxNode, name: string): number | undefined {
  return attributeOf(node, name)?.int;
}

/** Counted from the front; undefined when there is no such dimension. */
export function axisOf(node: OnnxNode, rank: number, usual: number): number | undefined {
  return inRank(integerOf(node, "axis") ?? usual, rank);
}

export function inRank(axis: number, rank: number): number | undefined {
  const front = axis < 0 ? axis + rank : axis;
  return front >= 0 && front < rank ? front : undefined;
}

/** The list of integers that an operator has as an attribute, or newer versions as an input. */
export function listOf({ node, inputs }: Step, name: string, input: number): readonly number[] | undefined {
  const attribute = attributeOf(node, name);
  if (attribute !== undefined) {
    return attribute.ints.length === attribute.intCount ? attribute.ints : undefined;
  }
  return inputs[input]?.integers;
}

/** A list of axes, each once, counted from the front. */
export function axesIn(axes: readonly number[] | undefined, rank: number): readonly number[] | undefined {
  const found = new Set<number>();
  for (const axis of axes ?? []) {
    const front = inRank(axis, rank);
    if (front === undefined || found.has(front)) return undefined;
    found.add(front);
  }
  return axes === undefined ? undefined : [...found];
}
