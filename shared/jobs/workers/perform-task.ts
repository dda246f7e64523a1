import { type ErrorDetails, type ErrorKind, KetlineError } from "../../errors.ts";

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

/**
 * Imports the module that is asked for and calls its default export, on a thread or in a process that is not the
 * server's. Whatever it throws becomes data.
 */
export async function performTask(
  module: string,
  task: unknown,
  report: (done: number, message?: string) => void,
): Promise<WorkerOutcome> {
  try {
    const work = defaultExport(await import(module), module);
    return { kind: "result", result: await work(task, report) };
  } catch (error) {
    return { kind: "error", error: describe(error) };
  }
}

/** The error that was described there, a KetlineError as one of the same kind. */
export function rebuild({ name, message, stack, ketline }: WorkerError): Error {
  const error =
    ketline === undefined ? new Error(message) : new KetlineError(ketline.kind, message, ketline.details);
  error.name = name;
  if (stack !== undefined) error.stack = stack;
  return error;
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
