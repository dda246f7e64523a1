import type { MessagePort } from "node:worker_threads";
import { performTask, type WorkerOutcome } from "./perform-task.ts";

/** What crosses to the worker thread. */
export interface WorkerTask {
  /** The module whose default export does the work. */
  readonly module: string;
  readonly task: unknown;
  readonly port: MessagePort;
}

export type WorkerProgress = readonly [done: number, message: string | undefined];

/** Said before the work, so that nobody takes a thread that died in it for one that does not start. */
export const begun = "begun";

/** The one entry of every worker thread. */
export default async function runTask({ module, task, port }: WorkerTask): Promise<WorkerOutcome> {
  try {
    port.postMessage(begun);
    return await performTask(module, task, (done, message) => {
      port.postMessage([done, message] satisfies WorkerProgress);
    });
  } finally {
    port.close();
  }
}
