import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createWebhooks } from "../../../../../models/registry/index.ts";
import { systemActor } from "../../../../../shared/identity/actor.ts";
import { call } from "../../../../support/application.ts";
import { type MlflowGround, mlflowGround } from "../../../../support/mlflow.ts";
import { expectedSignature, type Receiver, startReceiver } from "../../../../support/webhook-receiver.ts";

interface Delivery {
  id: string;
  event: string;
  state: string;
  tries: number;
  nextTryMs: number | null;
  endedMs: number | null;
  responseStatus: number | null;
  error: string | null;
  payload: { data: { name: string } };
}

let ground: MlflowGround;
let receiver: Receiver;
beforeEach(async () => {
  // The middle of each pause: 7.5 s, 15 s, 30 s …
  ground = await mlflowGround(
    { KETLINE_WEBHOOK_ALLOW_PRIVATE: "true" },
    { random: () => 0.5, timeoutMs: 30_000 },
  );
  receiver = await startReceiver();
});
afterEach(async () => {
  await receiver?.close();
  await ground?.close();
});

const all = [
  ["REGISTERED_MODEL", "CREATED"],
  ["MODEL_VERSION", "CREATED"],
  ["MODEL_VERSION_TAG", "SET"],
  ["MODEL_VERSION_TAG", "DELETED"],
  ["MODEL_VERSION_ALIAS", "CREATED"],
  ["MODEL_VERSION_ALIAS", "DELETED"],
  ["PROMPT", "CREATED"],
  ["PROMPT_VERSION", "CREATED"],
  ["PROMPT_TAG", "SET"],
  ["PROMPT_TAG", "DELETED"],
  ["PROMPT_VERSION_TAG", "SET"],
  ["PROMPT_VERSION_TAG", "DELETED"],
  ["PROMPT_ALIAS", "CREATED"],
  ["PROMPT_ALIAS", "DELETED"],
].map(([entity, action]) => ({ entity, action }));

const subscribe = async (fields: object = {}): Promise<string> => {
  const { webhook } = await ground.ask<{ webhook: { webhook_id: string } }>("POST", "/webhooks", {
    name: "receiver",
    url: receiver.url,
    events: all,
    ...fields,
  });
  return webhook.webhook_id;
};
const runTimer = async (name: string) => {
  await ground.webhooks.timers.find((timer) => timer.name === name)?.run();
};
/** What the timer does: sends everything that is due, and waits for it. */
const sendDue = () => runTimer("registry-webhooks-send");
const createModel = (name: string, fields: object = {}) =>
  ground.ask("POST", "/registered-models/create", { name, ...fields });
const deliveries = async (webhookId: string, query = ""): Promise<Delivery[]> => {
  const answer = await call(ground.app, "GET", `/api/v1/webhooks/${webhookId}/deliveries?${query}`);
  expect(answer.status, JSON.stringify(answer.body)).toBe(200);
  return (answer.body as { items: Delivery[] }).items;
};
const retry = (webhookId: string, deliveryId: string | undefined) =>
  call(ground.app, "POST", `/api/v1/webhooks/${webhookId}/deliveries/${deliveryId}/retry`);

