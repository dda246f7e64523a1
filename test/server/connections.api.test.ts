import { once } from "node:events";
import http, { type IncomingMessage } from "node:http";
import { connect, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { type Listener, listen } from "../../server/listener.ts";
import { loadConfig } from "../../shared/config.ts";
import { createApplication, createDirectRoutes, directRoute, json, route } from "../../shared/http/index.ts";
import { createLogger } from "../../shared/telemetry/index.ts";

const logger = createLogger(loadConfig({ KETLINE_LOG_LEVEL: "silent" }));
const page = "x".repeat(300_000);
let begun = 0;
let atWork = 0;
let maxAtWork = 0;
let streams = 0;
let pulled = 0;
let cancelled = 0;
let listener: Listener;
let port: number;

const ok = { 200: { description: "as sent" } };
const common = { protocol: "ketline", role: "public", tag: "Test", summary: "Test", responses: ok } as const;
const slowly = async () => {
  begun++;
  maxAtWork = Math.max(maxAtWork, ++atWork);
  await new Promise((resolve) => setImmediate(resolve));
  atWork--;
  return json({ page });
};
const routes = [
  route({ ...common, method: "GET", path: "/page", handle: slowly }),
  route({
    ...common,
    method: "POST",
    path: "/pages",
    body: z.object({ text: z.string() }),
    handle: async ({ body }) => {
      await slowly();
      return json({ length: body.text.length });
    },
  }),
  directRoute({ ...common, method: "GET", path: "/direct", handle: slowly }),
  route({ ...common, method: "GET", path: "/health", handle: () => new Response("OK") }),
  route({ ...common, method: "GET", path: "/quick/:n", handle: ({ params }) => json(params.n) }),
  route({
    ...common,
    method: "GET",
    path: "/file",
    timeoutMs: 0,
    handle: () => {
      const endless = {
        pull: (controller: ReadableStreamDefaultController<Uint8Array>) => {
          pulled++;
          controller.enqueue(new Uint8Array(65_536));
        },
        cancel: () => void cancelled++,
      };
      return new Response(new ReadableStream(endless, { highWaterMark: 0 }));
    },
  }),
  route({
    ...common,
    method: "GET",
    path: "/stream",
    timeoutMs: 0,
    handle: ({ signal }) => {
      streams++;
      signal.addEventListener("abort", () => streams--);
      return new Response(
        new ReadableStream({ start: (controller) => controller.enqueue(new Uint8Array(1)) }),
        {
          headers: { "content-type": "text/event-stream" },
        },
      );
    },
  }),
];

beforeAll(async () => {
  const options = { routes, logger, identity: { authenticate: () => null } };
  const application = createApplication(options);
  listener = await listen(
    { fetch: application.fetch, direct: createDirectRoutes(options) },
    { host: "127.0.0.1", port: 0 },
    logger,
  );
  port = Number(new URL(listener.url).port);
});
afterAll(() => listener.stop(0));

async function open(): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  await once(socket, "connect");
  return socket;
}
const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`;
const health = async () => (await fetch(`${listener.url}/health`)).text();
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}
/** Waits until nothing has begun for some turns of requests of another connection. */
async function quiet(): Promise<void> {
  for (let before = -1; before !== begun; ) {
    before = begun;
    for (let i = 0; i < 50; i++) await health();
  }
}

describe("a connection that pipelines and never reads", () => {
  it.each(["/page", "/direct"])("has one request of %s at work and holds few answers", async (path) => {
    begun = maxAtWork = 0;
    const socket = await open();
    socket.pause();
    const heapBefore = process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed;
    socket.write(get(path).repeat(55_000));
    await until(() => begun > 0);
    await quiet();
    expect(maxAtWork).toBe(1);
    expect(begun).toBeLessThan(100); // what the kernel's buffers take of 300 kB each
    expect(process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed - heapBefore).toBeLessThan(
      100e6,
    );
    socket.destroy();
    await quiet();
    const after = begun;
    await quiet();
    expect(begun).toBe(after);
  });

  it("has one at work of requests with bodies, too", async () => {
    begun = maxAtWork = 0;
    const body = JSON.stringify({ text: "y".repeat(1000) });
    const post = `POST /pages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    const socket = await open();
    let got = "";
    socket.on("data", (chunk) => {
      got += chunk;
    });
    socket.write(post.repeat(500));
    await until(() => got.split("HTTP/1.1 200").length === 501);
    expect([maxAtWork, begun]).toEqual([1, 500]);
    socket.destroy();
  });

  it("gets its answers in order once it reads", async () => {
    const socket = await open();
    let got = "";
    socket.on("data", (chunk) => {
      got += chunk;
    });
    socket.write(Array.from({ length: 3000 }, (_, n) => get(`/quick/${n}`)).join(""));
    await until(() => got.includes('"2999"'));
    expect([...got.matchAll(/"(\d+)"/g)].map(([, n]) => Number(n))).toEqual(
      Array.from({ length: 3000 }, (_, n) => n),
    );
    socket.destroy();
  });

  it("leaves no stream behind when it closes", async () => {
    const socket = await open();
    socket.write(get("/stream").repeat(20));
    await until(() => streams > 0);
    expect(streams).toBe(1);
    socket.resetAndDestroy();
    await until(() => streams === 0);
    expect(await health()).toBe("OK");
  });

  it("is answered though it has closed its own side", async () => {
    const socket = await open();
    let got = "";
    socket.on("data", (chunk) => {
      got += chunk;
    });
    socket.end(get("/quick/1") + get("/quick/2"));
    await once(socket, "close");
    expect([...got.matchAll(/"(\d+)"/g)].map(([, n]) => n)).toEqual(["1", "2"]);
  });
});

