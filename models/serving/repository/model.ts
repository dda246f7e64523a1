import type { InlineCost } from "../inline/cost.ts";
import type { ModelSignature, UnservedValue } from "../tensors/signature.ts";
import type { Tensors } from "../tensors/tensors.ts";
import type { ColumnSpec, ParamSpec } from "./mlmodel.ts";

/** What is known of a model version once its files were read and checked. */
export interface ModelDescription {
  readonly signature: ModelSignature;
  /** The class of each column of an output of class scores, by the name of the output. */
  readonly classLabels: Readonly<Record<string, readonly string[]>>;
  /** Of an MLflow signature by columns. */
  readonly columns: readonly ColumnSpec[] | null;
  readonly params: readonly ParamSpec[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly nodeCount: number;
  /** Of the model and its external data. */
  readonly fileBytes: number;
  /** What one run costs at most; null when it must not run in the server (see `inline-cost.ts`). */
  readonly inlineCost: InlineCost | null;
  /** Whether its operators are known to answer each row from nothing but that row (see `row-operators.ts`). */
  readonly rowWise: boolean;
  /** The file to load, an absolute path: the model itself, or its rewritten copy. */
  readonly servedFile: string;
  readonly hints: InterfaceHints;
}

/** What a session has to know of inputs and outputs besides what ONNX Runtime tells of them. */
export interface InterfaceHints {
  /** Those whose number of dimensions the model leaves open. */
  readonly unranked: readonly string[];
  /** What inputs are that a request leaves out. */
  readonly defaults: Tensors;
  readonly unserved: readonly UnservedValue[];
}
