import { mkdtemp } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { endChild, node, run, stripped } from "./children.ts";
import { json } from "./payloads.ts";
import { listening, type Model, register } from "./servers.ts";

/** How long the first answer of a model takes, in milliseconds. */
export interface Cold {
  /** In a server that has answered for other models: each of these was never asked before. */
  readonly unloaded: readonly number[];
  /** From the start of the process. */
  readonly started: readonly number[];
}

const port = 18_071;
const { body, headers } = json(1, 20);

/** @param model of 20 features */
export async function coldStarts(folder: string, model: Uint8Array, count: number): Promise<Cold> {
  const data = await mkdtemp(path.join(folder, "cold-"));
  const root = path.dirname(path.dirname(import.meta.dirname));
  const command = [...node, ...stripped, path.join(root, "server/main.ts")];
  const env = { KETLINE_DATA: data, KETLINE_LOG_LEVEL: "warn", PORT: String(port) };
  const models = Array.from(
    { length: count + 1 },
    (_, index): Model => ({ name: `cold-${index}`, bytes: model }),
  );
  const server = await listening(command, env);
  for (const one of models) await register(server.url, one, {});
  const unloaded: number[] = [];
  for (const { name } of models) {
    const begun = performance.now();
    if (!(await answers(name))) throw new Error(`${name} was not answered.`);
    unloaded.push(performance.now() - begun);
  }
  await endChild(server.child);
  const started: number[] = [];
  for (let i = 0; i <= count; i++) {
    const begun = performance.now();
    const { child } = run("server", command, { env });
    while (!(await answers("cold-0"))) await sleep(5);
    started.push(performance.now() - begun);
    await endChild(child);
  }
  // The first of each also pays for what is done once.
  return { unloaded: unloaded.slice(1), started: started.slice(1) };
}

async function answers(name: string): Promise<boolean> {
  const url = `http://127.0.0.1:${port}/v2/models/${name}/infer`;
  try {
    const response = await fetch(url, { method: "POST", body: Buffer.from(body), headers });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false;
  }
}
