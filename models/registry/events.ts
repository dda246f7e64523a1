/** What can happen to a registered model. Every change writes one row per event, in the transaction that makes it. */
export const eventKinds = [
  "model.created",
  "model.updated",
  "model.renamed",
  "model.deleted",
  "model.tag-set",
  "model.tag-deleted",
  "version.created",
  "version.updated",
  "version.deleted",
  "version.stage-changed",
  "version.tag-set",
  "version.tag-deleted",
  "alias.set",
  "alias.deleted",
] as const;
export type EventKind = (typeof eventKinds)[number];

export interface NewEvent {
  readonly modelUid: string;
  /** The model's name before the change. */
  readonly model: string;
  readonly kind: EventKind;
  readonly alias?: string;
  readonly version?: number;
  readonly tag?: string;
  /** What stood there before and after: a version's number for an alias, the value for a tag, and so on. */
  readonly before?: EventValue;
  readonly after?: EventValue;
}

export type EventValue = string | number | null | { readonly [key: string]: unknown };

export interface RegistryEvent {
  readonly id: number;
  readonly model: string;
  readonly kind: EventKind;
  readonly alias: string | null;
  readonly version: number | null;
  readonly tag: string | null;
  readonly before: EventValue;
  readonly after: EventValue;
  readonly reason: string | null;
  readonly actor: { readonly id: string; readonly name: string };
  readonly atMs: number;
}
