import type { BlobStore } from "../../shared/blobs/index.ts";
import type { Clock } from "../../shared/clock.ts";
import { isKetlineError, notFound, tooLarge } from "../../shared/errors.ts";
import { resultsDocument } from "../results/results.ts";
import type { Simulator } from "../simulator/simulator.ts";
import { jobDocument, outputKey } from "./documents.ts";
import { checkQirProfile, isQirProfile, readInput, readParams } from "./inputs.ts";
import type { LocalWorkspace } from "./local.ts";
import type { ItemRow, ItemStore } from "./store.ts";
import { localTarget } from "./targets.ts";

export interface ExecutionOptions {
  readonly items: ItemStore;
  readonly blobs: BlobStore;
  readonly simulator: Simulator;
  readonly workspace: LocalWorkspace;
  readonly clock: Clock;
}

export interface Attempt {
  readonly workspace: string;
  readonly id: string;
  /** The job of this server that executes it: after a crash the same one takes it up again. */
  readonly owner: string;
  readonly signal: AbortSignal;
  /** Whether the job has failed with this error, and is not executed again. */
  isEndedBy(error: unknown): boolean;
  readonly onProgress?: (done: number, message?: string) => void;
}

/**
 * Runs a waiting job of the local workspace on the simulator and writes its results. A job that somebody else executes,
 * or that has ended, is left alone; one that is cancelled meanwhile is stopped.
 */
export type Execute = (attempt: Attempt) => Promise<void>;

/** How often a running job looks whether it was cancelled, by whichever instance. */
const watchMs = 500;
const maxInputBytes = 16 * 1024 ** 2;

export function createExecution(options: ExecutionOptions): Execute {
  const { items, blobs, workspace, clock } = options;

  async function claim({ workspace: scope, id, owner }: Attempt): Promise<ItemRow | undefined> {
    const row = await workspace.job(scope, id);
    if (row.state === "Executing" && row.owner === owner) return row;
    const document = { ...jobDocument(row), beginMs: clock() };
    return items.change(
      row,
      { states: ["Waiting"] },
      { state: "Executing", owner, modified_ms: clock(), document: JSON.stringify(document) },
    );
  }

  /** Writes the end, unless the job was cancelled or taken over before. */
  async function finish(row: ItemRow, owner: string, state: string, changes: object): Promise<boolean> {
    const nowMs = clock();
    const current = await workspace.job(row.workspace, row.id); // name and tags may have changed meanwhile
    const document = { ...jobDocument(current), ...changes, endMs: nowMs };
    const written = await items.change(
      row,
      { states: ["Executing"], owner },
      { state, modified_ms: nowMs, document: JSON.stringify(document) },
    );
    return written !== undefined;
  }

  return async (attempt) => {
    const row = await claim(attempt);
    if (row === undefined) return;
    const cancelled = new AbortController();
    const watch = setInterval(() => {
      workspace.job(row.workspace, row.id).then(
        ({ state }) => {
          if (state !== "Executing") cancelled.abort();
        },
        (error: unknown) => {
          if (isKetlineError(error, "not_found")) cancelled.abort();
        },
      );
    }, watchMs);
    try {
      const signal = AbortSignal.any([attempt.signal, cancelled.signal]);
      const usage = await simulate(options, row, signal, attempt.onProgress);
      await finish(row, attempt.owner, "Completed", { usage });
    } catch (error) {
      if (cancelled.signal.aborted) return;
      attempt.signal.throwIfAborted();
      if (!attempt.isEndedBy(error)) throw error;
      const failed = await finish(row, attempt.owner, "Failed", { error: errorData(error) });
      if (failed) await workspace.jobFailed(row);
      if (!isFinal(error)) throw error;
    } finally {
      clearInterval(watch);
    }
  };

  async function simulate(
    { simulator }: ExecutionOptions,
    row: ItemRow,
    signal: AbortSignal,
    onProgress: Attempt["onProgress"],
  ): Promise<Readonly<Record<string, unknown>>> {
    const document = jobDocument(row);
    const target = localTarget(row.target);
    if (target === undefined) throw notFound(`The target ${row.target} is not there any more.`);
    const params = readParams(document.inputParams, target);
    const input = readInput(document.inputDataFormat, await readBlob(document.inputKey), params);
    const call = { signal, ...(onProgress === undefined ? {} : { onProgress }) };
    if (input.qir !== null) checkQirProfile(input.qir, target);
    else if (isQirProfile(target.profile)) await simulator.qir(input.program, target.profile, call);
    const startedMs = performance.now();
    const outcome = await simulator.run(input.program, params.shots, params.noise, call);
    const { count, first } = outcome.failures;
    if (count > 0) {
      throw new ShotsFailed(count, params.shots, first?.message ?? "the program gave no reason");
    }
    const text = JSON.stringify(resultsDocument(outcome, document.outputDataFormat));
    await blobs.put(outputKey(row), new TextEncoder().encode(text), { contentType: "application/json" });
    return { shots: params.shots, simulatorMs: Math.round(performance.now() - startedMs) };
  }

  async function readBlob(key: string): Promise<Uint8Array> {
    const found = await blobs.get(key);
    if (found === null) throw notFound(`The job's input ${key.split("/").at(-1)} was not uploaded.`);
    if (found.stat.sizeBytes > maxInputBytes) {
      await found.stream.cancel();
      throw tooLarge(
        `The job's input has ${found.stat.sizeBytes} bytes; at most ${maxInputBytes} are taken.`,
      );
    }
    return new Uint8Array(await new Response(found.stream).arrayBuffer());
  }
}

/** The program ran and failed in some of its shots. */
class ShotsFailed extends Error {
  constructor(count: number, shots: number, message: string) {
    super(`${count} of ${shots} shots failed: ${message}`);
    this.name = "ShotsFailed";
  }
}

/** Whether another attempt would meet the same error. */
function isFinal(error: unknown): boolean {
  return error instanceof ShotsFailed || (isKetlineError(error) && error.kind !== "unavailable");
}

function errorData(error: unknown): { readonly code: string; readonly message: string } {
  if (error instanceof ShotsFailed) return { code: "ProgramFailed", message: error.message };
  if (isKetlineError(error)) {
    return { code: error.kind === "too_large" ? "TooLarge" : "InvalidProgram", message: error.message };
  }
  return { code: "InternalError", message: "The simulator failed; the server's log says why." };
}
