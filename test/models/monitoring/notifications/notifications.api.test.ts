import { createHmac } from "node:crypto";
import { afterEach, describe, expect, it } from "vitest";
import type { Alert } from "../../../../models/monitoring/schemas.ts";
import type { Prediction } from "../../../../models/serving/index.ts";
import { call } from "../../../support/application.ts";
import { type Receiver, startReceiver } from "../../../support/webhook-receiver.ts";
import { closeGrounds, type Ground, ground } from "../ground.ts";
import { prediction } from "../predictions.ts";

const receivers: Receiver[] = [];
afterEach(async () => {
  await closeGrounds();
  for (const receiver of receivers.splice(0)) await receiver.close();
});

const path = "/api/v1/alert-subscriptions";
const failing: Partial<Prediction> = { status: "error", errorKind: "internal", outputs: {} };

interface Told extends Ground {
  readonly receiver: Receiver;
  subscribe(name: string, body?: object): Promise<{ status: number; body: unknown }>;
  /** A newly deployed version fails half of its requests for a minute. */
  fail(): Promise<void>;
  alert(): Promise<Alert>;
}

async function told(): Promise<Told> {
  const made = await ground({ KETLINE_WEBHOOK_ALLOW_PRIVATE: "true" });
  const receiver = await startReceiver();
  receivers.push(receiver);
  await made.put("bake", { policy: "rollback", bakeMinutes: 60, minimumRequests: 50, dryRun: true });
  const minute = async (version: string, failures: number, revision: number) => {
    for (let i = 0; i < 100; i++) {
      made.serving.predict(
        prediction({
          requestId: `m${made.clock()}-${version}-${i}`,
          atMs: made.clock(),
          modelVersion: version,
          revision,
          ...(i < failures ? failing : {}),
        }),
      );
    }
    made.clock.advance(60_000);
    await made.timer("monitoring-watch");
  };
  return {
    ...made,
    receiver,
    subscribe: (name, body = {}) => call(made.app, "PUT", `${path}/${name}`, { url: receiver.url, ...body }),
    async fail() {
      await minute("1", 0, 1);
      made.serving.deploy("flights", "2");
      await minute("2", 50, 2);
      await made.timer("monitoring-alerts-send");
    },
    async alert() {
      const { items } = (await call(made.app, "GET", "/api/v1/alerts")).body as { items: Alert[] };
      return items[0] ?? expect.unreachable("no alert");
    },
  };
}