describe("clients that are slow", () => {
  it("keep no more of a large file in memory than what is on its way", async () => {
    const before = process.memoryUsage().arrayBuffers;
    const sockets = await Promise.all(Array.from({ length: 20 }, open));
    for (const socket of sockets) {
      socket.pause();
      socket.write(get("/file"));
    }
    await until(() => pulled >= 20);
    await quiet();
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(100e6);
    expect(pulled).toBeLessThan(20 * 100);
    for (const socket of sockets) socket.destroy();
    await until(() => cancelled === 20);
  });

  it("and those who say nothing leave room for others, up to the limit of connections", async () => {
    const few = await listen({ fetch: () => new Response("OK") }, { host: "127.0.0.1", port: 0 }, logger, 50);
    const place = Number(new URL(few.url).port);
    const idle = Array.from({ length: 60 }, () => connect(place, "127.0.0.1").on("error", () => {}));
    await until(() => idle.filter((socket) => socket.closed).length === 10);
    for (const socket of idle) socket.destroy();
    await until(() => idle.every((socket) => socket.closed));
    let answer = "";
    while (answer !== "OK")
      answer = await fetch(few.url).then(
        (one) => one.text(),
        () => "",
      );
    await few.stop(0);
  });

  it("hold nobody up with half a head or half a body", async () => {
    const halves = await Promise.all(Array.from({ length: 200 }, open));
    for (const [index, socket] of halves.entries()) {
      const head =
        "POST /pages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n";
      socket.write(index % 2 === 0 ? head : `${head}\r\n{"a`);
    }
    expect(await health()).toBe("OK");
    for (const socket of halves) socket.resetAndDestroy();
    expect(await health()).toBe("OK");
  });
});

