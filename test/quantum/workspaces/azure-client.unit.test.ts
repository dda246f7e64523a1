import { describe, expect, it } from "vitest";
import { z } from "zod";
import { discoverEndpoint } from "../../../quantum/workspaces/azure.ts";
import { createAzureClient } from "../../../quantum/workspaces/azure-client.ts";

const signal = new AbortController().signal;

/** A client whose network gives these answers in turn; it never really waits. */
function clientOf(...answers: (Response | Error)[]) {
  const waits: number[] = [];
  const requests: Request[] = [];
  const client = createAzureClient({
    authorise: async () => ({ authorization: "Bearer t" }),
    fetch: async (input, init) => {
      requests.push(new Request(input, init));
      const answer = answers.shift();
      if (answer === undefined) throw new Error("one request too many");
      if (answer instanceof Error) throw answer;
      return answer;
    },
    sleep: async (ms) => {
      waits.push(ms);
    },
  });
  return { client, waits, requests };
}

const get = {
  method: "GET",
  url: "https://q.example.org/x",
  answer: z.object({ ok: z.boolean() }),
  signal,
} as const;
const status = (code: number, headers: Record<string, string> = {}) =>
  new Response("{}", { status: code, headers });

describe("calls of Azure", () => {
  it("are tried again after passing faults, obeying Retry-After", async () => {
    const { client, waits } = clientOf(
      status(429, { "retry-after": "7" }),
      new TypeError("fetch failed"),
      status(503),
      Response.json({ ok: true }),
    );
    expect(await client(get)).toEqual({ ok: true });
    expect(waits).toEqual([7000, 1600, 3200]);
  });

  it("give up after four attempts", async () => {
    const { client, waits } = clientOf(status(500), status(500), status(500), status(500));
    await expect(client(get)).rejects.toMatchObject({ kind: "unavailable" });
    expect(waits).toHaveLength(3);
  });

  it("never wait longer than a minute, whatever the service asks", async () => {
    const { client, waits } = clientOf(status(503, { "retry-after": "86400" }), Response.json({ ok: true }));
    await client(get);
    expect(waits).toEqual([60_000]);
  });

  it.each([
    [400, "invalid"],
    [401, "unauthenticated"],
    [403, "forbidden"],
    [404, "not_found"],
    [409, "conflict"],
    [422, "invalid"],
  ])("answer %i once, as %s, in the service's words", async (code, kind) => {
    const { client } = clientOf(
      Response.json({ error: { code: "X", message: "because" } }, { status: code }),
    );
    await expect(client(get)).rejects.toMatchObject({ kind, message: expect.stringContaining("because") });
  });

  it("understand the XML of storage", async () => {
    const body =
      "<?xml version='1.0'?><Error><Code>BlobNotFound</Code><Message>It is gone.</Message></Error>";
    const { client } = clientOf(new Response(body, { status: 404 }));
    await expect(client(get)).rejects.toThrow("BlobNotFound: It is gone.");
  });

  it("do not take an answer of another form", async () => {
    const { client } = clientOf(Response.json({ ok: "yes" }));
    await expect(client(get)).rejects.toMatchObject({
      kind: "unavailable",
      message: expect.stringContaining("another form"),
    });
  });

  it("send no credential along with links that carry their own", async () => {
    const { client, requests } = clientOf(Response.json({ ok: true }), Response.json({ ok: true }));
    await client(get);
    await client({ ...get, authenticated: false });
    expect(requests.map(({ headers }) => headers.get("authorization"))).toEqual(["Bearer t", null]);
  });

  it("find a workspace's endpoint through Resource Manager", async () => {
    const { client, requests } = clientOf(
      Response.json({ properties: { endpointUri: "https://w.eastus-v2.quantum.azure.com" } }),
      Response.json({ properties: {} }),
    );
    expect(await discoverEndpoint("/subscriptions/s", client, signal)).toBe(
      "https://w.eastus-v2.quantum.azure.com",
    );
    expect(requests[0]!.url).toMatch(/^https:\/\/management\.azure\.com\/subscriptions\/s\?api-version=/);
    await expect(discoverEndpoint("/subscriptions/s", client, signal)).rejects.toThrow("no endpointUri");
  });
});