describe("a receiver", () => {
  it("hears of what happens to models at once, in MLflow's words and in its order", async () => {
    await subscribe();
    const tags = [{ key: "team", value: "delays" }];
    await createModel("m", { description: "late flights", tags });
    await ground.ask("POST", "/model-versions/create", { name: "m", source: "s3://b/m", tags });
    const version = { name: "m", version: "1" };
    await ground.ask("POST", "/model-versions/set-tag", { ...version, key: "checked", value: "yes ✓" });
    await ground.ask("DELETE", "/model-versions/delete-tag", { ...version, key: "checked" });
    await ground.ask("POST", "/registered-models/alias", { ...version, alias: "champion" });
    await ground.ask("DELETE", "/registered-models/alias", { name: "m", alias: "champion" });
    // No timer here: what is written wakes the sender by itself.
    await receiver.hasGot(6);
    const timestamp = new Date(ground.clock()).toISOString().replace("Z", "+00:00");
    const data = { team: "delays" };
    expect(receiver.received.map(({ body }) => body)).toEqual([
      {
        entity: "registered_model",
        action: "created",
        timestamp,
        data: { name: "m", tags: data, description: "late flights" },
      },
      {
        entity: "model_version",
        action: "created",
        timestamp,
        data: { ...version, source: "s3://b/m", run_id: null, tags: data, description: null },
      },
      {
        entity: "model_version_tag",
        action: "set",
        timestamp,
        data: { ...version, key: "checked", value: "yes ✓" },
      },
      { entity: "model_version_tag", action: "deleted", timestamp, data: { ...version, key: "checked" } },
      {
        entity: "model_version_alias",
        action: "created",
        timestamp,
        data: { ...version, alias: "champion" },
      },
      { entity: "model_version_alias", action: "deleted", timestamp, data: { name: "m", alias: "champion" } },
    ]);
  });

  it("hears of prompts as prompts, without what marks them", async () => {
    await subscribe();
    const mark = { key: "mlflow.prompt.is_prompt", value: "true" };
    const kind = { key: "_mlflow_prompt_type", value: "text" };
    const own = { key: "team", value: "delays" };
    await createModel("p", { tags: [mark, own] });
    await ground.ask("POST", "/model-versions/create", {
      name: "p",
      source: "dummy-source",
      tags: [mark, kind, own, { key: "mlflow.prompt.text", value: "Hello {{name}}" }],
    });
    await ground.ask("POST", "/registered-models/set-tag", { name: "p", key: "k", value: "v" });
    await ground.ask("DELETE", "/registered-models/delete-tag", { name: "p", key: "k" });
    await ground.ask("POST", "/model-versions/set-tag", { name: "p", version: "1", key: "k", value: "v" });
    await ground.ask("DELETE", "/model-versions/delete-tag", { name: "p", version: "1", key: "k" });
    await ground.ask("POST", "/registered-models/alias", { name: "p", version: "1", alias: "live" });
    await ground.ask("DELETE", "/registered-models/alias", { name: "p", alias: "live" });
    await sendDue();
    expect(receiver.events()).toEqual([
      "prompt.created",
      "prompt_version.created",
      "prompt_tag.set",
      "prompt_tag.deleted",
      "prompt_version_tag.set",
      "prompt_version_tag.deleted",
      "prompt_alias.created",
      "prompt_alias.deleted",
    ]);
    const [created, version] = receiver.received.map(({ body }) => body.data);
    expect(created).toEqual({ name: "p", tags: { team: "delays" }, description: "" });
    expect(version).toEqual({
      name: "p",
      version: "1",
      template: "Hello {{name}}",
      tags: { team: "delays" },
      description: null,
    });
  });

  it("hears of what it asked for and of nothing else, and not of changes that were none", async () => {
    await subscribe({ events: [{ entity: "MODEL_VERSION_ALIAS", action: "CREATED" }] });
    await createModel("m");
    for (let index = 0; index < 2; index++) {
      await ground.ask("POST", "/model-versions/create", { name: "m", source: "s3://b/m" });
      await ground.ask("POST", "/registered-models/alias", { name: "m", alias: "champion", version: "1" });
      await ground.ask("POST", "/registered-models/set-tag", { name: "m", key: "k", value: "v" });
    }
    await ground.send("POST", "/registered-models/alias", { name: "m", alias: "champion", version: "9" });
    await sendDue();
    expect(receiver.events()).toEqual(["model_version_alias.created"]);
  });

  it("hears of what Ketline itself does, too", async () => {
    await subscribe();
    const actor = systemActor("training");
    await ground.registry.ensureModel("m", actor);
    await ground.registry.createVersion({ name: "m", source: "s3://b/m", actor });
    await ground.registry.setAlias("m", "champion", 1, { actor });
    await sendDue();
    expect(receiver.events()).toEqual([
      "registered_model.created",
      "model_version.created",
      "model_version_alias.created",
    ]);
  });

  it("hears of an alias that went with its version, but not of a model that was deleted", async () => {
    await createModel("m");
    for (const version of ["1", "2"]) {
      await ground.ask("POST", "/model-versions/create", { name: "m", source: "s3://b/m" });
      await ground.ask("POST", "/registered-models/alias", { name: "m", alias: `a${version}`, version });
    }
    await subscribe();
    await ground.ask("DELETE", "/model-versions/delete", { name: "m", version: "1" });
    await ground.ask("DELETE", "/registered-models/delete", { name: "m" });
    await sendDue();
    expect(receiver.received.map(({ body }) => body.data)).toEqual([{ name: "m", alias: "a1" }]);
  });

  it("can verify the signature, and gets nothing that it did not ask for", async () => {
    await subscribe({ secret: "geheim ✓" });
    await createModel("m", { description: "with ünïcode ✓" });
    await sendDue();
    const [request] = receiver.received;
    expect(request?.headers["x-mlflow-signature"]).toBe(expectedSignature("geheim ✓", request!));
    expect(request?.headers["x-mlflow-timestamp"]).toBe(String(Math.floor(ground.clock() / 1000)));
    expect(Object.keys(request?.headers ?? {}).toSorted()).toEqual([
      "connection",
      "content-length",
      "content-type",
      "host",
      "x-mlflow-delivery-id",
      "x-mlflow-signature",
      "x-mlflow-timestamp",
    ]);
    expect(request?.headers["content-type"]).toBe("application/json");
  });

  it("gets no signature without a secret, and the new one's when it was changed", async () => {
    const id = await subscribe();
    await createModel("a");
    await sendDue();
    await ground.ask("PATCH", `/webhooks/${id}`, { secret: "new" });
    await createModel("b");
    await sendDue();
    await ground.ask("PATCH", `/webhooks/${id}`, { secret: "" });
    await createModel("c");
    await sendDue();
    const signatures = receiver.received.map(({ headers }) => headers["x-mlflow-signature"]);
    expect(signatures).toEqual([undefined, expectedSignature("new", receiver.received[1]!), undefined]);
  });
});

