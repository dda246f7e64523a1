import { once } from "node:events";
import { readdir } from "node:fs/promises";
import http, { type IncomingMessage, type RequestOptions } from "node:http";
import { createServer } from "node:net";
import path from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { createPlatform } from "../../platform.ts";
import { type RunningServer, startServer } from "../../server/server.ts";
import { loadConfig } from "../../shared/config.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const artifact = "/api/2.0/mlflow-artifacts/artifacts/0/file.bin";
const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

describe("the standalone server", () => {
  it("takes any free port and answers GET and HEAD there", async () => {
    const { url } = await serve();
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(await (await fetch(`${url}/health`)).text()).toBe("OK");
    const head = await fetch(`${url}/openapi.json`, { method: "HEAD" });
    expect([head.status, await head.text()]).toEqual([200, ""]);
  });

  it("says in one sentence that a port is taken, and leaves nothing open", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    cleanups.push(async () => other.close());
    const address = other.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    await expect(serve({ PORT: String(port) })).rejects.toThrow(
      `Port ${port} on 127.0.0.1 is taken by another program; stop that one, or choose another with PORT=7072.`,
    );
  });

  it("asks for the body of a request that waits to be asked", async () => {
    const { url } = await serve();
    const request = open(`${url}${artifact}`, {
      method: "PUT",
      headers: { expect: "100-continue", "content-length": 4 },
    });
    request.flushHeaders();
    await once(request, "continue");
    request.end("abcd");
    const [response] = (await once(request, "response")) as [IncomingMessage];
    expect(response.statusCode).toBe(200);
    expect(await (await fetch(`${url}${artifact}`)).text()).toBe("abcd");
  });

  it("leaves nothing behind of an upload that breaks off", async () => {
    const { url, server, data } = await serve();
    const request = open(`${url}${artifact}`, { method: "PUT", headers: { "content-length": 1024 ** 2 } });
    request.on("error", () => {});
    await new Promise((resolve) => request.write(Buffer.alloc(300_000), resolve));
    await filesIn(path.join(data, "blobs"), (files) => files.length > 0);
    request.destroy();
    await server.stop();
    expect(await filesIn(path.join(data, "blobs"))).toEqual([]);
  });

  it("refuses what is not HTTP without falling over", async () => {
    const { url } = await serve();
    const socket = (await import("node:net")).connect(Number(new URL(url).port), "127.0.0.1");
    socket.end("nonsense\r\n\r\n");
    expect(String((await once(socket, "data"))[0])).toMatch(/^HTTP\/1\.1 400 /);
    expect((await fetch(`${url}/health`)).status).toBe(200);
  });

  it("finishes the request in the air before it stops, and takes no other", async () => {
    const { url, server } = await serve();
    const request = open(`${url}${artifact}`, { method: "PUT", headers: { "content-length": 8 } });
    await new Promise((resolve) => request.write("half", resolve));
    await fetch(`${url}/health`); // whose connection stays open, idle
    const stopped = server.stop();
    await expect(fetch(`${url}/health`)).rejects.toThrow("fetch failed");
    request.end("half");
    const [response] = (await once(request, "response")) as [IncomingMessage];
    response.resume();
    expect(response.statusCode).toBe(200);
    await stopped;
  });

  it("cuts off what takes longer than the limit", async () => {
    const { url, server } = await serve();
    const request = open(`${url}${artifact}`, { method: "PUT", headers: { "content-length": 8 } });
    const failed = once(request, "error");
    await new Promise((resolve) => request.write("half", resolve));
    await server.stop(50);
    expect(String((await failed)[0])).toMatch(/ECONNRESET|socket hang up/);
  });

  it("keeps what it was told when it starts again", async () => {
    const first = await serve();
    await fetch(`${first.url}${artifact}`, { method: "PUT", body: "kept" });
    await first.server.stop();
    const second = await serve({ KETLINE_DATA: first.data });
    expect(await (await fetch(`${second.url}${artifact}`)).text()).toBe("kept");
  });
});

async function serve(
  env: Readonly<Record<string, string>> = {},
): Promise<{ url: string; server: RunningServer; data: string }> {
  const directory = await temporaryDirectory();
  cleanups.push(() => directory.remove());
  const data = env.KETLINE_DATA ?? directory.path;
  const config = loadConfig({ PORT: "0", KETLINE_LOG_LEVEL: "silent", ...env, KETLINE_DATA: data });
  const running = await startServer(await createPlatform(config));
  let stopped: Promise<void> | undefined;
  const server: RunningServer = {
    url: running.url,
    stop(graceMs) {
      stopped ??= running.stop(graceMs);
      return stopped;
    },
  };
  cleanups.push(() => server.stop(0));
  return { url: running.url, server, data };
}

function open(url: string, options: RequestOptions): http.ClientRequest {
  return http.request(url, { ...options, agent: false });
}

/** The files below a directory, once they are as awaited. */
async function filesIn(
  directory: string,
  until: (files: string[]) => boolean = () => true,
): Promise<string[]> {
  for (;;) {
    const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => []);
    const files = entries
      .filter((entry) => entry.isFile())
      .map((entry) => path.join(entry.parentPath, entry.name));
    if (until(files)) return files;
    await new Promise((resolve) => setImmediate(resolve));
  }
}
