import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { createHosts } from "../../../../models/serving/hosts/hosts.ts";
import { Slot } from "../../../../models/serving/hosts/slot.ts";
import type { StartedHost } from "../../../../models/serving/hosts/start.ts";
import type { KetlineError } from "../../../../shared/errors.ts";
import { preloads } from "../../../../shared/processes/limited-process.ts";

const once = { timeoutMs: 20_000, budgetMs: 20_000 };
const unload = { kind: "unload", key: "any" } as const;

describe("a process for models", () => {
  it("gets by its whole path what the server loads first, and nothing else that the server was started with", () => {
    const server = [
      "--import",
      "./tools/stripped.mjs",
      "--cpu-prof",
      "--import=/opt/trace.mjs",
      "--import",
      "otel/register",
    ];
    expect(preloads(server, "/srv/ketline")).toEqual([
      "--import=file:///srv/ketline/tools/stripped.mjs",
      "--import=file:///opt/trace.mjs",
    ]);
  });

  it("answers when it has started", async () => {
    const directory = await mkdtemp(path.join(tmpdir(), "ketline-hosts-"));
    const hosts = createHosts({
      count: 1,
      directory,
      memoryBytes: 1024 ** 3,
      onLost: () => undefined,
      onStartFailure: (reason) => expect.unreachable(reason),
    });
    expect(await hosts.ask(hosts.choose(), unload, once)).toMatchObject({ kind: "unloaded" });
    expect(hosts.problem).toBeUndefined();
    await hosts.close();
    await rm(directory, { recursive: true });
  });

  it("that does not start says why in the log once, is not started again at once, and answers when to come back", async () => {
    let starts = 0;
    const reasons: string[] = [];
    const start = (): StartedHost => {
      starts++;
      const script = "console.error('bad option: --no-such'); process.exit(9)";
      const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "ignore", "pipe", "ipc"] });
      let said = "";
      child.stderr?.on("data", (text: Buffer) => {
        said += text;
      });
      return { process: child, said: () => said.trim() };
    };
    const slot = new Slot({
      index: 0,
      start,
      watch: undefined,
      onLost: () => undefined,
      onStartFailure: (reason) => reasons.push(reason),
    });
    const ask = () =>
      slot.ask(unload, once).then(
        () => expect.unreachable(),
        (error: KetlineError) => error,
      );
    const together = await Promise.all([ask(), ask(), ask()]);
    const later = await ask();
    for (const { kind, message, details } of [...together, later]) {
      expect(kind).toBe("unavailable");
      expect(message).toContain("does not start (exit code 9)");
      expect(details.retryAfterSeconds).toBeGreaterThanOrEqual(1);
    }
    expect(starts).toBe(1);
    expect(reasons).toEqual([expect.stringContaining("bad option: --no-such")]);
    expect(slot.problem).toContain("does not start");
    // Asking for the problem tries again once the pause is over, so that it does not stay when nobody sends requests.
    await expect.poll(() => slot.problem !== undefined && starts, { timeout: 10_000 }).toBe(2);
    expect(reasons).toHaveLength(1);
    await slot.close();
  });
});
