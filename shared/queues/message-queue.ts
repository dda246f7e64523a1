/**
 * Messages that wake workers. At least once: every handler may see a message twice. A body is an id, never the truth,
 * and at most 48 KiB of UTF-8.
 */
export interface MessageQueue {
  send(queue: string, body: string, options?: { readonly delayMs?: number }): Promise<void>;
  /** Takes up to `max` (1 to 32) visible messages and hides them for `visibilityMs`. */
  receive(
    queue: string,
    options: { readonly max: number; readonly visibilityMs: number },
  ): Promise<readonly QueueMessage[]>;
  /** Removes a message that was received. Nothing happens when another worker holds it by now. */
  complete(message: QueueMessage): Promise<void>;
  /** Makes a message visible again after a delay, or moves it to `<queue>-poison` after `maxAttempts`. */
  retry(message: QueueMessage, options?: { readonly delayMs?: number }): Promise<"retried" | "poisoned">;
  /** Visible and hidden messages, approximately. */
  depth(queue: string): Promise<number>;
}

export interface QueueMessage {
  readonly queue: string;
  readonly id: string;
  readonly body: string;
  /** 1 at the first delivery. */
  readonly attempt: number;
  /** Proof of holding the message, opaque. */
  readonly receipt: string;
}