describe("a body that is refused before it is read", () => {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  afterAll(() => agent.destroy());
  const send = (path: string, size: number, headers: Record<string, string>, pieces: number) =>
    new Promise<number | undefined>((resolve, reject) => {
      const request = http.request({ host: "127.0.0.1", port, path, method: "POST", agent, headers });
      let isAnswered = false;
      let isClosing = false;
      // A client that has its answer, and was told that the connection closes, gives up what it still had to send.
      request.on("error", (error) => {
        if (!isAnswered) reject(error);
      });
      request.on("response", (response: IncomingMessage) => {
        isClosing = response.headers.connection === "close";
        response.resume();
        response.on("end", () => {
          isAnswered = true;
          resolve(response.statusCode);
        });
      });
      const piece = Buffer.alloc(Math.ceil(size / pieces), 32);
      const write = async () => {
        for (let i = 0; i < pieces && !(isAnswered && isClosing); i++) {
          request.write(piece);
          await new Promise((next) => setImmediate(next));
        }
        request.end();
      };
      if (headers.expect === undefined) void write();
      else {
        request.flushHeaders();
        request.on("continue", write);
      }
    });

  it("never costs the client its next request", async () => {
    const answers: (number | undefined)[] = [];
    const sizes = [10, 5000, 70_000, 900_000, 1_100_000, 3_000_000, 20_000_000];
    for (let i = 0; i < 300; i++) {
      const size = sizes[i % sizes.length] ?? 10;
      const path = i % 2 === 0 ? "/pages" : "/nothing";
      const headers: Record<string, string> = { "content-type": "application/json" };
      if (i % 3 === 0) headers["transfer-encoding"] = "chunked";
      else headers["content-length"] = String(Math.ceil(size / (1 + (i % 5))) * (1 + (i % 5)));
      if (i % 7 === 0) headers.expect = "100-continue";
      answers.push(await send(path, size, headers, 1 + (i % 5)));
    }
    expect(answers.filter((status) => status !== 400 && status !== 404 && status !== 413)).toEqual([]);
    expect(new Set(answers)).toEqual(new Set([400, 404, 413]));
  });
});

describe("what is no request", () => {
  const raw = async (text: string) => {
    const socket = await open();
    let got = "";
    socket.on("data", (chunk) => {
      got += chunk;
    });
    socket.write(text, "latin1");
    await once(socket, "close");
    return got;
  };
  it.each([
    ["a header of 40 kB", `GET /health HTTP/1.1\r\nHost: localhost\r\nX: ${"x".repeat(40_000)}\r\n\r\n`, 431],
    ["nonsense", "nonsense\r\n\r\n", 400],
    [
      "two lengths",
      "POST /pages HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na",
      400,
    ],
    [
      "a length and chunks",
      "POST /pages HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      400,
    ],
    ["no Host", "GET /health HTTP/1.1\r\n\r\n", 400],
  ])("is answered with its reason: %s", async (_, text, status) => {
    expect(await raw(text)).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(await health()).toBe("OK");
  });

  it.each([
    ["127.999.0.1", 400],
    ["user:word@localhost", 400],
    ["localhost/path", 400],
    ["[::1", 400],
    ["[::1]", 200],
    ["localhost:99999", 400],
    ["a".repeat(10_000), 400],
    ["lo calhost", 400],
    ["", 200],
    ["LOCALHOST:80", 200],
  ])("is what a Host header says that is none: %j", async (host, status) => {
    for (const path of ["/quick/1?a=b", "/direct?a=b", "/nothing"]) {
      const got = await raw(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
      const expected = status === 200 && path === "/nothing" ? 404 : status;
      expect(got, path).toMatch(new RegExp(`^HTTP/1\\.1 ${expected} `));
      if (expected !== 200) expect(got).toContain('"detail"');
    }
  });

  it.each([
    "*",
    "//",
    "http://",
    "http://[",
    "\\health",
    "/%",
    "/%ff",
    "/quick/%00",
    "/%c0%af",
    "?",
    "#",
    "/../..",
    "http://localhost/health",
  ])("is a target that is none: %s", async (target) => {
    const got = await raw(`GET ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
    expect(got).toMatch(/^HTTP\/1\.1 (200|400|404) /);
  });
});
