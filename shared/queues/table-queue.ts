import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import type { Clock } from "../clock.ts";
import type { Database } from "../database/index.ts";
import type { MessageQueue } from "./message-queue.ts";
import {
  checkBody,
  checkDuration,
  checkQueueName,
  checkReceive,
  defaultMaxAttempts,
  poisonOf,
} from "./messages.ts";

interface QueueTables {
  queue_message: {
    id: string;
    queue: string;
    body: string;
    attempt: number;
    /** When the next worker may take it. */
    visible_ms: number;
    /** Of the worker that took it last; null before the first. */
    receipt: string | null;
    sent_ms: number;
  };
}

/**
 * Queues in a table of the metadata database. Taking messages is one statement: SQLite has one writer at a time, and
 * on PostgreSQL `for update skip locked` lets each worker pass over the rows that another is just taking.
 */
export function createTableQueue(options: {
  readonly database: Database;
  readonly clock: Clock;
  /** 5 by default. */
  readonly maxAttempts?: number;
}): MessageQueue {
  const { database, clock, maxAttempts = defaultMaxAttempts } = options;
  const tables = database.tables<QueueTables>();
  const skipLocked = database.dialect === "postgres" ? sql`for update skip locked` : sql``;

  /** Workers that die never call `retry`; what they dropped too often is put aside here. */
  async function putAside(queue: string): Promise<void> {
    const poison = poisonOf(queue);
    if (poison === queue) return;
    const now = clock();
    await tables
      .updateTable("queue_message")
      .set({ queue: poison, attempt: 0, receipt: null, visible_ms: now })
      .where("queue", "=", queue)
      .where("visible_ms", "<=", now)
      .where("attempt", ">=", maxAttempts)
      .execute();
  }

  return {
    async send(queue, body, { delayMs = 0 } = {}) {
      checkQueueName(queue);
      checkBody(body);
      checkDuration("delayMs", delayMs);
      const now = clock();
      await tables
        .insertInto("queue_message")
        .values({
          id: randomUUID(),
          queue,
          body,
          attempt: 0,
          visible_ms: now + Math.ceil(delayMs),
          receipt: null,
          sent_ms: now,
        })
        .execute();
    },

    async receive(queue, { max, visibilityMs }) {
      checkQueueName(queue);
      checkReceive({ max, visibilityMs });
      await putAside(queue);
      const now = clock();
      const receipt = randomUUID();
      const { rows } = await sql<{ id: string; body: string; attempt: number }>`
        update queue_message
        set attempt = attempt + 1, receipt = ${receipt}, visible_ms = ${now + Math.ceil(visibilityMs)}
        where id in (
          select id from queue_message
          where queue = ${queue} and visible_ms <= ${now}
          order by visible_ms, sent_ms, id
          limit ${max}
          ${skipLocked}
        )
        returning id, body, attempt`.execute(tables);
      return rows.map(({ id, body, attempt }) => ({ queue, id, body, attempt, receipt }));
    },

    async complete(message) {
      await tables
        .deleteFrom("queue_message")
        .where("id", "=", message.id)
        .where("receipt", "=", message.receipt)
        .execute();
    },

    async retry(message, { delayMs = 0 } = {}) {
      checkDuration("delayMs", delayMs);
      const poison = poisonOf(message.queue);
      const poisoned = message.attempt >= maxAttempts && poison !== message.queue;
      const visible_ms = clock() + (poisoned ? 0 : Math.ceil(delayMs));
      const { numUpdatedRows } = await tables
        .updateTable("queue_message")
        .set(
          poisoned ? { queue: poison, attempt: 0, receipt: null, visible_ms } : { receipt: null, visible_ms },
        )
        .where("id", "=", message.id)
        .where("receipt", "=", message.receipt)
        .executeTakeFirstOrThrow();
      return poisoned && numUpdatedRows > 0n ? "poisoned" : "retried";
    },

    async depth(queue) {
      checkQueueName(queue);
      const { count } = await tables
        .selectFrom("queue_message")
        .select((expression) => expression.fn.countAll<number | string>().as("count"))
        .where("queue", "=", queue)
        .executeTakeFirstOrThrow();
      return Number(count);
    },
  };
}
