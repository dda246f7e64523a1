import { writeFile } from "node:fs/promises";
import { insufficient, isKetlineError } from "../../../shared/errors.ts";
import { inspectModel } from "../repository/inspection.ts";
import type { ModelDescription } from "../repository/model.ts";
import { loadRuntime, type OnnxSession, openOnnxSession } from "../runtime/onnx-session.ts";
import { isByRow } from "../runtime/row-independence.ts";
import { warmUp } from "../runtime/warm-up.ts";
import type { Tensors } from "../tensors/tensors.ts";
import { ownBytes } from "./memory-watch.ts";
import type { HostAnswer, HostOutcome, HostReady, HostRequest } from "./messages.ts";

/*
 * A process that loads and runs models for the server. A process and not a thread, because a thread cannot be stopped
 * while ONNX Runtime works in it: `worker.terminate()` then aborts the whole process (onnxruntime-node 1.30.0, Node 22).
 */

interface Loaded {
  readonly session: OnnxSession;
  readonly description: ModelDescription;
  readonly memoryBytes: number;
}

const sessions = new Map<string, Loaded>();

/** Of one answer: as JSON it takes several times that in the server. */
const maxAnswerBytes = 16 * 1024 ** 2;
/** What a process may keep besides its models before it is replaced. */
const maxKeptBytes = 160 * 1024 ** 2;

async function answer(request: HostRequest): Promise<HostOutcome> {
  switch (request.kind) {
    case "load": {
      await release(request.key);
      const inspected = await inspectModel(request.directory, request.limits);
      if (request.onlyKnownCost && inspected.inlineCost === null) return { kind: "apart" };
      const before = process.cpuUsage();
      const bytesBefore = memoryNow();
      const session = await openOnnxSession(inspected.servedFile, inspected.hints);
      const { mlModel, ...rest } = inspected;
      const description = {
        ...rest,
        signature: session.signature,
        rowWise: inspected.rowWise && isByRow(session.signature),
        columns: mlModel?.columns ?? null,
        params: mlModel?.params ?? [],
      };
      const { user, system } = process.cpuUsage(before);
      const memoryBytes = Math.max(0, memoryNow() - bytesBefore);
      sessions.set(request.key, { session, description, memoryBytes });
      return { kind: "loaded", description, cpuMs: (user + system) / 1000, memoryBytes };
    }
    case "warm": {
      const loaded = sessions.get(request.key);
      if (loaded === undefined) return { kind: "missing" };
      await warmUp(loaded.session, loaded.description, request.directory);
      return { kind: "warmed" };
    }
    case "run": {
      const loaded = sessions.get(request.key);
      if (loaded === undefined) return { kind: "missing" };
      const result = await loaded.session.run(request.inputs, request.outputs);
      checkSize(result.outputs);
      return { kind: "ran", ...result };
    }
    case "unload":
      await release(request.key);
      return { kind: "unloaded" };
  }
}

async function release(key: string): Promise<void> {
  const loaded = sessions.get(key);
  sessions.delete(key);
  await loaded?.session.release();
}

/** @throws insufficient for an answer that the server should not have to hold */
function checkSize(outputs: Tensors): void {
  let bytes = 0;
  for (const name in outputs) {
    const data = outputs[name]?.data;
    if (data === undefined) continue;
    if (Array.isArray(data)) for (const text of data) bytes += 16 + 2 * text.length;
    else bytes += (data as Uint8Array).byteLength;
  }
  if (bytes <= maxAnswerBytes) return;
  const mebibytes = Math.ceil(bytes / 1024 ** 2);
  throw insufficient(
    `The model's answer has ${mebibytes} MiB; at most ${maxAnswerBytes / 1024 ** 2} MiB are sent for one request. ` +
      "Ask for fewer rows or for single outputs.",
  );
}

function memoryNow(): number {
  return ownBytes("self") || process.memoryUsage.rss();
}

let atStart = 0;

function isGrown(): boolean {
  let known = atStart;
  for (const { memoryBytes } of sessions.values()) known += memoryBytes;
  return memoryNow() - known > maxKeptBytes;
}

function failure(error: unknown): HostOutcome {
  const message = error instanceof Error ? error.message : String(error);
  // JavaScript's own words for an allocation that the limit of this process refused.
  const isMemory =
    error instanceof RangeError && /allocation failed|Invalid (typed )?array|string length/i.test(message);
  if (isMemory) {
    return {
      kind: "error",
      error: "insufficient",
      message: "The model's answer needs more memory than models may take.",
    };
  }
  return { kind: "error", error: isKetlineError(error) ? error.kind : "internal", message };
}

const send = (message: HostAnswer | HostReady) => process.send?.(message);

process.on("message", (request: HostRequest) => {
  answer(request)
    .catch(failure)
    .then((outcome) => send(isGrown() ? { ...outcome, isGrown: true } : outcome));
});
// Without its server a host has nobody to answer.
process.on("disconnect", () => process.exit(0));
// What the runtime does once is not counted as the first model's.
await loadRuntime().catch(() => undefined);
// Where memory runs out, Linux should end this process and not the server.
await writeFile("/proc/self/oom_score_adj", "900").catch(() => {});
atStart = memoryNow();
send({ kind: "ready" });
