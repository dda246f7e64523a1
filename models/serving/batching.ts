import type { OnnxSession } from "./onnx-session.ts";
import { commonRows, joinRows, takeRows } from "./rows.ts";
import type { Tensors } from "./tensors.ts";

/** Puts requests that wait for a model into one run. */
export interface Batcher {
  run(inputs: Tensors, outputs: readonly string[]): Promise<BatchResult>;
}

export interface BatchResult {
  readonly outputs: Tensors;
  readonly runMs: number;
  /** 1 for one request of a run, 0 for those that came with it: they sum to the runs. */
  readonly executions: number;
  /** Of the whole run. */
  readonly elements: number;
}

interface Waiting {
  readonly inputs: Tensors;
  readonly outputs: readonly string[];
  readonly rows: number;
  readonly elements: number;
  /** Requests with the same key can share a run. */
  readonly key: string;
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
export function createBatcher(session: OnnxSession, fits: (elements: number) => boolean): Batcher {
  const waiting: Waiting[] = [];
  let running = false;

  const runAlone = async ({ inputs, outputs, elements, resolve, reject }: Waiting) => {
    try {
      resolve({ ...(await session.run(inputs, outputs)), executions: 1, elements });
    } catch (error) {
      reject(error);
    }
  };
  const runTogether = async (group: readonly Waiting[]) => {
    const [first] = group;
    if (first === undefined) return;
    const rows = group.reduce((sum, one) => sum + one.rows, 0);
    const elements = group.reduce((sum, one) => sum + one.elements, 0);
    const result = await session
      .run(joinRows(group.map(({ inputs }) => inputs)), first.outputs)
      .catch(() => undefined);
    if (result === undefined || commonRows(result.outputs) !== rows) {
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
  const next = async (): Promise<void> => {
    running = true;
    while (waiting.length > 0) {
      const group = takeGroup(waiting, fits);
      const [only, second] = group;
      if (only !== undefined && second === undefined) await runAlone(only);
      else await runTogether(group);
    }
    running = false;
  };
  return {
    run: (inputs, outputs) =>
      new Promise((resolve, reject) => {
        const { key, elements } = shapeOf(inputs, outputs);
        const rows = commonRows(inputs) ?? 0;
        waiting.push({ inputs, outputs, rows, elements, key, resolve, reject });
        if (!running) void next();
      }),
  };
}

/** The first that waits, and those behind it that can share its run, in their order. */
function takeGroup(waiting: Waiting[], fits: (elements: number) => boolean): Waiting[] {
  const first = waiting.shift();
  if (first === undefined) return [];
  const group = [first];
  if (first.rows === 0) return group;
  let elements = first.elements;
  while (waiting.length > 0) {
    const candidate = waiting[0];
    if (candidate === undefined || candidate.key !== first.key || candidate.rows === 0) break;
    if (!fits(elements + candidate.elements)) break;
    group.push(candidate);
    elements += candidate.elements;
    waiting.shift();
  }
  return group;
}

function shapeOf(inputs: Tensors, outputs: readonly string[]): { key: string; elements: number } {
  let key = outputs.join("\n");
  let elements = 0;
  for (const name of Object.keys(inputs).sort()) {
    const tensor = inputs[name];
    if (tensor === undefined) continue;
    key += `\n${name} ${tensor.shape.slice(1).join()}`;
    elements += tensor.data.length;
  }
  return { key, elements };
}