describe("a delivery that failed", () => {
  it("is tried again after a growing pause, with the same id and bytes and a new signature", async () => {
    const id = await subscribe({ secret: "s" });
    receiver.answer({ status: 503, body: "in repair" });
    await createModel("m");
    await sendDue();
    expect(await deliveries(id)).toMatchObject([
      {
        event: "registered_model.created",
        state: "pending",
        tries: 1,
        nextTryMs: ground.clock() + 7_500,
        responseStatus: 503,
        error: "The receiver answered 503. It says: in repair",
      },
    ]);
    ground.clock.advance(7_499);
    await sendDue();
    expect(receiver.received).toHaveLength(1);
    ground.clock.advance(1);
    await sendDue();
    expect((await deliveries(id))[0]).toMatchObject({ tries: 2, nextTryMs: ground.clock() + 15_000 });
    receiver.answer({ status: 204 });
    ground.clock.advance(15_000);
    await sendDue();
    expect(await deliveries(id)).toMatchObject([
      {
        state: "delivered",
        tries: 3,
        nextTryMs: null,
        endedMs: ground.clock(),
        responseStatus: 204,
        error: null,
      },
    ]);
    const ids = receiver.received.map(({ headers }) => headers["x-mlflow-delivery-id"]);
    expect(new Set(ids)).toEqual(new Set([(await deliveries(id))[0]?.id]));
    expect(new Set(receiver.received.map(({ text }) => text)).size).toBe(1);
    expect(new Set(receiver.received.map(({ headers }) => headers["x-mlflow-timestamp"])).size).toBe(3);
    for (const request of receiver.received) {
      expect(request.headers["x-mlflow-signature"]).toBe(expectedSignature("s", request));
    }
    ground.clock.advance(3600_000);
    await sendDue();
    expect(receiver.received).toHaveLength(3);
  });

  it("is given up after twelve tries, and can be sent again by hand", async () => {
    const id = await subscribe();
    receiver.answer({ status: 500 });
    await createModel("m");
    for (let tries = 0; tries < 20; tries++) {
      await sendDue();
      ground.clock.advance(3600_000);
    }
    expect(receiver.received).toHaveLength(12);
    const [failed] = await deliveries(id, "state=failed");
    expect(failed).toMatchObject({ tries: 12, nextTryMs: null, responseStatus: 500 });
    receiver.answer({ status: 200 });
    expect(await retry(id, failed?.id)).toMatchObject({ status: 200, body: { state: "pending", tries: 12 } });
    await sendDue();
    expect(await deliveries(id)).toMatchObject([{ id: failed?.id, state: "delivered", tries: 13 }]);
    const [entry] = await ground.audit.list({ subject: `webhook/${id}/deliveries/` }, undefined, 1);
    expect(entry).toMatchObject({ action: "webhook.delivery-retried", before: { state: "failed" } });
  });

  it.each([
    [302, /Redirects are not followed/],
    [404, /answered 404/],
  ])("with %i is given up at once, and no redirect is followed", async (status, error) => {
    const id = await subscribe();
    receiver.answer({ status, headers: { location: receiver.url } });
    await createModel("m");
    await sendDue();
    expect(await deliveries(id)).toMatchObject([
      { state: "failed", tries: 1, error: expect.stringMatching(error) },
    ]);
    expect(receiver.received).toHaveLength(1);
  });

  it("is not sent unsigned when its secret cannot be read any more, and says what to do", async () => {
    const id = await subscribe({ secret: "s" });
    await ground.webhooks.close?.();
    await createModel("m");
    const restarted = createWebhooks({ ...ground, signingKey: "another key".repeat(4) });
    await restarted.timers[0]?.run();
    expect(receiver.received).toEqual([]);
    expect(await deliveries(id)).toMatchObject([
      { state: "failed", error: expect.stringMatching(/another signing key.*set the secret again/) },
    ]);
  });

  it("waits as long as the receiver asks", async () => {
    const id = await subscribe();
    receiver.answer({ status: 429, headers: { "retry-after": "600" } });
    await createModel("m");
    await sendDue();
    expect((await deliveries(id))[0]).toMatchObject({ nextTryMs: ground.clock() + 600_000 });
  });

  it("is not sent again by hand while it is pending, and not when it is nobody's", async () => {
    const id = await subscribe();
    receiver.answer({ status: 500 });
    await createModel("m");
    await sendDue();
    const [pending] = await deliveries(id);
    expect((await retry(id, pending?.id)).status).toBe(409);
    expect((await retry(id, "nothing")).status).toBe(404);
    expect((await retry("nobody", pending?.id)).status).toBe(404);
    const other = await subscribe();
    expect((await retry(other, pending?.id)).status).toBe(404);
  });
});

