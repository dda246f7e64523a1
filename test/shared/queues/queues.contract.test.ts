import { randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { MessageQueue, QueueMessage } from "../../../shared/queues/index.ts";
import { type QueueCase, type QueueWorld, queueCases } from "../../support/message-queues.ts";

describe.each(queueCases())("$name", queueContract);

function queueContract({ start, open, stop }: QueueCase) {
  const maxAttempts = 3;
  let world: QueueWorld;
  let queue: MessageQueue;
  let name: string;
  beforeAll(start);
  afterAll(stop);
  beforeEach(async () => {
    world = await open(maxAttempts);
    queue = world.queue;
    name = `jobs-${randomUUID().slice(0, 8)}`;
  });
  afterEach(() => world.close());

  const receive = (max = 1, from = name) => queue.receive(from, { max, visibilityMs: 30_000 });
  const receiveOne = async (from = name): Promise<QueueMessage> => {
    const [message] = await receive(1, from);
    if (message === undefined) throw new Error(`There is no message in ${from}.`);
    return message;
  };

  it("hands a message out with its body and its first attempt", async () => {
    await queue.send(name, "job ünïcode 🚀 <&>");
    expect(await receiveOne()).toMatchObject({ queue: name, body: "job ünïcode 🚀 <&>", attempt: 1 });
  });

  it("has nothing in a queue that nobody used", async () => {
    expect(await receive(32)).toEqual([]);
    expect(await queue.depth(name)).toBe(0);
  });

  it("hides a message that was handed out until its time is over", async () => {
    await queue.send(name, "a");
    const first = await receiveOne();
    await world.advance(29_000);
    expect(await receive()).toEqual([]);
    await world.advance(2_000);
    const second = await receiveOne();
    expect(second).toMatchObject({ id: first.id, body: "a", attempt: 2 });
    expect(second.receipt).not.toBe(first.receipt);
  });

  it("never hands out a completed message again", async () => {
    await queue.send(name, "a");
    await queue.complete(await receiveOne());
    await world.advance(60_000);
    expect(await receive()).toEqual([]);
    expect(await queue.depth(name)).toBe(0);
  });

  it("keeps a delayed message back", async () => {
    await queue.send(name, "later", { delayMs: 10_000 });
    expect(await receive()).toEqual([]);
    expect(await queue.depth(name)).toBe(1);
    await world.advance(11_000);
    expect(await receiveOne()).toMatchObject({ body: "later", attempt: 1 });
  });

  it("hands out no more than was asked for, the oldest first", async () => {
    for (const body of ["1", "2", "3", "4", "5"]) {
      await queue.send(name, body);
      await world.advance(1_000);
    }
    expect((await receive(2)).map((message) => message.body).toSorted()).toEqual(["1", "2"]);
    expect((await receive(32)).map((message) => message.body).toSorted()).toEqual(["3", "4", "5"]);
  });

  it("gives each message to one of many workers", async () => {
    const bodies = Array.from({ length: 60 }, (_, index) => `message ${index}`);
    for (const body of bodies) await queue.send(name, body);
    const taken: string[] = [];
    const worker = async () => {
      for (;;) {
        const messages = await receive(4);
        if (messages.length === 0) return;
        taken.push(...messages.map((message) => message.body));
      }
    };
    await Promise.all(Array.from({ length: 8 }, worker));
    expect(taken.toSorted()).toEqual(bodies.toSorted());
  });

  it("keeps queues apart", async () => {
    const other = `other-${name}`;
    await queue.send(name, "a");
    await queue.send(other, "b");
    expect(await receiveOne(other)).toMatchObject({ body: "b", queue: other });
    expect(await receive(32, other)).toEqual([]);
    expect(await receiveOne()).toMatchObject({ body: "a" });
  });

  it("counts what waits and what is hidden", async () => {
    await queue.send(name, "a");
    await queue.send(name, "b");
    await receive();
    expect(await queue.depth(name)).toBe(2);
  });

  describe("retry", () => {
    it("makes a message visible again at once, with the next attempt", async () => {
      await queue.send(name, "a");
      expect(await queue.retry(await receiveOne())).toBe("retried");
      expect(await receiveOne()).toMatchObject({ body: "a", attempt: 2 });
    });

    it("waits as long as it was told to", async () => {
      await queue.send(name, "a");
      await queue.retry(await receiveOne(), { delayMs: 60_000 });
      await world.advance(40_000); // past the time for which it was hidden when it was handed out
      expect(await receive()).toEqual([]);
      await world.advance(21_000);
      expect(await receiveOne()).toMatchObject({ attempt: 2 });
    });

    it("puts a message aside after its last attempt, with its body, to be handled like any other", async () => {
      await queue.send(name, "hopeless");
      for (let attempt = 1; attempt < maxAttempts; attempt++) {
        expect(await queue.retry(await receiveOne())).toBe("retried");
      }
      const last = await receiveOne();
      expect(last.attempt).toBe(maxAttempts);
      expect(await queue.retry(last)).toBe("poisoned");
      expect(await queue.depth(name)).toBe(0);
      const poisoned = await receiveOne(`${name}-poison`);
      expect(poisoned).toMatchObject({ queue: `${name}-poison`, body: "hopeless", attempt: 1 });
      await queue.complete(poisoned);
      expect(await queue.depth(`${name}-poison`)).toBe(0);
    });

    it("leaves a poisoned message in its queue for ever", async () => {
      await queue.send(`${name}-poison`, "a");
      for (let attempt = 1; attempt <= maxAttempts + 2; attempt++) {
        expect(await queue.retry(await receiveOne(`${name}-poison`))).toBe("retried");
      }
      expect(await queue.depth(`${name}-poison`)).toBe(1);
    });
  });

  it("puts aside what workers took and dropped too often without a word", async () => {
    await queue.send(name, "deadly");
    await queue.send(name, "fine", { delayMs: 94_000 });
    for (let attempt = 1; attempt <= maxAttempts; attempt++) {
      expect(await receiveOne()).toMatchObject({ body: "deadly", attempt });
      await world.advance(31_000);
    }
    expect(await receive(32)).toEqual([]);
    expect(await receiveOne(`${name}-poison`)).toMatchObject({ body: "deadly", attempt: 1 });
    await world.advance(2_000);
    expect(await receiveOne()).toMatchObject({ body: "fine" });
  });

  describe("a worker that is too late", () => {
    it("cannot complete a message that another one holds by now", async () => {
      await queue.send(name, "a");
      const late = await receiveOne();
      await world.advance(31_000);
      const holder = await receiveOne();
      await queue.complete(late);
      expect(await queue.depth(name)).toBe(1);
      await queue.complete(holder);
      expect(await queue.depth(name)).toBe(0);
    });

    it("cannot make it visible or put it aside", async () => {
      await queue.send(name, "a");
      await queue.retry(await receiveOne());
      await queue.retry(await receiveOne());
      const late = await receiveOne();
      expect(late.attempt).toBe(maxAttempts);
      await world.advance(31_000);
      // The last attempt was dropped: the next receive puts it aside, and the late worker must not do so again.
      expect(await receive()).toEqual([]);
      expect(await queue.retry(late)).toBe("retried");
      expect(await queue.depth(`${name}-poison`)).toBe(1);
      expect(await queue.depth(name)).toBe(0);
    });

    it("does no harm to one that is gone", async () => {
      await queue.send(name, "a");
      const message = await receiveOne();
      await queue.complete(message);
      await queue.complete(message);
      expect(await queue.retry(message)).toBe("retried");
      expect(await queue.depth(name)).toBe(0);
    });
  });

  describe("what it refuses", () => {
    it("is a body over 48 KiB, before it is sent, with its size", async () => {
      await queue.send(name, "é".repeat(24 * 1024));
      await expect(queue.send(name, `${"é".repeat(24 * 1024)}!`)).rejects.toMatchObject({
        kind: "invalid",
        message: expect.stringContaining("49153 bytes"),
      });
      expect(await queue.depth(name)).toBe(1);
    });

    it.each(["", "ab", "Jobs", "jobs_1", "-jobs", "jobs-", "a--b", "x".repeat(57)])(
      "is the queue name %j",
      async (wrong) => {
        const refusal = { kind: "invalid", message: expect.stringContaining(`"${wrong}"`) };
        await expect(queue.send(wrong, "a")).rejects.toMatchObject(refusal);
        await expect(receive(1, wrong)).rejects.toMatchObject(refusal);
        await expect(queue.depth(wrong)).rejects.toMatchObject(refusal);
      },
    );

    it.each([0, 33, 1.5])("is to hand out %d messages", async (max) => {
      await expect(receive(max)).rejects.toMatchObject({ kind: "invalid" });
    });

    it.each([0, -1, Number.NaN, 8 * 86_400_000])("is to hide messages for %d ms", async (visibilityMs) => {
      await expect(queue.receive(name, { max: 1, visibilityMs })).rejects.toMatchObject({ kind: "invalid" });
    });

    it.each([-1, Number.NaN, 8 * 86_400_000])("is a delay of %d ms", async (delayMs) => {
      await expect(queue.send(name, "a", { delayMs })).rejects.toMatchObject({ kind: "invalid" });
    });
  });
}
