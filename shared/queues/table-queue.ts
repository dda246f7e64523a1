import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import type { Clock } from "../clock.ts";
import type { Database } from "../database/index.ts";
import type { MessageQueue, QueueMessage } from "./message-queue.ts";
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
 * on PostgreSQL `for update skip locked` lets each worker pass over the rows that another is just taking. (There the
 * choice stands in a `with`: a subquery could be run again by the plan and lock more rows than its limit.)
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

  /** @returns whether the message was still held under this receipt */
  async function putAside(id: string, queue: string, receipt: string): Promise<boolean> {
    const { numUpdatedRows } = await tables
      .updateTable("queue_message")
      .set({ queue: poisonOf(queue), attempt: 0, receipt: null, visible_ms: clock() })
      .where("id", "=", id)
      .where("receipt", "=", receipt)
      .executeTakeFirstOrThrow();
    return numUpdatedRows > 0n;
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
      const now = clock();
      const receipt = randomUUID();
      const { rows } = await sql<{ id: string; body: string; attempt: number }>`
        with turn as (
          select id from queue_message
          where queue = ${queue} and visible_ms <= ${now}
          order by visible_ms, sent_ms, id
          limit ${max}
          ${skipLocked}
        )
        update queue_message
        set attempt = attempt + 1, receipt = ${receipt}, visible_ms = ${now + Math.ceil(visibilityMs)}
        where id in (select id from turn)
        returning id, body, attempt`.execute(tables);
      const messages: QueueMessage[] = [];
      for (const { id, body, attempt } of rows) {
        // Workers that die never call `retry`; what they dropped too often is put aside here.
        if (attempt > maxAttempts && poisonOf(queue) !== queue) await putAside(id, queue, receipt);
        else messages.push({ queue, id, body, attempt, receipt });
      }
      return messages;
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
      const { id, queue, receipt } = message;
      if (message.attempt >= maxAttempts && poisonOf(queue) !== queue) {
        return (await putAside(id, queue, receipt)) ? "poisoned" : "retried";
      }
      await tables
        .updateTable("queue_message")
        .set({ receipt: null, visible_ms: clock() + Math.ceil(delayMs) })
        .where("id", "=", id)
        .where("receipt", "=", receipt)
        .execute();
      return "retried";
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
