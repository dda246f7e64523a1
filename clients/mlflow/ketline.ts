import { z } from "zod";
import type { MlflowClient } from "./client.ts";
import { type CallOptions, everyItem, type Page, pageOf } from "./pages.ts";

const EventSchema = z.looseObject({
  id: z.number(),
  model: z.string(),
  kind: z.string(),
  alias: z.string().nullable(),
  version: z.number().nullable(),
  tag: z.string().nullable(),
  before: z.unknown(),
  after: z.unknown(),
  reason: z.string().nullable(),
  actor: z.looseObject({ id: z.string(), name: z.string() }),
  atMs: z.number(),
});
export type RegistryEvent = z.infer<typeof EventSchema>;

const EventPage = z.object({ items: z.array(EventSchema), nextCursor: z.string().optional() });

const AliasMoveSchema = z.looseObject({
  model: z.string(),
  alias: z.string(),
  before: z.number().nullable(),
  after: z.number().nullable(),
});
export type AliasMove = z.infer<typeof AliasMoveSchema>;

/** What Ketline's registry can do beyond MLflow's. Other servers answer `ENDPOINT_NOT_FOUND`. */
export interface KetlineExtension {
  /** What happened to a registered model, newest first. */
  history(
    model: string,
    filter?: { readonly alias?: string },
    options?: CallOptions,
  ): AsyncIterable<RegistryEvent>;
  /** Puts an alias back: to before its last move, or to where it stood after an event of the history. */
  rollbackAlias(
    model: string,
    alias: string,
    rollback?: {
      readonly toEvent?: number;
      readonly reason?: string;
      readonly expectedVersion?: number | null;
    },
    options?: CallOptions,
  ): Promise<AliasMove>;
}

/** The extension over a client's connection. */
export function ketlineExtension({ transport }: Pick<MlflowClient, "transport">): KetlineExtension {
  const at = (model: string) => `/api/v1/registry/${encodeURIComponent(model)}`;
  return {
    history: (model, { alias } = {}, { signal } = {}) =>
      everyItem(async (cursor): Promise<Page<RegistryEvent>> => {
        const path = `${at(model)}/history`;
        const query = { alias, cursor, limit: 1000 };
        const answer = await transport.call(EventPage, { method: "GET", path, query, signal });
        return pageOf(answer.items, answer.nextCursor);
      }),
    rollbackAlias: (model, alias, rollback = {}, { signal } = {}) =>
      transport.call(AliasMoveSchema, {
        method: "POST",
        path: `${at(model)}/aliases/${encodeURIComponent(alias)}/rollback`,
        json: rollback,
        signal,
      }),
  };
}
