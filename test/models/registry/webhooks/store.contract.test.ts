import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createRegistry, type Registry, registryMigrations } from "../../../../models/registry/index.ts";
import { createWebhookStore, type WebhookStore } from "../../../../models/registry/webhooks/store.ts";
import type { WebhookRow } from "../../../../models/registry/webhooks/tables.ts";
import { createTracking, trackingMigrations } from "../../../../models/tracking/index.ts";
import { createPlatform } from "../../../../platform.ts";
import { createFileStore } from "../../../../shared/blobs/index.ts";
import { loadConfig } from "../../../../shared/config.ts";
import type { Database } from "../../../../shared/database/index.ts";
import { systemActor } from "../../../../shared/identity/actor.ts";
import { databaseCases } from "../../../support/databases.ts";
import { startReceiver } from "../../../support/webhook-receiver.ts";

const actor = systemActor("test");

describe.each(databaseCases())("deliveries on $name", ({ open }) => {
  let directory: string;
  let database: Database;
  let store: WebhookStore;
  let registry: Registry;
  let nowMs: number;
  let woken: number;
  beforeEach(async () => {
    database = await open([...trackingMigrations, ...registryMigrations]);
    directory = await mkdtemp(path.join(tmpdir(), "ketline-test-"));
    store = createWebhookStore(database);
    nowMs = 1_000_000;
    woken = 0;
    const ground = {
      database,
      blobs: await createFileStore({ directory, signingKey: "k".repeat(32) }),
      clock: () => nowMs,
      audit: { record: async () => undefined },
      webhooks: {
        wake() {
          woken++;
        },
      },
    };
    registry = createRegistry({ ...ground, tracking: createTracking(ground) });
  });
  afterEach(async () => {
    await database?.close();
    await rm(directory, { recursive: true, force: true });
  });

  const webhook = async (id: string, more: Partial<WebhookRow> = {}) => {
    const row: WebhookRow = {
      webhook_id: id,
      name: id,
      description: "",
      url: `https://example.com/${id}`,
      status: "ACTIVE",
      secret: null,
      created_ms: nowMs,
      updated_ms: nowMs,
      ...more,
    };
    await store.insert(row, ["registered_model.created", "model_version_alias.created"]);
  };
  const happen = async (...names: string[]) => {
    for (const name of names) await registry.ensureModel(name, actor);
  };
  const claim = (lease: string, limit = 10) =>
    store.claim({ lease, nowMs, leaseUntilMs: nowMs + 1000, limit });
  const nameOf = (row: { payload: string } | undefined) => JSON.parse(row?.payload ?? "{}").data?.name;
  const delivered = { state: "delivered", responseStatus: 200 } as const;

  it("are written with the change, for each active webhook that wants the event, and wake the sender", async () => {
    await webhook("a");
    await webhook("b");
    await webhook("off", { status: "DISABLED" });
    await happen("m");
    const claimed = await claim("1");
    expect(claimed.map(({ webhook_id, event, event_id, url }) => [webhook_id, event, event_id, url])).toEqual(
      expect.arrayContaining([
        ["a", "registered_model.created", 1, "https://example.com/a"],
        ["b", "registered_model.created", 1, "https://example.com/b"],
      ]),
    );
    expect(claimed).toHaveLength(2);
    expect(woken).toBe(1);
  });

  it("are not written when the change is not made", async () => {
    await webhook("a");
    await happen("m");
    await expect(registry.setAlias("m", "champion", 7, { actor })).rejects.toThrow(/not found/);
    expect(await store.listDeliveries("a", { before: undefined, state: undefined, limit: 10 })).toHaveLength(
      1,
    );
    expect(woken).toBe(1);
  });

  it("of one webhook go one after the other, in the order of the events", async () => {
    await webhook("a");
    await happen("m1", "m2", "m3");
    const order: string[] = [];
    for (let turn = 0; turn < 3; turn++) {
      const [first, ...rest] = await claim(`turn ${turn}`);
      expect(rest).toEqual([]);
      expect(await claim("another")).toEqual([]);
      order.push(nameOf(first));
      await store.finish(first?.delivery_id ?? "", `turn ${turn}`, nowMs, delivered);
    }
    expect(order).toEqual(["m1", "m2", "m3"]);
    expect(await claim("none left")).toEqual([]);
  });

  it("that wait for another try hold up no later ones", async () => {
    await webhook("a");
    await happen("m1", "m2");
    const [first] = await claim("1");
    await store.finish(first?.delivery_id ?? "", "1", nowMs, {
      state: "pending",
      responseStatus: 500,
      error: "no",
      dueMs: nowMs + 10,
    });
    const [second] = await claim("2");
    expect(nameOf(second)).toBe("m2");
    await store.finish(second?.delivery_id ?? "", "2", nowMs, delivered);
    expect(await claim("3")).toEqual([]);
    nowMs += 10;
    expect((await claim("4")).map(nameOf)).toEqual(["m1"]);
  });

  it("are each taken by exactly one of many instances that try at once", async () => {
    const ids = Array.from({ length: 12 }, (_, index) => `w${index}`);
    for (const id of ids) await webhook(id);
    await happen("m1", "m2");
    const claims = await Promise.all(Array.from({ length: 8 }, (_, index) => claim(`instance ${index}`, 4)));
    const taken = claims.flat();
    expect(new Set(taken.map(({ delivery_id }) => delivery_id)).size).toBe(taken.length);
    expect(new Set(taken.map(({ webhook_id }) => webhook_id)).size).toBe(taken.length);
    // What an instance passed over because another was just taking it is there for the next.
    const rest = await claim("late", 12);
    expect([...taken, ...rest].map(({ webhook_id }) => webhook_id).toSorted()).toEqual(ids.toSorted());
  });

  it("are taken over when their instance has gone silent, and its late word does not count", async () => {
    await webhook("a");
    await happen("m");
    const [first] = await claim("gone");
    const id = first?.delivery_id ?? "";
    nowMs += 999;
    expect(await claim("too early")).toEqual([]);
    nowMs += 1;
    const [again] = await claim("successor");
    expect(again?.delivery_id).toBe(id);
    expect(await store.finish(id, "gone", nowMs, delivered)).toBe(false);
    expect((await store.findDelivery("a", id))?.state).toBe("pending");
    expect(await store.finish(id, "successor", nowMs, delivered)).toBe(true);
    expect(await store.findDelivery("a", id)).toMatchObject({ state: "delivered", tries: 1, lease: null });
  });

  it("are given back without a try, kept back while disabled, and gone with their webhook", async () => {
    await webhook("a");
    await happen("m");
    const [first] = await claim("1");
    await store.release(first?.delivery_id ?? "", "1");
    await store.update("a", { status: "DISABLED" }, undefined);
    expect(await claim("2")).toEqual([]);
    await store.update("a", { status: "ACTIVE" }, ["prompt.created"]);
    expect(await store.find("a")).toMatchObject({ status: "ACTIVE", events: ["prompt.created"] });
    expect(await claim("3")).toMatchObject([{ tries: 0 }]);
    await store.remove("a");
    expect(await store.findDelivery("a", first?.delivery_id ?? "")).toBeUndefined();
    expect(await store.find("a")).toBeUndefined();
    await happen("n");
    expect(woken).toBe(1);
  });

  it("are pruned by when they ended, some at a time", async () => {
    await webhook("a");
    await happen("m1", "m2", "m3");
    for (const turn of ["1", "2"]) {
      const [row] = await claim(turn);
      await store.finish(row?.delivery_id ?? "", turn, nowMs, delivered);
      nowMs += 10;
    }
    expect(await store.prune(nowMs - 20, 10)).toBe(0);
    expect(await store.prune(nowMs, 2)).toBe(2);
    expect(await store.prune(nowMs, 2)).toBe(1);
  });
});