describe("no event is lost", () => {
  it("while the receiver is away: all come, in their order, when it is back", async () => {
    const id = await subscribe();
    const { port } = new URL(receiver.url);
    await receiver.close();
    for (const name of ["a", "b", "c"]) await createModel(name);
    await sendDue();
    const down = await deliveries(id);
    expect(down.map(({ state, tries, responseStatus }) => [state, tries, responseStatus])).toEqual(
      Array(3).fill(["pending", 1, null]),
    );
    expect(down[0]?.error).toMatch(/ECONNREFUSED/);
    receiver = await startReceiver(Number(port));
    ground.clock.advance(10_000);
    await sendDue();
    expect(receiver.received.map(({ body }) => body.data.name)).toEqual(["a", "b", "c"]);
  });

  it("when the receiver says nothing: the try ends, and another follows", async () => {
    const hasty = await mlflowGround({ KETLINE_WEBHOOK_ALLOW_PRIVATE: "true" }, { timeoutMs: 50 });
    try {
      receiver.answer("silent");
      const events = [{ entity: "REGISTERED_MODEL", action: "CREATED" }];
      const made = await hasty.ask<{ webhook: { webhook_id: string } }>("POST", "/webhooks", {
        name: "w",
        url: receiver.url,
        events,
      });
      await hasty.ask("POST", "/registered-models/create", { name: "m" });
      await hasty.webhooks.timers[0]?.run();
      const path = `/api/v1/webhooks/${made.webhook.webhook_id}/deliveries`;
      expect((await call(hasty.app, "GET", path)).body).toMatchObject({
        items: [{ state: "pending", tries: 1, responseStatus: null, error: "No answer within 0.05 s." }],
      });
    } finally {
      await hasty.close();
    }
  });

  it("when the server stops in the middle of a try: it gives the delivery back", async () => {
    const id = await subscribe();
    receiver.answer("silent");
    await createModel("m");
    await receiver.hasGot(1);
    await ground.webhooks.close?.();
    expect(await deliveries(id)).toMatchObject([{ state: "pending", tries: 0, nextTryMs: ground.clock() }]);
  });

  it("when a change is rolled back there is none", async () => {
    await subscribe();
    await createModel("m");
    await ground.send("POST", "/registered-models/create", { name: "m" });
    await ground.send("POST", "/model-versions/create", { name: "m", source: "/etc/passwd" });
    await sendDue();
    expect(receiver.events()).toEqual(["registered_model.created"]);
  });
});

