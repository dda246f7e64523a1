import { readFileSync } from "node:fs";
import { serialize } from "node:v8";
import { sacrificeFirst } from "../../processes/index.ts";
import { performTask, type WorkerOutcome } from "./perform-task.ts";

/** What crosses to the process. */
export interface ProcessTask {
  /** The module whose default export does the work. */
  readonly module: string;
  readonly task: unknown;
}

/** What crosses back. The outcome travels as the bytes of a structured clone, so that its size can be bounded here. */
export type ProcessMessage =
  | { readonly kind: "ready" }
  | { readonly kind: "progress"; readonly done: number; readonly message: string | undefined }
  | { readonly kind: "done"; readonly outcome: Uint8Array; readonly heldBytes: number };

/** More would be taken from the server's memory, which is to outlive what strangers send. */
const maxOutcomeBytes = 1024 ** 3;

const send = (message: ProcessMessage) => process.send?.(message);

async function perform({ module, task }: ProcessTask): Promise<void> {
  const outcome = await performTask(module, task, (done, message) =>
    send({ kind: "progress", done, message }),
  );
  send({ kind: "done", outcome: bounded(outcome), heldBytes: heldBytes() });
}

function bounded(outcome: WorkerOutcome): Uint8Array {
  const bytes = serialize(outcome);
  if (bytes.byteLength <= maxOutcomeBytes) return bytes;
  const message = `The result has ${bytes.byteLength} bytes; at most ${maxOutcomeBytes} are passed on.`;
  const ketline = { kind: "too_large", details: {} } as const;
  const error = { name: "KetlineError", message, stack: undefined, ketline };
  return serialize({ kind: "error", error } satisfies WorkerOutcome);
}

/** What counts against the limit (`VmData`): memory that an allocator keeps for later counts although it is not used. */
function heldBytes(): number {
  try {
    return Number(/^VmData:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1]) * 1024;
  } catch {
    return process.memoryUsage.rss();
  }
}

process.on("message", (request: ProcessTask) => void perform(request));
// Without its server there is nobody to answer.
process.on("disconnect", () => process.exit(0));
sacrificeFirst().then(() => send({ kind: "ready" }));
