import { buildModel, encodeModel, node, tensor, tensorInfo } from "../../shared/onnx/index.ts";
import { version } from "../../shared/version.ts";

/* One model for each stop and segment: each answers differently, in whole numbers that float32 holds exactly. */

const segments = ["weekday", "saturday", "sunday"] as const;
const features = 4;

export function nameOf(index: number): string {
  return `stop-${Math.floor(index / segments.length)}-${segments[index % segments.length]}`;
}

/** Y = (index + 1) · x0 + 2 · x1 + 3 · x2 + 4 · x3 + index mod 97 */
export function modelOf(index: number): Uint8Array<ArrayBuffer> {
  return encodeModel(
    buildModel({
      name: nameOf(index),
      producerVersion: version,
      inputs: [tensorInfo("X", "float32", ["N", features])],
      outputs: [tensorInfo("Y", "float32", ["N", 1])],
      nodes: [node("MatMul", ["X", "W"], ["XW"]), node("Add", ["XW", "B"], ["Y"])],
      initializers: [
        tensor("W", Float32Array.of(index + 1, 2, 3, 4), [features, 1]),
        tensor("B", Float32Array.of(index % 97)),
      ],
    }),
  );
}

/** What that very model, and no other, answers: x0 is at least 1. */
export function answerOf(index: number, x: readonly number[]): number {
  const [x0 = 0, x1 = 0, x2 = 0, x3 = 0] = x;
  return (index + 1) * x0 + 2 * x1 + 3 * x2 + 4 * x3 + (index % 97);
}