describe("a webhook that is disabled", () => {
  it("gets nothing of what happens meanwhile, and later what was waiting", async () => {
    const id = await subscribe();
    receiver.answer({ status: 500 });
    await createModel("before");
    await sendDue();
    receiver.answer({ status: 200 });
    receiver.forget();
    await ground.ask("PATCH", `/webhooks/${id}`, { status: "DISABLED" });
    await createModel("meanwhile");
    ground.clock.advance(3600_000);
    await sendDue();
    expect(receiver.received).toEqual([]);
    await ground.ask("PATCH", `/webhooks/${id}`, { status: "ACTIVE" });
    await createModel("after");
    await sendDue();
    expect(receiver.received.map(({ body }) => body.data.name)).toEqual(["before", "after"]);
  });
});

describe("a webhook that is deleted", () => {
  it("gets nothing any more, not even what was waiting", async () => {
    const id = await subscribe();
    receiver.answer({ status: 500 });
    await createModel("m");
    await sendDue();
    await ground.ask("DELETE", `/webhooks/${id}`);
    receiver.forget();
    ground.clock.advance(3600_000);
    await createModel("n");
    await sendDue();
    expect(receiver.received).toEqual([]);
    expect((await call(ground.app, "GET", `/api/v1/webhooks/${id}/deliveries`)).status).toBe(404);
  });
});

describe("the deliveries of a webhook", () => {
  it("are told in pages, newest first, and go when they are a week old", async () => {
    const id = await subscribe();
    for (const name of ["a", "b", "c"]) await createModel(name);
    await sendDue();
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const query = cursor === undefined ? "" : `&cursor=${cursor}`;
      const { body } = await call(ground.app, "GET", `/api/v1/webhooks/${id}/deliveries?limit=2${query}`);
      const page = body as { items: Delivery[]; nextCursor?: string };
      seen.push(...page.items.map(({ payload }) => payload.data.name));
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    expect(seen).toEqual(["c", "b", "a"]);
    ground.clock.advance(6 * 24 * 3600_000);
    await createModel("young");
    await sendDue();
    await runTimer("registry-webhooks-prune");
    expect(await deliveries(id)).toHaveLength(4);
    ground.clock.advance(24 * 3600_000 + 1);
    await runTimer("registry-webhooks-prune");
    expect((await deliveries(id)).map(({ payload }) => payload.data.name)).toEqual(["young"]);
  });
});
