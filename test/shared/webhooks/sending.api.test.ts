import type { LookupAddress } from "node:dns";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { sampleData, webhookEvents } from "../../../models/registry/webhooks/webhook-events.ts";
import { send } from "../../../shared/webhooks/sending.ts";
import { type MlflowGround, mlflowGround } from "../../support/mlflow.ts";
import { expectMlflowError } from "../../support/mlflow-errors.ts";
import { expectedSignature, type Receiver, startReceiver } from "../../support/webhook-receiver.ts";

interface TestResult {
  success: boolean;
  response_status?: number;
  response_body?: string;
  error_message?: string;
}

let receiver: Receiver;
beforeEach(async () => {
  receiver = await startReceiver();
});
afterEach(() => receiver?.close());

const eventJson = (event: string) => {
  const [entity = "", action = ""] = event.toUpperCase().split(".");
  return { entity, action };
};
const everything = webhookEvents.map(eventJson);

const subscribe = async (ground: MlflowGround, fields: object = {}) => {
  const { webhook } = await ground.ask<{ webhook: { webhook_id: string } }>("POST", "/webhooks", {
    name: "receiver",
    url: receiver.url,
    events: [eventJson("model_version_alias.created"), eventJson("registered_model.created")],
    ...fields,
  });
  return webhook.webhook_id;
};
const test = async (ground: MlflowGround, id: string, fields: object = {}) =>
  (await ground.ask<{ result: TestResult }>("POST", `/webhooks/${id}/test`, fields)).result;

describe("testing a webhook", () => {
  let ground: MlflowGround;
  beforeEach(async () => {
    ground = await mlflowGround({ KETLINE_WEBHOOK_ALLOW_PRIVATE: "true" });
  });
  afterEach(() => ground?.close());

  it("sends a signed sample of its first event and tells what came back", async () => {
    const id = await subscribe(ground, { secret: "s" });
    receiver.answer({ status: 201, body: "thanks ✓" });
    expect(await test(ground, id)).toEqual({
      success: true,
      response_status: 201,
      response_body: "thanks ✓",
    });
    const [request] = receiver.received;
    expect(request?.body).toMatchObject({ entity: "model_version_alias", action: "created" });
    expect(request?.headers["x-mlflow-signature"]).toBe(expectedSignature("s", request!));
    const [entry] = await ground.audit.list({ subject: `webhook/${id}` }, undefined, 1);
    expect(entry).toMatchObject({
      action: "webhook.tested",
      after: { event: "model_version_alias.created" },
    });
  });

  it("sends a sample of any event that is asked for", async () => {
    const id = await subscribe(ground, { events: everything });
    for (const event of webhookEvents) await test(ground, id, { event: eventJson(event) });
    expect(receiver.events()).toEqual([...webhookEvents]);
    expect(receiver.received.map(({ body }) => body.data)).toEqual(
      webhookEvents.map((event) => sampleData[event]),
    );
  });

  it("works while it is disabled, and leaves no delivery behind", async () => {
    const id = await subscribe(ground, { status: "DISABLED" });
    expect((await test(ground, id)).success).toBe(true);
    const answer = await ground.app.request(`/api/v1/webhooks/${id}/deliveries`);
    expect(await answer.json()).toEqual({ items: [] });
  });

  it.each([302, 404, 500])("tells of an answer of %i, once and without following it", async (status) => {
    const id = await subscribe(ground);
    receiver.answer({ status, headers: { location: receiver.url }, body: "no" });
    expect(await test(ground, id)).toEqual({
      success: false,
      response_status: status,
      response_body: "no",
      error_message: expect.stringContaining(`answered ${status}`),
    });
    expect(receiver.received).toHaveLength(1);
  });

  it("tells why nobody answered", async () => {
    const id = await subscribe(ground);
    await receiver.close();
    expect(await test(ground, id)).toEqual({
      success: false,
      error_message: expect.stringMatching(/ECONNREFUSED/),
    });
  });

  it("is refused for an event that does not exist", async () => {
    const id = await subscribe(ground);
    expectMlflowError(
      await ground.send("POST", `/webhooks/${id}/test`, { event: { entity: "PROMPT", action: "SET" } }),
      400,
      "INVALID_PARAMETER_VALUE",
      /Invalid action 'set' for entity 'prompt'\. Valid actions are: \['created'\]/,
    );
  });
});

