import { z } from "zod";
import { pageOf, pageQuery } from "../../shared/http/index.ts";
import {
  flag,
  keyValue,
  limits,
  list,
  longText,
  pageSize,
  pageTokenText,
  requiredText,
  requiredTextOf,
  text,
  textOf,
} from "../../shared/mlflow/index.ts";
import { eventKinds } from "./events.ts";

/** The requests of MLflow's registry API (mlflow/protos/model_registry.proto). Answers are written by `wire.ts`. */

const model = z.object({ name: requiredText });
const version = model.extend({ version: requiredText });
const description = textOf(limits.description);
const pairs = list(keyValue, { max: limits.pairs });
const search = (size: z.ZodType<number>) =>
  z.object({
    filter: textOf(limits.filter).optional(),
    max_results: size,
    order_by: list(text, { query: true }),
    page_token: pageTokenText.optional(),
  });

export const CreateModel = model.extend({ description: description.default(""), tags: pairs });
export const GetModel = model;
export const UpdateModel = model.extend({ description: description.default("") });
export const RenameModel = model.extend({ new_name: requiredText });
export const SearchModels = search(pageSize(1000).default(100));
export const LatestVersions = model.extend({ stages: list(text, { query: true }) });
export const SetModelTag = model.extend({ key: requiredText, value: longText.default("") });
export const DeleteModelTag = model.extend({ key: requiredText });
export const GetAlias = model.extend({ alias: requiredText });
export const SetAlias = version.extend({ alias: requiredText });

export const CreateVersion = model.extend({
  source: requiredTextOf(limits.location),
  run_id: text.default(""),
  run_link: textOf(limits.location).default(""),
  description: description.default(""),
  model_id: text.default(""),
  tags: pairs,
});
export const GetVersion = version;
export const GetVersionFile = version.extend({ path: requiredText });
export const UpdateVersion = version.extend({ description: description.optional() });
export const TransitionStage = version.extend({
  stage: requiredText,
  archive_existing_versions: flag.default(false),
});
export const SearchVersions = search(pageSize(200_000).default(10_000));
export const SetVersionTag = version.extend({ key: requiredText, value: longText.default("") });
export const DeleteVersionTag = version.extend({ key: requiredText });

/** Ketline's own: the history. */

const modelName = z.string().min(1).max(256).describe("The registered model's name");
const alias = z.string().min(1).max(255);
const value = z
  .unknown()
  .describe("A version's number for an alias, the stage, the tag's value or the description; null for none");

export const HistoryParams = z.object({ model: modelName });
export const HistoryQuery = z.object({
  ...pageQuery,
  alias: alias.optional().describe("Only the moves of this alias"),
});
export const EventSchema = z
  .object({
    id: z.int().describe("Grows with every change of the registry"),
    model: z.string().describe("The model's name at that time"),
    kind: z.enum(eventKinds),
    alias: z.string().nullable(),
    version: z.int().nullable(),
    tag: z.string().nullable(),
    before: value,
    after: value,
    reason: z.string().nullable(),
    actor: z.object({ id: z.string(), name: z.string() }),
    atMs: z.int(),
  })
  .meta({ title: "RegistryEvent" });
export const EventPage = pageOf(EventSchema);
export const HistoryPosition = z.object({ id: z.int().min(0) });

export const RollbackParams = z.object({ model: modelName, alias });
export const RollbackBody = z
  .object({
    toEvent: z
      .int()
      .min(1)
      .optional()
      .describe(
        "Put the alias where it stood after this event of its history; without it, before its last move",
      ),
    reason: z.string().min(1).max(1000).optional(),
    expectedVersion: z
      .int()
      .min(1)
      .nullable()
      .optional()
      .describe("Do it only if the alias stands at this version now; null: only if it stands nowhere"),
  })
  .optional();
export const RollbackAnswer = z
  .object({
    model: z.string(),
    alias: z.string(),
    before: z.int().nullable().describe("The version that the alias stood at; null for none"),
    after: z.int().nullable().describe("The version that it stands at now; null when it was removed"),
  })
  .meta({ title: "AliasMove" });
