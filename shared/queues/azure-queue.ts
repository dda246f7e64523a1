import { DefaultAzureCredential } from "@azure/identity";
import { type QueueClient, QueueServiceClient } from "@azure/storage-queue";
import { callStorage, codeOfStorage, isStatus, retryOptions, shortCallMs } from "../azure-storage/calls.ts";
import type { MessageQueue, QueueMessage } from "./message-queue.ts";
import {
  checkBody,
  checkDuration,
  checkQueueName,
  checkReceive,
  defaultMaxAttempts,
  poisonOf,
} from "./messages.ts";

const service = "Azure Queue Storage";

/**
 * Queues of Azure Storage. Bodies travel as base64, as the queue trigger of Azure Functions reads them; queues are made
 * when they are first used. The service counts time in whole seconds, so delays are rounded up.
 */
export function createAzureQueue(options: {
  /** `https://<account>.queue.core.windows.net` */
  readonly accountUrl: string;
  /** With an account key; without it the process's own Entra identity is used. */
  readonly connectionString?: string;
  /** 5 by default. */
  readonly maxAttempts?: number;
}): MessageQueue {
  const { maxAttempts = defaultMaxAttempts } = options;
  const account =
    options.connectionString === undefined
      ? new QueueServiceClient(options.accountUrl, new DefaultAzureCredential(), { retryOptions })
      : QueueServiceClient.fromConnectionString(options.connectionString, { retryOptions });

  /** Does something with a queue, and makes the queue if that is what was missing. */
  async function withQueue<Result>(
    queue: string,
    call: (client: QueueClient, abortSignal: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    const client = account.getQueueClient(queue);
    const attempt = () => short((abortSignal) => call(client, abortSignal));
    try {
      return await attempt();
    } catch (error) {
      if (codeOfStorage(error) !== "QueueNotFound") throw error;
      await short((abortSignal) => client.createIfNotExists({ abortSignal }));
      return attempt();
    }
  }

  async function send(queue: string, encoded: string, delayMs: number): Promise<void> {
    await withQueue(queue, (client, abortSignal) =>
      client.sendMessage(encoded, {
        abortSignal,
        visibilityTimeout: seconds(delayMs),
        messageTimeToLive: -1, // waits as long as it takes; the default is seven days
      }),
    );
  }

  /** Written to the poison queue first: a crash between the two leaves it twice, never nowhere. */
  async function putAside(message: QueueMessage, encoded: string): Promise<void> {
    await send(poisonOf(message.queue), encoded, 0);
    await complete(message);
  }

  async function receive(
    queue: string,
    { max, visibilityMs }: { readonly max: number; readonly visibilityMs: number },
  ): Promise<readonly QueueMessage[]> {
    checkQueueName(queue);
    checkReceive({ max, visibilityMs });
    const { receivedMessageItems } = await withQueue(queue, (client, abortSignal) =>
      client.receiveMessages({
        abortSignal,
        numberOfMessages: max,
        visibilityTimeout: seconds(visibilityMs),
      }),
    );
    const messages: QueueMessage[] = [];
    for (const item of receivedMessageItems) {
      const message = {
        queue,
        id: item.messageId,
        body: Buffer.from(item.messageText, "base64").toString(),
        attempt: item.dequeueCount,
        receipt: item.popReceipt,
      };
      // Workers that died never called `retry`.
      if (message.attempt > maxAttempts && poisonOf(queue) !== queue)
        await putAside(message, item.messageText);
      else messages.push(message);
    }
    return messages;
  }

  async function complete(message: QueueMessage): Promise<void> {
    try {
      await short((abortSignal) =>
        account.getQueueClient(message.queue).deleteMessage(message.id, message.receipt, { abortSignal }),
      );
    } catch (error) {
      if (!isGone(error)) throw error;
    }
  }

  async function retry(
    message: QueueMessage,
    { delayMs = 0 }: { readonly delayMs?: number } = {},
  ): Promise<"retried" | "poisoned"> {
    checkDuration("delayMs", delayMs);
    const poisoned = message.attempt >= maxAttempts && poisonOf(message.queue) !== message.queue;
    // Hidden a little longer first: that fails if somebody else holds the message by now, and then it is not ours to move.
    const receipt = await hide(message, poisoned ? shortCallMs * 3 : delayMs);
    if (receipt === undefined || !poisoned) return "retried";
    await putAside({ ...message, receipt }, Buffer.from(message.body).toString("base64"));
    return "poisoned";
  }

  /** @returns the new receipt, or nothing when the message is not held any more */
  async function hide(message: QueueMessage, forMs: number): Promise<string | undefined> {
    try {
      const { popReceipt } = await short((abortSignal) =>
        account
          .getQueueClient(message.queue)
          .updateMessage(message.id, message.receipt, undefined, seconds(forMs), { abortSignal }),
      );
      return popReceipt;
    } catch (error) {
      if (isGone(error)) return undefined;
      throw error;
    }
  }

  return {
    async send(queue, body, { delayMs = 0 } = {}) {
      checkQueueName(queue);
      checkBody(body);
      checkDuration("delayMs", delayMs);
      await send(queue, Buffer.from(body).toString("base64"), delayMs);
    },
    receive,
    complete,
    retry,
    async depth(queue) {
      checkQueueName(queue);
      const { approximateMessagesCount = 0 } = await withQueue(queue, (client, abortSignal) =>
        client.getProperties({ abortSignal }),
      );
      return approximateMessagesCount;
    },
  };
}

function short<Result>(call: (abortSignal: AbortSignal) => Promise<Result>): Promise<Result> {
  return callStorage(service, { timeoutMs: shortCallMs }, call);
}

function seconds(ms: number): number {
  return Math.ceil(ms / 1000);
}

/** Another worker holds the message by now, or finished it. Azure says 400 for a receipt that is not its own. */
function isGone(error: unknown): boolean {
  return isStatus(error, 404) || ["PopReceiptMismatch", "MessageNotFound"].includes(codeOfStorage(error));
}
