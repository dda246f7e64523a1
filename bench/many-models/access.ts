import { each, type HttpClient } from "./http-client.ts";
import { answerOf, nameOf } from "./models.ts";

export interface AccessOptions {
  readonly client: HttpClient;
  readonly requests: number;
  readonly connections: number;
  /** Which model is asked next. */
  readonly next: () => number;
  /** From 0 to below 1. */
  readonly random: () => number;
}

export interface Access {
  /** Milliseconds of the requests that found their model loaded, and of those that had to wait for it; sorted. */
  readonly hits: readonly number[];
  readonly misses: readonly number[];
  readonly wrong: readonly string[];
  readonly seconds: number;
}

/** A model that is there is found in microseconds; one that is not takes milliseconds to load. */
const missMs = 0.5;
const keepWrong = 20;

/** Asks models for predictions and holds each answer against what that very model must answer. */
export async function access(options: AccessOptions): Promise<Access> {
  const { client, requests, connections, next, random } = options;
  const hits: number[] = [];
  const misses: number[] = [];
  const wrong: string[] = [];
  const startedMs = performance.now();
  await each(Array(requests).keys(), connections, async () => {
    const index = next();
    const x = Array.from({ length: 4 }, () => 1 + Math.floor(random() * 9));
    const { ms, loadMs, problem } = await ask(client, index, x);
    (loadMs < missMs ? hits : misses).push(ms);
    if (problem !== undefined && wrong.length < keepWrong) wrong.push(problem);
  });
  const ascending = (a: number, b: number) => a - b;
  return {
    hits: hits.sort(ascending),
    misses: misses.sort(ascending),
    wrong,
    seconds: (performance.now() - startedMs) / 1000,
  };
}

export async function ask(
  client: HttpClient,
  index: number,
  x: readonly number[],
): Promise<{ ms: number; loadMs: number; problem: string | undefined }> {
  const inputs = [{ name: "X", datatype: "FP32", shape: [1, 4], data: x }];
  const startedMs = performance.now();
  const reply = await client.send("POST", `/v2/models/${nameOf(index)}/infer`, { inputs });
  const ms = performance.now() - startedMs;
  const loadMs = Number(/load;dur=([\d.]+)/.exec(reply.header("server-timing"))?.[1] ?? Number.NaN);
  return { ms, loadMs, problem: problemOf(index, x, reply) };
}

function problemOf(
  index: number,
  x: readonly number[],
  { status, text }: { readonly status: number; readonly text: string },
): string | undefined {
  if (status !== 200) return `${nameOf(index)}: ${status} ${text.slice(0, 300)}`;
  const body: { model_name: string; outputs: { data: number[] }[] } = JSON.parse(text);
  const answer = body.outputs[0]?.data[0];
  const right = answerOf(index, x);
  if (body.model_name === nameOf(index) && answer === right) return undefined;
  return `${nameOf(index)} answers ${answer} as ${body.model_name}; ${right} would be right.`;
}

/** Each of `count` as likely as any other. */
export function uniform(count: number, random: () => number): () => number {
  return () => Math.floor(random() * count);
}

/** The model of rank r with a weight of 1/r: a few stops have most of the passengers. Ranks are drawn at random. */
export function zipf(count: number, random: () => number): () => number {
  const order = Array.from({ length: count }, (_, index) => index);
  for (let last = count - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [order[last], order[other]] = [order[other] ?? 0, order[last] ?? 0];
  }
  const sums = new Float64Array(count);
  let sum = 0;
  for (let rank = 0; rank < count; rank++) {
    sum += 1 / (rank + 1);
    sums[rank] = sum;
  }
  return () => {
    const drawn = random() * sum;
    let [low, high] = [0, count - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((sums[middle] ?? 0) < drawn) low = middle + 1;
      else high = middle;
    }
    return order[low] ?? 0;
  };
}
