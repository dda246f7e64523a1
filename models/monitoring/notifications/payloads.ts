import { randomUUID } from "node:crypto";
import type { AlertEventKind, PayloadFormat, ToldAlert } from "./tables.ts";

/** What one request tells: alerts of one monitor and one window to which the same happened. */
export interface Notification {
  readonly kind: AlertEventKind;
  readonly atMs: number;
  readonly monitor: string;
  readonly series: string;
  readonly alerts: readonly ToldAlert[];
  /** Who did it, for what a person does. */
  readonly by: string | null;
  readonly reason: string | null;
}

/**
 * The body of a request.
 *
 * @param id the same at every try
 * @param source names this Ketline, as a URI reference
 */
export function payloadOf(
  format: PayloadFormat,
  id: string,
  source: string,
  { kind, atMs, monitor, series, alerts, by, reason }: Notification,
): string {
  const time = new Date(atMs).toISOString();
  const type = `ketline.alert.${kind}`;
  const subject = `monitors/${monitor}/${series}`;
  const data = { monitor, series, alerts, ...(by === null ? {} : { by, reason }) };
  return format === "cloudevents"
    ? // CloudEvents 1.0.2, JSON format, structured mode.
      JSON.stringify({
        specversion: "1.0",
        id,
        source,
        type,
        subject,
        time,
        datacontenttype: "application/json",
        data,
      })
    : // The Event Grid event schema; a topic takes a list of them and adds its own name.
      JSON.stringify([{ id, eventType: type, subject, eventTime: time, dataVersion: "1.0", data }]);
}

export const contentTypes: Readonly<Record<PayloadFormat, string>> = {
  cloudevents: "application/cloudevents+json; charset=utf-8",
  "event-grid": "application/json",
};

/** What a test of a subscription sends. */
export function sampleNotification(monitor: string, atMs: number): Notification {
  return {
    kind: "fired",
    atMs,
    monitor,
    series: "capture",
    by: null,
    reason: null,
    alerts: [
      {
        id: randomUUID(),
        monitor,
        series: "capture",
        signal: "data_drift",
        state: "firing",
        message: "A sample, sent to try the subscription",
        value: 0.5,
        threshold: 0.25,
        windowEndMs: atMs,
        firedMs: atMs,
      },
    ],
  };
}
