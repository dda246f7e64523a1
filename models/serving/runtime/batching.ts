import { timedOut, unavailable } from "../../../shared/errors.ts";
import { inlineSizeOf } from "../inline/cost.ts";
import { commonRows, joinRows, takeRows } from "../tensors/rows.ts";
import type { Tensors } from "../tensors/tensors.ts";
import type { OnnxSession } from "./onnx-session.ts";

/** Puts requests that wait for a model into one run. */
export interface Batcher {
  /**
   * @throws what the run of these inputs throws; timeout when its turn did not come in time; unavailable when the
   * caller went away before
   */
  run(inputs: Tensors, outputs: readonly string[], limits: WaitLimits): Promise<BatchResult>;
}

/** A run cannot be stopped, so they count until it begins. */
export interface WaitLimits {
  readonly timeoutMs: number;
  readonly caller?: { readonly isGone: boolean } | undefined;
}

export interface BatchResult {
  readonly outputs: Tensors;
  readonly runMs: number;
  /** 1 for one request of a run, 0 for those that came with it: they sum to the runs. */
  readonly executions: number;
  /** Of the whole run. */
  readonly elements: number;
}

/** Of a joined run: beyond it, copying the rows together costs more than a run of their own. */
const maxJoinedElements = 2 ** 14;
/**
 * Of a joined run. What a run costs by itself is shared well enough by so many, and answers begin to leave while the next
 * run is still to come: with all 64 of 64 clients in one run, each side waited for the other.
 */
const maxJoinedRequests = 16;

interface Waiting {
  readonly inputs: Tensors;
  readonly outputs: readonly string[];
  readonly limits: WaitLimits;
  readonly arrivedMs: number;
  readonly rows: number;
  readonly elements: number;
  resolve(result: BatchResult): void;
  reject(error: unknown): void;
}

/**
 * A request that finds the model free runs at once; what arrives meanwhile waits and then runs together, at the latest
 * in the next turn of the event loop. Nothing ever waits for others to come: a timer of a millisecond costs a lone
 * client seven eighths of its throughput. Every request gets exactly its own rows back; when a joint run fails, each is
 * run alone, so that only the faulty one fails.
 *
 * @param fits whether a run of so many elements is quick enough
 */
export function createBatcher(
  session: Pick<OnnxSession, "run">,
  fits: (elements: number) => boolean,
): Batcher {
  let waiting: Waiting[] = [];
  let running = false;

  const runAlone = async ({ inputs, outputs, elements, resolve, reject }: Waiting) => {
    try {
      resolve({ ...(await session.run(inputs, outputs)), executions: 1, elements });
    } catch (error) {
      reject(error);
    }
  };
  /** @returns undefined when it failed, or did not answer row by row */
  const runJoined = async (group: readonly Waiting[], outputs: readonly string[], rows: number) => {
    try {
      const result = await session.run(joinRows(group.map(({ inputs }) => inputs)), outputs);
      return commonRows(result.outputs) === rows ? result : undefined;
    } catch {
      return undefined;
    }
  };
  const runTogether = async (first: Waiting, group: readonly Waiting[]) => {
    const rows = group.reduce((sum, one) => sum + one.rows, 0);
    const elements = group.reduce((sum, one) => sum + one.elements, 0);
    const result = await runJoined(group, first.outputs, rows);
    if (result === undefined) {
      for (const one of group) await runAlone(one);
      return;
    }
    let start = 0;
    for (const one of group) {
      one.resolve({
        outputs: takeRows(result.outputs, start, one.rows),
        runMs: result.runMs,
        executions: one === first ? 1 : 0,
        elements,
      });
      start += one.rows;
    }
  };
  const runAll = async (): Promise<void> => {
    running = true;
    while (waiting.length > 0) {
      const nowMs = performance.now();
      const { first, group, rest } = split(
        waiting.filter((one) => isWanted(one, nowMs)),
        fits,
      );
      waiting = rest;
      if (first === undefined) continue;
      await (group.length === 1 ? runAlone(first) : runTogether(first, group));
    }
    running = false;
  };
  return {
    run: (inputs, outputs, limits) =>
      new Promise((resolve, reject) => {
        const rows = commonRows(inputs) ?? 0;
        const elements = inlineSizeOf(inputs);
        const arrivedMs = performance.now();
        waiting.push({ inputs, outputs, limits, arrivedMs, rows, elements, resolve, reject });
        if (!running) void runAll();
      }),
  };
}

/** Refuses what nobody waits for any more. */
function isWanted({ limits: { timeoutMs, caller }, arrivedMs, reject }: Waiting, nowMs: number): boolean {
  if (caller?.isGone === true) reject(unavailable("The request was given up."));
  else if (nowMs - arrivedMs > timeoutMs) {
    reject(timedOut(`The model's turn did not come within ${Math.round(timeoutMs)} ms.`));
  } else return true;
  return false;
}

interface Split {
  readonly first: Waiting | undefined;
  /** The first and those that can share its run, in their order. */
  readonly group: readonly Waiting[];
  readonly rest: Waiting[];
}

function split([first, ...others]: readonly Waiting[], fits: (elements: number) => boolean): Split {
  if (first === undefined) return { first, group: [], rest: [] };
  const group = [first];
  const rest: Waiting[] = [];
  let elements = first.elements;
  for (const other of others) {
    const sum = elements + other.elements;
    const isRoom = group.length < maxJoinedRequests && sum <= maxJoinedElements;
    if (isRoom && canShare(first, other) && fits(sum)) {
      group.push(other);
      elements = sum;
    } else rest.push(other);
  }
  return { first, group, rest };
}

/** Both want the same outputs, and their inputs differ in nothing but the number of rows. */
function canShare(a: Waiting, b: Waiting): boolean {
  if (a.rows === 0 || b.rows === 0 || a.outputs.length !== b.outputs.length) return false;
  if (!a.outputs.every((name, index) => name === b.outputs[index])) return false;
  for (const name in a.inputs) {
    const x = a.inputs[name];
    const y = b.inputs[name];
    if (x === undefined || y === undefined) return false;
    if (x.datatype !== y.datatype || x.shape.length !== y.shape.length) return false;
    for (let axis = 1; axis < x.shape.length; axis++) if (x.shape[axis] !== y.shape[axis]) return false;
  }
  return true;
}