describe("a server that is killed while it sends", () => {
  it("loses no event: the next start sends it again, under the same id", async () => {
    const directory = await mkdtemp(path.join(tmpdir(), "ketline-test-"));
    const receiver = await startReceiver();
    try {
      receiver.answer("silent");
      const child = fork(new URL("./sender.child.ts", import.meta.url), [directory, receiver.url], {
        stdio: ["ignore", "ignore", "inherit", "ipc"],
      });
      const gone = once(child, "exit");
      await Promise.race([receiver.hasGot(1), gone]);
      child.kill("SIGKILL");
      await gone;
      receiver.answer({ status: 200 });
      // A minute later nobody believes any more that the other is still at it.
      const platform = await createPlatform(
        loadConfig({
          KETLINE_DATA: directory,
          KETLINE_WEBHOOK_ALLOW_PRIVATE: "true",
          KETLINE_LOG_LEVEL: "silent",
        }),
        () => Date.now() + 61_000,
      );
      try {
        await platform.timers.find(({ name }) => name === "registry-webhooks-send")?.run();
      } finally {
        await platform.close();
      }
      expect(receiver.events()).toEqual(["registered_model.created", "registered_model.created"]);
      const ids = receiver.received.map(({ headers }) => headers["x-mlflow-delivery-id"]);
      expect(new Set(ids).size).toBe(1);
    } finally {
      await receiver.close();
      await rm(directory, { recursive: true, force: true });
    }
  });
});
