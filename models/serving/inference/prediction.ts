import type { ErrorKind } from "../../../shared/errors.ts";
import type { Tensors } from "../tensors/tensors.ts";

/** One answered (or failed) request to one model version, as it is told to those who watch. */
export interface Prediction {
  readonly requestId: string;
  /** When the request arrived, in milliseconds since 1970-01-01 UTC. */
  readonly atMs: number;
  /** Null when a registered model was asked directly. */
  readonly deployment: string | null;
  readonly revision: number | null;
  readonly variant: string | null;
  /** A copy of a request that another variant has answered; its outputs reached no caller. */
  readonly shadow: boolean;
  readonly modelName: string;
  /** As the registry counts it: "1", "2", … */
  readonly modelVersion: string;
  /** As the model was fed, by name; the first dimension is the row. Never change them: they are not copies. */
  readonly inputs: Tensors;
  /** Empty when the status is `error`. */
  readonly outputs: Tensors;
  readonly status: "ok" | "error";
  /**
   * The kind of a KetlineError, or `internal`; `run_failed` where the model failed on inputs that agree with its own
   * signature, whatever the caller was answered: that is no mistake of the caller's, as far as anybody can tell.
   */
  readonly errorKind?: ErrorKind | "internal" | "run_failed";
  /** From the arrival of the request at this variant to its tensors; without parsing and writing of the body. */
  readonly durationMs: number;
}

/** Told of each prediction after its answer was handed over. What it throws is logged and changes nothing. */
export type PredictionListener = (prediction: Prediction) => void;
