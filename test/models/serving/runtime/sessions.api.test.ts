import { readdir } from "node:fs/promises";
import path from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { createSessions, defaultSessionLimits } from "../../../../models/serving/runtime/sessions.ts";
import { call } from "../../../support/application.ts";
import { type ServingGround, type ServingGroundOptions, servingGround } from "../ground.ts";
import { linearModel, slowModel, tileModel } from "../models.ts";

let ground: ServingGround;
afterEach(() => ground.close());

const begin = async (options: ServingGroundOptions = {}) => {
  ground = await servingGround(options);
};
const ask = (model: string, data: readonly number[] = [1], shape: readonly number[] = [1, 1]) =>
  call(ground.app, "POST", `/v2/models/${model}/infer`, {
    inputs: [{ name: "X", shape, datatype: "FP32", data }],
  });
const register = async (name: string, weight: number) =>
  ground.models.register(name, { "model.onnx": linearModel([weight]) });
const value = (answer: { body: unknown }) =>
  (answer.body as { outputs?: { data: number[] }[] }).outputs?.[0]?.data[0];
/** Process ids of the hosts: the children of this process that run its code. */
const hostProcesses = async (): Promise<number[]> => {
  const { readFile } = await import("node:fs/promises");
  const found: number[] = [];
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const status = await readFile(`/proc/${name}/stat`, "utf8").catch(() => "");
    const command = await readFile(`/proc/${name}/cmdline`, "utf8").catch(() => "");
    const parent = Number(status.slice(status.lastIndexOf(")") + 2).split(" ")[1]);
    if (parent === process.pid && command.includes("host.process")) found.push(Number(name));
  }
  return found;
};

describe("sessions", () => {
  it("are loaded once for requests that arrive together", async () => {
    await begin();
    await register("shared", 2);
    const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => ask("shared", [i])));
    expect(answers.map(value)).toEqual(Array.from({ length: 20 }, (_, i) => 2 * i));
    expect(await readdir(path.join(ground.directory, "cache/models"))).toHaveLength(1);
  });

  it("are dropped for others without failing a request in the air", async () => {
    await begin({ limits: { maxCount: 2 } });
    for (let i = 0; i < 8; i++) await register(`m${i}`, i);
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, i) =>
        ask(`m${(i * 7) % 8}`, [i]).then((answer) => [i, answer] as const),
      ),
    );
    for (const [i, answer] of answers) expect(value(answer)).toBe(((i * 7) % 8) * i);
  });

  it("answer the same in this process as in a host, and large requests after small ones", async () => {
    await begin({
      limits: {
        inlineRule: { afterRuns: 2, maxFileBytes: 1e6, maxLoadMs: 60_000, maxRunMs: 60_000 },
      },
    });
    await register("moving", 3);
    for (let i = 0; i < 20; i++) {
      expect(value(await ask("moving", [i]))).toBe(3 * i);
      await new Promise((resolve) => setImmediate(resolve));
    }
    const rows = Array.from({ length: 1000 }, (_, i) => i);
    const large = await ask("moving", rows, [1000, 1]);
    expect((large.body as { outputs: { data: number[] }[] }).outputs[0]?.data[999]).toBe(2997);
    expect(value(await ask("moving", [5]))).toBe(15);
  });

  it("begin in a host, move here when they are quick, and stay out when their cost is not bounded", async () => {
    await begin();
    const inlineRule = { afterRuns: 2, maxFileBytes: 1e6, maxLoadMs: 60_000, maxRunMs: 60_000 };
    const limits = { ...defaultSessionLimits, hosts: 1, inlineRule };
    const { blobs, clock, directory, models } = ground;
    const sessions = createSessions({
      blobs,
      clock,
      models,
      logger: ground.logger,
      directory: path.join(directory, "own"),
      limits,
    });
    await register("quick", 2);
    await ground.models.register("tiled", { "model.onnx": tileModel() });
    const placesOf = async (name: string) => {
      const version = await ground.models.getVersion(name, 1);
      return sessions.withModel(version, 60_000, async (model) => {
        const places: string[] = [];
        for (let i = 0; i < 20; i++) {
          places.push(model.place);
          const X = { datatype: "FP32", shape: [1, 1], data: Float32Array.of(i) } as const;
          const { outputs } = await model.run({ X }, ["Y"], { timeoutMs: 10_000, budgetMs: 10_000 });
          expect(outputs.Y?.data[0]).toBe(2 * i);
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
        return places;
      });
    };
    const quick = await placesOf("quick");
    expect([quick[0], quick.at(-1)]).toEqual(["host", "inline"]);
    expect(new Set(await placesOf("tiled"))).toEqual(new Set(["host"]));
    expect(sessions.size.count).toBe(2);
    await sessions.close();
  });

  it("keep only so many bytes of files on the disk", async () => {
    await begin({ limits: { maxCacheBytes: 1 } });
    for (let i = 0; i < 3; i++) {
      await register(`m${i}`, i + 1);
      expect(value(await ask(`m${i}`))).toBe(i + 1);
    }
    expect(await readdir(path.join(ground.directory, "cache/models"))).toHaveLength(1);
    expect(value(await ask("m0"))).toBe(1);
  });
});