describe("somebody who wants to be told of alerts", () => {
  it("gets a signed CloudEvent when one fires, is acknowledged, and is resolved", async () => {
    const made = await told();
    expect(await made.subscribe("on-call", { secret: "a-secret-of-the-receiver" })).toMatchObject({
      status: 200,
      body: { name: "on-call", format: "cloudevents", hasSecret: true, monitor: null, revision: 1 },
    });
    await made.fail();
    await made.receiver.hasGot(1);
    const { id } = await made.alert();
    await call(made.app, "POST", `/api/v1/alerts/${id}/acknowledge`, { reason: "looking" });
    const pending = `${path}/on-call/deliveries?state=pending`;
    await expect.poll(async () => (await call(made.app, "GET", pending)).body).toMatchObject({ items: [] });
    made.clock.advance(70 * 60_000);
    await made.timer("monitoring-watch");
    await made.receiver.hasGot(3);
    const [fired, acknowledged, resolved] = made.receiver.received.map(({ text }) => JSON.parse(text));
    expect(fired).toMatchObject({
      specversion: "1.0",
      source: "/ketline",
      type: "ketline.alert.fired",
      subject: "monitors/bake/bake:2",
      datacontenttype: "application/json",
      data: { monitor: "bake", series: "bake:2", alerts: [{ id, signal: "error_rate", state: "firing" }] },
    });
    expect(acknowledged).toMatchObject({
      type: "ketline.alert.acknowledged",
      data: { by: expect.any(String), reason: "looking" },
    });
    expect(resolved).toMatchObject({ type: "ketline.alert.resolved", data: { alerts: [{ id }] } });
    const [request] = made.receiver.received;
    expect(request?.headers["content-type"]).toBe("application/cloudevents+json; charset=utf-8");
    const signed = `${fired.id}.${request?.headers["webhook-timestamp"]}.${request?.text}`;
    const mac = createHmac("sha256", "a-secret-of-the-receiver").update(signed).digest("base64");
    expect(request?.headers["webhook-id"]).toBe(fired.id);
    expect(request?.headers["webhook-signature"]).toBe(`v1,${mac}`);
    const life = await call(made.app, "GET", `/api/v1/alerts/${id}/events`);
    expect((life.body as { items: { kind: string }[] }).items.map(({ kind }) => kind)).toEqual([
      "fired",
      "acknowledged",
      "resolved",
    ]);
  });

  it("signs with the bytes of a whsec_ secret, as the libraries of Standard Webhooks check it", async () => {
    const made = await told();
    const key = Buffer.from("0123456789abcdef0123456789abcdef");
    await made.subscribe("on-call", { secret: `whsec_${key.toString("base64")}` });
    await made.fail();
    await made.receiver.hasGot(1);
    const [request] = made.receiver.received;
    const signed = `${request?.headers["webhook-id"]}.${request?.headers["webhook-timestamp"]}.${request?.text}`;
    expect(request?.headers["webhook-signature"]).toBe(
      `v1,${createHmac("sha256", key).update(signed).digest("base64")}`,
    );
  });

  it("gets what a topic of Event Grid takes, with its key", async () => {
    const made = await told();
    const refused = await made.subscribe("grid", { format: "event-grid" });
    expect(refused).toMatchObject({ status: 400, body: { detail: expect.stringContaining("access key") } });
    await made.subscribe("grid", { format: "event-grid", secret: "the-access-key" });
    await made.fail();
    await made.receiver.hasGot(1);
    const [request] = made.receiver.received;
    expect(request?.headers["aeg-sas-key"]).toBe("the-access-key");
    expect(JSON.parse(request?.text ?? "")).toMatchObject([
      { eventType: "ketline.alert.fired", subject: "monitors/bake/bake:2", dataVersion: "1.0" },
    ]);
  });

  it("hears of the monitor that was named and of no other, and of nothing while it is paused", async () => {
    const made = await told();
    await made.subscribe("other", { monitor: "another" });
    await made.subscribe("paused", { status: "PAUSED" });
    await made.subscribe("this", { monitor: "bake" });
    await made.fail();
    await made.receiver.hasGot(1);
    await made.timer("monitoring-alerts-send");
    expect(made.receiver.received).toHaveLength(1);
    const deliveries = await call(made.app, "GET", `${path}/this/deliveries`);
    expect(deliveries.body).toMatchObject({ items: [{ event: "fired", state: "delivered", tries: 1 }] });
  });

  it("is tried again when it was away, by whatever instance lives then, and sees the same event", async () => {
    const made = await told();
    made.receiver.answer({ status: 503 });
    await made.subscribe("on-call");
    await made.fail();
    await made.receiver.hasGot(1);
    const pending = async () =>
      (await call(made.app, "GET", `${path}/on-call/deliveries`)).body as {
        items: { id: string; state: string; error: string }[];
      };
    await expect.poll(async () => (await pending()).items[0]?.error).toContain("503");
    made.receiver.answer({ status: 200 });
    made.clock.advance(3600_000);
    await made.timer("monitoring-alerts-send");
    const ids = made.receiver.received.map(({ headers }) => headers["webhook-id"]);
    expect(new Set(ids.slice(0, 2)).size).toBe(1);
    const [first] = (await pending()).items.toReversed();
    expect(first).toMatchObject({ state: "delivered", id: ids[0] });
    const again = await call(made.app, "POST", `${path}/on-call/deliveries/${first?.id}/retry`);
    expect(again.status, JSON.stringify(again.body)).toBe(200);
    await expect.poll(() => made.receiver.received.at(-1)?.headers["webhook-id"]).toBe(first?.id);
  });

  it("is told nothing of a muted signal, whose alerts are still written down", async () => {
    const made = await told();
    await made.fail();
    const { id } = await made.alert();
    await made.subscribe("on-call");
    await call(made.app, "POST", `/api/v1/alerts/${id}/mute`, {
      untilMs: made.clock() + 86_400_000,
      reason: "known",
    });
    await made.receiver.hasGot(1);
    expect(JSON.parse(made.receiver.received[0]?.text ?? "")).toMatchObject({ type: "ketline.alert.muted" });
  });

  it("can be tried with a sample, is changed under its revision, and is gone when removed", async () => {
    const made = await told();
    await made.subscribe("on-call");
    const tried = await call(made.app, "POST", `${path}/on-call/test`);
    expect(tried).toMatchObject({ status: 200, body: { success: true, responseStatus: 200 } });
    made.receiver.answer({ status: 404, body: "no such hook" });
    expect((await call(made.app, "POST", `${path}/on-call/test`)).body).toMatchObject({
      success: false,
      responseStatus: 404,
      error: expect.stringContaining("no such hook"),
    });
    const body = { url: made.receiver.url };
    const stale = await call(made.app, "PUT", `${path}/on-call`, body, { "if-match": '"7"' });
    expect(stale.status).toBe(412);
    expect((await call(made.app, "GET", path)).body).toMatchObject({ items: [{ name: "on-call" }] });
    expect((await call(made.app, "DELETE", `${path}/on-call`)).status).toBe(204);
    expect((await call(made.app, "GET", `${path}/on-call`)).status).toBe(404);
  });
});

describe("an address that may not be told", () => {
  it.each([
    ["http://127.0.0.1:1/hook", /https/],
    ["https://10.0.0.1/hook", /not a public address/],
    ["https://user:word@example.org/hook", /user name or password/],
    ["nonsense", /whole URL/],
  ])("%s is refused", async (url, reason) => {
    const made = await ground();
    const answer = await call(made.app, "PUT", `${path}/x`, { url });
    expect(answer.status).toBe(400);
    expect((answer.body as { detail: string }).detail).toMatch(reason);
  });
});