describe("a name that leads inside", () => {
  const inside: readonly LookupAddress[] = [{ address: "127.0.0.1", family: 4 }];
  const places: readonly (readonly [string, readonly LookupAddress[]])[] = [
    ["loopback", inside],
    ["the metadata of a cloud", [{ address: "169.254.169.254", family: 4 }]],
    ["IPv4 in IPv6", [{ address: "::ffff:127.0.0.1", family: 6 }]],
    ["a private place beside a public one", [{ address: "8.8.8.8", family: 4 }, ...inside]],
  ];

  it.each(places)("is refused when it is connected to: %s", async (_, addresses) => {
    let lookups = 0;
    const resolve = async () => {
      lookups++;
      return addresses;
    };
    const ground = await mlflowGround({}, { resolve });
    try {
      const url = `https://hooks.example.com:${new URL(receiver.url).port}/`;
      const id = await subscribe(ground, { url });
      expect(await test(ground, id)).toEqual({
        success: false,
        error_message: expect.stringMatching(
          /'hooks\.example\.com' is [\d.:a-f]+, which is not a public address/,
        ),
      });
      await ground.ask("POST", "/registered-models/create", { name: "m" });
      await ground.webhooks.timers[0]?.run();
      const answer = await ground.app.request(`/api/v1/webhooks/${id}/deliveries`);
      expect(await answer.json()).toMatchObject({
        items: [{ state: "failed", tries: 1, error: expect.stringMatching(/not a public address/) }],
      });
      // Once for each try: what was judged is what would have been connected to.
      expect(lookups).toBe(2);
      expect(receiver.received).toEqual([]);
    } finally {
      await ground.close();
    }
  });

  it("is refused again for webhooks that were made while such places were allowed", async () => {
    const refused = await send(
      { allowPrivate: false, timeoutMs: 30_000 },
      { url: receiver.url.replace("http:", "https:"), body: "{}", headers: {} },
      new AbortController().signal,
    );
    expect(refused).toMatchObject({
      kind: "refused",
      error: expect.stringMatching(/'127\.0\.0\.1' is not a public/),
    });
  });

  it("is connected to at the address that was looked up, where the operator allows it", async () => {
    const { port } = new URL(receiver.url);
    const sent = await send(
      { allowPrivate: true, timeoutMs: 30_000, resolve: async () => inside },
      { url: `http://no-such-name.invalid:${port}/hook`, body: '{"data":{}}', headers: {} },
      new AbortController().signal,
    );
    expect(sent).toMatchObject({ kind: "answered", status: 200 });
    expect(receiver.received[0]?.headers.host).toBe(`no-such-name.invalid:${port}`);
  });
});

describe("an answer without end", () => {
  it("is read up to 64 KiB", async () => {
    let isOver: (value: unknown) => void;
    const over = new Promise((resolve) => {
      isOver = resolve;
    });
    const server = createServer((_, response) => {
      response.on("close", isOver);
      const more = () => {
        while (!response.destroyed && response.write("x".repeat(16_384)));
      };
      response.on("drain", more);
      more();
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      const { port } = server.address() as AddressInfo;
      const sent = await send(
        { allowPrivate: true, timeoutMs: 30_000 },
        { url: `http://127.0.0.1:${port}/`, body: "{}", headers: {} },
        new AbortController().signal,
      );
      expect(sent).toMatchObject({ kind: "answered", status: 200, body: "x".repeat(65_536) });
      await over;
    } finally {
      server.close();
      server.closeAllConnections();
    }
  });
});