describe("a model that misbehaves", () => {
  it("is stopped when its time is up, and the others go on", async () => {
    await begin();
    await ground.models.register("slow", { "model.onnx": slowModel(400) });
    await register("quick", 2);
    expect(value(await ask("quick"))).toBe(2);
    await ground.serving.changeDeployment(
      "limited",
      { variants: [{ name: "v", model: "slow", version: "1", weight: 100 }], timeoutMs: 3000 },
      { actor: ground.actor, reason: "test" },
    );
    const size = 900;
    const slow = ask("limited", new Array(size * size).fill(0.001), [size, size]);
    const answer = await slow;
    expect(answer.status).toBe(504);
    expect((answer.body as { error: string }).error).toMatch(/3000 ms/);
    expect(answer.headers.get("ketline-deployment")).toBe("limited");
    expect(value(await ask("quick", [4]))).toBe(8);
  });

  it("is refused for a while when it ended its process twice", async () => {
    await begin();
    await ground.models.register("slow", { "model.onnx": slowModel(400) });
    await ground.serving.changeDeployment(
      "limited",
      { variants: [{ name: "v", model: "slow", version: "1", weight: 100 }], timeoutMs: 3000 },
      { actor: ground.actor, reason: "test" },
    );
    const size = 900;
    const attack = () => ask("limited", new Array(size * size).fill(0.001), [size, size]);
    expect((await attack()).status).toBe(504);
    // A busy machine may take longer to start another process than the deployment lets a request wait.
    await expect.poll(async () => (await ask("limited", [2])).status, { timeout: 20_000 }).toBe(200);
    expect((await attack()).status).toBe(504);
    await expect.poll(async () => (await ask("limited", [2])).status, { timeout: 20_000 }).toBe(503);
    const refused = await ask("limited", [2]);
    expect((refused.body as { error: string }).error).toContain("unhealthy");
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    const ready = await call(ground.app, "GET", "/v2/models/limited/ready");
    expect(ready.status).toBe(503);
    const { body } = await call(ground.app, "POST", "/v2/repository/index", {});
    expect(body).toContainEqual(expect.objectContaining({ name: "slow", state: "UNAVAILABLE" }));
    ground.clock.advance(31_000);
    await expect.poll(async () => (await ask("limited", [2])).status, { timeout: 20_000 }).toBe(200);
  });

  it.skipIf(process.platform !== "linux")(
    "fails only the request in its process when that is killed, with 503",
    async () => {
      await begin();
      await ground.models.register("slow", { "model.onnx": slowModel(400) });
      await register("quick", 2);
      expect(value(await ask("quick"))).toBe(2);
      const size = 900;
      const running = ask("slow", new Array(size * size).fill(0.001), [size, size]);
      // The request is in its process when the process uses the processor.
      const busy = async () => {
        for (const pid of await hostProcesses()) if ((await processorTicks(pid)) > 100) return pid;
        return undefined;
      };
      await expect.poll(busy, { timeout: 20_000 }).toBeDefined();
      const host = await busy();
      const waiting = ask("quick", [5]);
      process.kill(host ?? 0, "SIGKILL");
      const answer = await running;
      expect(answer.status).toBe(503);
      expect((answer.body as { error: string }).error).toContain("SIGKILL");
      expect(value(await waiting)).toBe(10);
      expect(value(await ask("slow", [2]))).toBeDefined();
    },
  );
});

async function processorTicks(pid: number): Promise<number> {
  const { readFile } = await import("node:fs/promises");
  const status = await readFile(`/proc/${pid}/stat`, "utf8");
  const fields = status.slice(status.lastIndexOf(")") + 2).split(" ");
  return Number(fields[11]) + Number(fields[12]);
}
