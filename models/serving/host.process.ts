import { writeFile } from "node:fs/promises";
import { isKetlineError } from "../../shared/errors.ts";
import type { HostAnswer, HostReady, HostRequest } from "./host-messages.ts";
import { inspectModel } from "./inspection.ts";
import { loadRuntime, type OnnxSession, openOnnxSession } from "./onnx-session.ts";
import { isByRow } from "./row-independence.ts";
import { warmUp } from "./warm-up.ts";

/*
 * A process that loads and runs models for the server. A process and not a thread, because a thread cannot be stopped
 * while ONNX Runtime works in it: `worker.terminate()` then aborts the whole process (onnxruntime-node 1.30.0, Node 22).
 */

const sessions = new Map<string, OnnxSession>();

async function answer(request: HostRequest): Promise<HostAnswer> {
  switch (request.kind) {
    case "load": {
      await sessions.get(request.key)?.release();
      sessions.delete(request.key);
      const inspected = await inspectModel(request.directory, request.limits);
      const before = process.cpuUsage();
      const session = await openOnnxSession(inspected.servedFile, inspected.hints);
      sessions.set(request.key, session);
      const { mlModel, ...rest } = inspected;
      const description = {
        ...rest,
        signature: session.signature,
        rowWise: inspected.rowWise && isByRow(session.signature),
        columns: mlModel?.columns ?? null,
        params: mlModel?.params ?? [],
      };
      const { user, system } = process.cpuUsage(before);
      await warmUp(session, description, request.directory);
      return { kind: "loaded", description, cpuMs: (user + system) / 1000 };
    }
    case "run": {
      const session = sessions.get(request.key);
      if (session === undefined) return { kind: "missing" };
      return { kind: "ran", ...(await session.run(request.inputs, request.outputs)) };
    }
    case "unload":
      await sessions.get(request.key)?.release();
      sessions.delete(request.key);
      return { kind: "unloaded" };
  }
}

function failure(error: unknown): HostAnswer {
  const message = error instanceof Error ? error.message : String(error);
  return { kind: "error", error: isKetlineError(error) ? error.kind : "internal", message };
}

const send = (message: HostAnswer | HostReady) => process.send?.(message);

process.on("message", (request: HostRequest) => {
  answer(request).catch(failure).then(send);
});
// Without its server a host has nobody to answer.
process.on("disconnect", () => process.exit(0));
// What the runtime does once is not counted as the first model's.
await loadRuntime().catch(() => undefined);
// Where memory runs out, Linux should end this process and not the server.
await writeFile("/proc/self/oom_score_adj", "900").catch(() => {});
send({ kind: "ready" });
