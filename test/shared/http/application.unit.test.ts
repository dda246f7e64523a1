import { describe, expect, it } from "vitest";
import { z } from "zod";
import { conflict, invalid, unavailable } from "../../../shared/errors.ts";
import { type Call, json, type Protocol, type Route } from "../../../shared/http/index.ts";
import { call } from "../../support/application.ts";
import { asViewer, httpGround, thing } from "./ground.ts";

const send = (
  routes: Route[],
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = asViewer,
) => call(httpGround(routes).app, method, path, body, headers);
const failing = (error: unknown, protocol: Protocol = "ketline") =>
  thing({
    protocol,
    handle: () => {
      throw error;
    },
  });

describe("an answer", () => {
  it("carries the request's id, its own or the caller's", async () => {
    const routes = [thing({ handle: () => json({ a: 1 }) })];
    const own = await send(routes, "GET", "/thing");
    expect(own).toMatchObject({ status: 200, body: { a: 1 } });
    expect(own.headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
    const given = await send(routes, "GET", "/thing", undefined, {
      ...asViewer,
      "x-request-id": "run-7:a.b",
    });
    expect(given.headers.get("x-request-id")).toBe("run-7:a.b");
    const bad = await send(routes, "GET", "/thing", undefined, { ...asViewer, "x-request-id": 'a b"}' });
    expect(bad.headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
  });

  it("has the headers that its handler sets, and is never guessed at by browsers", async () => {
    const { headers } = await send(
      [thing({ handle: () => json({}, 201, { etag: '"3"' }) })],
      "GET",
      "/thing",
    );
    expect(headers.get("etag")).toBe('"3"');
    expect(headers.get("content-type")).toBe("application/json");
    expect(headers.get("x-content-type-options")).toBe("nosniff");
  });

  it("may be a Response of any kind, even one whose headers are fixed", async () => {
    const redirected = await send(
      [thing({ handle: () => Response.redirect("http://a.example/b", 302) })],
      "GET",
      "/thing",
    );
    expect(redirected.status).toBe(302);
    expect(redirected.headers.get("location")).toBe("http://a.example/b");
    expect(redirected.headers.get("x-request-id")).not.toBeNull();
    const empty = await send([thing({ handle: () => json(undefined, 204) })], "GET", "/thing");
    expect(empty).toMatchObject({ status: 204, body: "" });
  });

  it("is one line in the access log and one observation, by the route's pattern", async () => {
    const { app, logged, observed } = httpGround([thing({ path: "/thing/:id", handle: () => json({}) })]);
    await call(app, "GET", "/thing/7?sig=abcdefghijk", undefined, { ...asViewer, "x-request-id": "r" });
    expect(logged).toMatchObject([
      { msg: "request", requestId: "r", method: "GET", path: "/thing/7", status: 200, actor: "viewer" },
    ]);
    expect(JSON.stringify(logged)).not.toContain("abcdefghijk");
    expect(observed).toMatchObject([{ method: "GET", route: "/thing/:id", status: 200 }]);
  });
});

describe("who may call", () => {
  const routes = [
    thing({ path: "/public", role: "public", handle: ({ actor }: Call) => json(actor.id) }),
    thing({ path: "/operators", role: "operator", handle: ({ actor }: Call) => json(actor.id) }),
  ];

  it("is everybody where the route is public, by name if there is one", async () => {
    expect((await send(routes, "GET", "/public", undefined, {})).body).toBe("nobody");
    expect((await send(routes, "GET", "/public")).body).toBe("viewer");
  });

  it("is who has the role or a higher one", async () => {
    expect((await send(routes, "GET", "/operators", undefined, {})).status).toBe(401);
    expect(await send(routes, "GET", "/operators")).toMatchObject({
      status: 403,
      body: { detail: "viewer has the role viewer; this needs operator." },
    });
    expect((await send(routes, "GET", "/operators", undefined, { "x-role": "admin" })).status).toBe(200);
  });

  it("is asked before anything of the request is read", async () => {
    const body = new ReadableStream({
      pull() {
        throw new Error("read too early");
      },
    });
    const route = thing({ method: "POST", role: "admin", body: z.object({}), handle: () => json({}) });
    expect((await send([route], "POST", "/thing", body)).status).toBe(403);
  });
});

describe("a request", () => {
  const echo = (more: Partial<Parameters<typeof thing>[0]>) =>
    thing({ handle: ({ params, query, body }: Call) => json({ params, query, body }), ...more });

  it("is parsed by the schemas of its route", async () => {
    const route = echo({
      method: "POST",
      path: "/thing/:id",
      params: z.object({ id: z.coerce.number() }),
      query: z.object({ limit: z.coerce.number().default(10) }),
      body: z.object({ name: z.string() }),
    });
    expect((await send([route], "POST", "/thing/7", { name: "a", more: 1 })).body).toEqual({
      params: { id: 7 },
      query: { limit: 10 },
      body: { name: "a" },
    });
  });

  it("has a list where a query key is repeated, and names decoded", async () => {
    const answer = await send([echo({ path: "/thing/:id" })], "GET", "/thing/a%20b%2Fc?x=1&y=2&x=3&z=");
    expect(answer.body).toMatchObject({ params: { id: "a b/c" }, query: { x: ["1", "3"], y: "2", z: "" } });
  });

  it("may have a path of several segments where the route says so", async () => {
    const answer = await send([echo({ path: "/files/:path{.+}" })], "GET", "/files/a/b/c.txt");
    expect(answer.body).toMatchObject({ params: { path: "a/b/c.txt" } });
  });

  it("that is wrong is told each field with what was sent and what would be right", async () => {
    const route = echo({
      method: "POST",
      body: z.object({ shots: z.number().int().min(1), target: z.object({ name: z.string() }) }),
    });
    const { status, body } = await send([route], "POST", "/thing", { shots: "many", target: {} });
    expect(status).toBe(400);
    expect(body).toMatchObject({ title: "The request is not valid", status: 400, field: "shots" });
    const { detail } = body as { detail: string };
    expect(detail).toContain('shots is "many": ');
    expect(detail).toContain("target.name is missing: ");
  });

  it.each([
    ["nothing", undefined, "body is missing"],
    ["not JSON", "{", "The body is not JSON in UTF-8"],
    ["not UTF-8", new Uint8Array([0x22, 0xff, 0x22]), "The body is not JSON in UTF-8"],
    ["no object", "[]", "body is []"],
  ])("whose body is %s is refused", async (_, body, detail) => {
    const answer = await send([echo({ method: "POST", body: z.object({}) })], "POST", "/thing", body);
    expect(answer).toMatchObject({ status: 400, body: { detail: expect.stringContaining(detail) } });
  });

  it("whose body is larger than the route takes is refused, declared or not", async () => {
    const route = echo({ method: "POST", body: z.object({}), maxBodyBytes: 100 });
    const text = JSON.stringify({ a: "x".repeat(200) });
    const stream = new Blob([text]).stream();
    for (const body of [text, stream]) {
      expect(await send([route], "POST", "/thing", body)).toMatchObject({
        status: 413,
        body: { detail: expect.stringContaining("at most 100") },
      });
    }
  });

  it("whose body is a stream is left to the handler", async () => {
    const route = thing({
      method: "POST",
      body: "stream",
      handle: async ({ request }: Call) => json({ text: await request.text() }),
    });
    expect((await send([route], "POST", "/thing", new Blob(["not JSON"]).stream())).body).toEqual({
      text: "not JSON",
    });
  });

  it("knows the address that the caller used, or the public one", async () => {
    const route = thing({ handle: ({ baseUrl }: Call) => json(baseUrl) });
    expect(
      (await call(httpGround([route]).app, "GET", "http://a.example:8080/thing", undefined, asViewer)).body,
    ).toBe("http://a.example:8080");
    const { app } = httpGround([route], { publicUrl: "https://ketline.example" });
    expect((await call(app, "GET", "/thing", undefined, asViewer)).body).toBe("https://ketline.example");
  });
});

describe("the time of a request", () => {
  it("is limited, and its handler is told", async () => {
    let signal: AbortSignal | undefined;
    const route = thing({
      timeoutMs: 20,
      handle: (call: Call) => {
        signal = call.signal;
        return new Promise<never>(() => {});
      },
    });
    expect(await send([route], "GET", "/thing")).toMatchObject({
      status: 504,
      body: { detail: expect.stringContaining("within 0.02 s") },
    });
    expect(signal?.aborted).toBe(true);
  });

  it("includes reading its body: a caller that never finishes sending does not hold the server", async () => {
    const route = thing({ method: "POST", timeoutMs: 20, body: z.object({}), handle: () => json({}) });
    const endless = new ReadableStream({
      start: (controller) => controller.enqueue(new TextEncoder().encode("{")),
    });
    expect((await send([route], "POST", "/thing", endless)).status).toBe(504);
  });

  it("ends with the answer: what streams on afterwards is not cut off", async () => {
    let signal: AbortSignal | undefined;
    const route = thing({
      timeoutMs: 10,
      handle: (call: Call) => {
        signal = call.signal;
        return new Response("x");
      },
    });
    await send([route], "GET", "/thing");
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(signal?.aborted).toBe(false);
  });

  it("ends when the caller goes away", async () => {
    const leaving = new AbortController();
    const route = thing({
      handle: ({ signal }: Call) =>
        new Promise((resolve) => {
          signal.addEventListener("abort", () => resolve(json({ left: true })));
          leaving.abort();
        }),
    });
    const response = await httpGround([route]).app.request("/thing", {
      headers: asViewer,
      signal: leaving.signal,
    });
    expect(await response.json()).toEqual({ left: true });
  });
});

describe("an error", () => {
  it("of the server tells the caller its id and nothing else, and the log everything", async () => {
    const { app, logged } = httpGround([failing(new TypeError("password of the database is hunter2"))]);
    const answer = await call(app, "GET", "/thing", undefined, { ...asViewer, "x-request-id": "r9" });
    expect(answer).toMatchObject({ status: 500, body: { detail: expect.stringContaining("r9") } });
    expect(JSON.stringify(answer.body)).not.toContain("hunter2");
    expect(logged[0]).toMatchObject({ level: "error", requestId: "r9", err: { type: "TypeError" } });
  });

  it("that may pass says when to come back", async () => {
    const { status, headers } = await send(
      [failing(unavailable("busy", { retryAfterSeconds: 7 }))],
      "GET",
      "/thing",
    );
    expect(status).toBe(503);
    expect(headers.get("retry-after")).toBe("7");
  });

  it("of the caller is not logged as the server's", async () => {
    const { app, logged } = httpGround([failing(invalid("no"))]);
    await call(app, "GET", "/thing", undefined, asViewer);
    expect(logged.map((line) => line.level)).toEqual(["info"]);
  });

  it("is problem details in Ketline's own API, with the members that its thrower gives", async () => {
    const answer = await send(
      [failing(conflict("taken", { field: "name", members: { current: 3 } }))],
      "GET",
      "/thing",
    );
    expect(answer.headers.get("content-type")).toBe("application/problem+json");
    expect(answer.body).toEqual({
      type: "about:blank",
      title: "Conflict with what is stored",
      status: 409,
      detail: "taken",
      field: "name",
      current: 3,
    });
  });

  it.each([
    ["/api/2.0/mlflow/nothing", { error_code: "ENDPOINT_NOT_FOUND" }],
    ["/ajax-api/3.0/mlflow/nothing", { error_code: "ENDPOINT_NOT_FOUND" }],
    ["/v2/nothing", { error: expect.stringContaining("GET /v2/nothing") }],
    ["/serving/x/nothing", { message: expect.any(String) }],
    ["/subscriptions/s/nothing", { error: { code: expect.any(String) } }],
    ["/api/v1/nothing", { title: "Not found", status: 404 }],
    ["/nothing", { title: "Not found", status: 404 }],
  ])("for the path %s that nothing answers is in the protocol of that path", async (path, body) => {
    expect(await send([], "GET", path)).toMatchObject({ status: 404, body });
  });
});
