import { EventEmitter } from "node:events";
import { describe, expect, it } from "vitest";
import { stopOnSignals } from "../../server/signals.ts";

describe("signals", () => {
  it.each(["SIGTERM", "SIGINT"])("the first %s stops in good order and exits with 0", async (signal) => {
    const server = start();
    server.signals.emit(signal, signal);
    expect(server.exits).toEqual([]);
    await server.finish();
    expect(server.exits).toEqual([0]);
    expect(server.said).toEqual(["Stopping: finishing what runs. Once more to stop at once."]);
  });

  it("the copies of one Ctrl-C that npm and the launcher pass on count once", async () => {
    const server = start();
    for (const ms of [0, 3, 40]) {
      server.nowMs = ms;
      server.signals.emit("SIGINT", "SIGINT");
    }
    expect(server.exits).toEqual([]);
    expect(server.stops).toBe(1);
  });

  it("a second one exits at once, with the signal's own code", () => {
    const server = start();
    server.signals.emit("SIGINT", "SIGINT");
    server.nowMs = 1500;
    server.signals.emit("SIGINT", "SIGINT");
    expect(server.exits).toEqual([130]);
  });

  it("a stop that fails says why and exits with 1", async () => {
    const server = start();
    server.signals.emit("SIGTERM", "SIGTERM");
    await server.fail(new Error("the disk is full"));
    expect(server.exits).toEqual([1]);
    expect(server.said.at(-1)).toBe("Stopping failed: the disk is full");
  });
});

function start() {
  const stopping = Promise.withResolvers<void>();
  const server = {
    signals: new EventEmitter(),
    nowMs: 0,
    stops: 0,
    exits: [] as number[],
    said: [] as string[],
    async finish() {
      stopping.resolve();
      await turn();
    },
    async fail(error: Error) {
      stopping.reject(error);
      await turn();
    },
  };
  stopOnSignals({
    signals: server.signals,
    now: () => server.nowMs,
    exit: (code) => server.exits.push(code),
    say: (line) => server.said.push(line),
    stop: () => {
      server.stops++;
      return stopping.promise;
    },
  });
  return server;
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
