import type { MessagePort } from "node:worker_threads";
import type { ErrorDetails, ErrorKind, KetlineError } from "../errors.ts";

/** What crosses to the worker thread. */
export interface WorkerTask {
  /** The module whose default export does the work. */
  readonly module: string;
  readonly task: unknown;
  readonly port: MessagePort;
}

/** What crosses back. Errors travel as data: a structured clone would drop their kind. */
export type WorkerOutcome =
  | { readonly kind: "result"; readonly result: unknown }
  | { readonly kind: "error"; readonly error: WorkerError };

export interface WorkerError {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  /** Present for Ketline's own errors. */
  readonly ketline?: {
    readonly kind: ErrorKind;
    readonly details: Pick<ErrorDetails, "field" | "code" | "retryAfterSeconds">;
  };
}

export type WorkerProgress = readonly [done: number, message: string | undefined];

/** The one entry of every worker thread: imports the module that is asked for and calls its default export. */
export default async function runTask({ module, task, port }: WorkerTask): Promise<WorkerOutcome> {
  try {
    const work = defaultExport(await import(module), module);
    const report = (done: number, message?: string): void => {
      port.postMessage([done, message] satisfies WorkerProgress);
    };
    return { kind: "result", result: await work(task, report) };
  } catch (error) {
    return { kind: "error", error: describe(error) };
  } finally {
    port.close();
  }
}

type Work = (task: unknown, report: (done: number, message?: string) => void) => unknown;

/** A CommonJS bundle arrives with its exports one level deeper than an ES module. */
function defaultExport(imported: { default?: unknown }, module: string): Work {
  const first = imported.default;
  if (typeof first === "function") return first as Work;
  const second =
    typeof first === "object" && first !== null && "default" in first ? first.default : undefined;
  if (typeof second === "function") return second as Work;
  throw new Error(`The worker module ${module} has no function as its default export.`);
}

function describe(error: unknown): WorkerError {
  if (!(error instanceof Error)) return { name: "Error", message: String(error), stack: undefined };
  const { name, message, stack } = error;
  if (!isKetlineError(error)) return { name, message, stack };
  const { field, code, retryAfterSeconds } = error.details;
  const details = {
    ...(field === undefined ? {} : { field }),
    ...(code === undefined ? {} : { code }),
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
  };
  return { name, message, stack, ketline: { kind: error.kind, details } };
}

/** Told by its shape: where each worker is a bundle of its own, it has its own copy of the class. */
function isKetlineError(error: Error): error is KetlineError {
  return error.name === "KetlineError" && "kind" in error && "details" in error;
}
