import { decodeCursor, json, page, type Route, route } from "../../shared/http/index.ts";
import { JobSchema } from "../../shared/jobs/index.ts";
import type { TrainingOperations } from "./create-training.ts";
import { KeysQuery, TrainedKeysSchema } from "./many/keys.ts";
import {
  RunParams,
  SubmitQuery,
  TrainingPage,
  TrainingParams,
  TrainingPosition,
  TrainingRequest,
  TrainingSchema,
  TrainingsQuery,
} from "./schemas.ts";

const tag = "Training";
const protocol = "ketline" as const;

export function trainingRoutes(trainings: TrainingOperations): readonly Route[] {
  return [
    route({
      method: "POST",
      path: "/api/v1/training",
      protocol,
      tag,
      role: "contributor",
      summary: "Train a model",
      description:
        "Fits a model on one period of a data set, evaluates it on a later one, writes it as an ONNX graph with the " +
        "preprocessing inside, logs an MLflow run and, with `registeredModel`, registers a version that takes the alias " +
        "if it is better than the one that holds it. Clients of the model send its features by name, derived ones too.",
      query: SubmitQuery,
      body: TrainingRequest,
      responses: { 202: { description: "The job that trains it", schema: JobSchema } },
      handle: async ({ query, body, actor }) => json(await trainings.submit(body, { actor, ...query }), 202),
    }),
    route({
      method: "GET",
      path: "/api/v1/training",
      protocol,
      tag,
      role: "viewer",
      summary: "List trainings, newest first",
      query: TrainingsQuery,
      responses: { 200: { description: "One page of trainings", schema: TrainingPage } },
      handle: async ({ query: { limit, cursor, model } }) => {
        const found = await trainings.list(model, decodeCursor(TrainingPosition, cursor), limit + 1);
        return json(
          page(
            found,
            limit,
            (training) => training,
            ({ createdMs, id }) => ({ createdMs, id }),
          ),
        );
      },
    }),
    route({
      method: "GET",
      path: "/api/v1/training/:id",
      protocol,
      tag,
      role: "viewer",
      summary: "Follow a training",
      params: TrainingParams,
      responses: { 200: { description: "The training", schema: TrainingSchema } },
      handle: async ({ params }) => json(await trainings.get(params.id)),
    }),
    route({
      method: "GET",
      path: "/api/v1/training/:id/keys",
      protocol,
      tag,
      role: "viewer",
      summary: "List the keys of a training with partitionBy",
      description:
        "What became of each key: `trained`, `fallback` (too few rows, or none in a part of the split), `failed` with " +
        "the reason, or `queued`. Losses are means over the key's own holdout.",
      params: TrainingParams,
      query: KeysQuery,
      responses: { 200: { description: "One page of keys", schema: TrainedKeysSchema } },
      handle: async ({ params, query }) => json(await trainings.keys(params.id, query)),
    }),
    route({
      method: "POST",
      path: "/api/v1/training/:run/reproduce",
      protocol,
      tag,
      role: "contributor",
      summary: "Repeat a run and compare",
      description:
        "Trains once more from what the run kept (data version, specification, seed) and compares the ONNX files byte by " +
        "byte; says which of code version and environment is not as it was. Registers nothing. The job's result is " +
        "`{identical, before, after, differences, metrics}`.",
      params: RunParams,
      responses: { 202: { description: "The job that repeats it", schema: JobSchema } },
      handle: async ({ params, actor }) => json(await trainings.reproduce(params.run, { actor }), 202),
    }),
  ];
}
