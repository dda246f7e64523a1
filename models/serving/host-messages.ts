import type { ErrorKind } from "../../shared/errors.ts";
import type { InspectionLimits } from "./inspection.ts";
import type { ModelDescription } from "./model.ts";
import type { Tensors } from "./tensors.ts";

/** What this process asks of a host process; one at a time, each answered once. */
export type HostRequest =
  | {
      readonly kind: "load";
      readonly key: string;
      /** The model version's folder. */
      readonly directory: string;
      readonly limits: InspectionLimits;
    }
  | {
      readonly kind: "run";
      readonly key: string;
      readonly inputs: Tensors;
      readonly outputs: readonly string[];
    }
  | { readonly kind: "unload"; readonly key: string };

export type HostAnswer =
  /** `cpuMs`: processor time that ONNX Runtime took to make the session. */
  | { readonly kind: "loaded"; readonly description: ModelDescription; readonly cpuMs: number }
  | { readonly kind: "ran"; readonly outputs: Tensors; readonly runMs: number }
  /** Asked to run a model that is not loaded in this process. */
  | { readonly kind: "missing" }
  | { readonly kind: "unloaded" }
  | { readonly kind: "error"; readonly error: ErrorKind | "internal"; readonly message: string };

/** Said once, when the process can be asked. */
export interface HostReady {
  readonly kind: "ready";
}
