import { HttpRequest, InvocationContext } from "@azure/functions";
import { describe, expect, it } from "vitest";
import { cookiesOf } from "../../../functions/host/cookies.ts";
import { toReply, toRequest } from "../../../functions/host/exchange.ts";

const nothing = async () => {};

describe("a request of the host", () => {
  it("keeps its method, its address with repeated keys, its headers and its body", async () => {
    const request = toRequest(
      new HttpRequest({
        method: "POST",
        url: "https://ketline.example/v2/a?x=1&x=2",
        headers: { "content-type": "text/csv" },
        body: { string: "a,b" },
      }),
      new InvocationContext(),
    );
    expect(request.method).toBe("POST");
    expect(new URL(request.url).searchParams.getAll("x")).toEqual(["1", "2"]);
    expect(request.headers.get("content-type")).toBe("text/csv");
    expect(await request.text()).toBe("a,b");
  });

  it("continues the trace of the host, not that of the caller", () => {
    const request = toRequest(
      new HttpRequest({
        method: "GET",
        url: "https://ketline.example/",
        headers: { traceparent: "of-caller" },
      }),
      new InvocationContext({ traceContext: { traceParent: "of-host", traceState: "state" } }),
    );
    expect(request.headers.get("traceparent")).toBe("of-host");
    expect(request.headers.get("tracestate")).toBe("state");
  });
});

describe("an answer to the host", () => {
  it("finishes after the last byte and before the end of the body", async () => {
    const order: string[] = [];
    const body = new ReadableStream({
      pull(controller) {
        order.push("byte");
        controller.enqueue(new Uint8Array([1]));
        if (order.length === 2) controller.close();
      },
    });
    const reply = await toReply(new Response(body), async () => void order.push("finish"));
    expect(order).not.toContain("finish");
    for await (const _ of reply.body as AsyncIterable<Uint8Array>);
    expect(order).toEqual(["byte", "byte", "finish"]);
  });

  it("finishes at once where there is no body", async () => {
    const order: string[] = [];
    const reply = await toReply(new Response(null, { status: 204 }), async () => void order.push("finish"));
    expect(order).toEqual(["finish"]);
    expect(reply).not.toHaveProperty("body");
  });

  it("hands cookies over one by one, out of the headers", async () => {
    const headers = new Headers([
      ["set-cookie", "variant=blue; Path=/v2; HttpOnly; SameSite=Lax"],
      ["set-cookie", "other=1; Max-Age=60; Secure"],
    ]);
    const reply = await toReply(new Response("ok", { headers }), nothing);
    expect(reply.cookies).toEqual([
      { name: "variant", value: "blue", path: "/v2", httpOnly: true, sameSite: "Lax" },
      { name: "other", value: "1", maxAge: 60, secure: true },
    ]);
    expect(new Headers(reply.headers).has("set-cookie")).toBe(false);
  });
});

it("a cookie's value is taken without the percent-encoding that the library puts on again", () => {
  const headers = new Headers();
  headers.append("set-cookie", "name=a%20b%3Dc; Expires=Wed, 02 Jan 2030 03:04:05 GMT; SameSite=lax");
  headers.append("set-cookie", "other=100%");
  expect(cookiesOf(headers)).toEqual([
    {
      name: "name",
      value: "a b=c",
      expires: new Date(Date.UTC(2030, 0, 2, 3, 4, 5)),
      sameSite: "Lax",
    },
    { name: "other", value: "100%" },
  ]);
});
