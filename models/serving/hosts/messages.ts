import type { ErrorKind } from "../../../shared/errors.ts";
import type { InspectionLimits } from "../repository/inspection.ts";
import type { ModelDescription } from "../repository/model.ts";
import type { Tensors } from "../tensors/tensors.ts";

/** What this process asks of a host process; one at a time, each answered once. */
export type HostRequest =
  | {
      readonly kind: "load";
      readonly key: string;
      /** The model version's folder. */
      readonly directory: string;
      readonly limits: InspectionLimits;
      /** Only a model whose cost is known before it runs; any other is answered with `apart`. */
      readonly onlyKnownCost: boolean;
    }
  /** Runs it once for nobody, so that the first request does not pay for what the runtime does once. */
  | { readonly kind: "warm"; readonly key: string; readonly directory: string }
  | {
      readonly kind: "run";
      readonly key: string;
      readonly inputs: Tensors;
      readonly outputs: readonly string[];
    }
  | { readonly kind: "unload"; readonly key: string };

export type HostAnswer = HostOutcome & {
  /** Whether the process has kept much more memory than its models take, and should be replaced. */
  readonly isGrown?: boolean;
};

export type HostOutcome =
  | LoadedAnswer
  /** Not loaded, as it was asked for: the model belongs where nobody waits behind it. */
  | { readonly kind: "apart" }
  | { readonly kind: "ran"; readonly outputs: Tensors; readonly runMs: number }
  /** Asked to run a model that is not loaded in this process. */
  | { readonly kind: "missing" }
  | { readonly kind: "warmed" }
  | { readonly kind: "unloaded" }
  | { readonly kind: "error"; readonly error: ErrorKind | "internal"; readonly message: string };

export interface LoadedAnswer {
  readonly kind: "loaded";
  readonly description: ModelDescription;
  /** Processor time that ONNX Runtime took to make the session. */
  readonly cpuMs: number;
  /** By how much the process grew. */
  readonly memoryBytes: number;
}

/** Said once, when the process can be asked. */
export interface HostReady {
  readonly kind: "ready";
}
