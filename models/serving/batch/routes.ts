import { decodeCursor, json, page, type Route, route } from "../../../shared/http/index.ts";
import { JobSchema } from "../../../shared/jobs/index.ts";
import type { BatchPredictionOperations } from "./batch-predictions.ts";
import {
  BatchPredictionBody,
  BatchPredictionPage,
  BatchPredictionParams,
  BatchPredictionPosition,
  BatchPredictionSchema,
  BatchPredictionsQuery,
  SubmitBatchQuery,
} from "./schemas.ts";

const tag = "Batch predictions";
const protocol = "ketline" as const;
const base = "/api/v1/batch-predictions";

export function batchPredictionRoutes(batches: BatchPredictionOperations): readonly Route[] {
  return [
    route({
      method: "POST",
      path: base,
      protocol,
      tag,
      role: "contributor",
      summary: "Predict every row of a data set",
      description:
        "Feeds a version of a data set to one version of a model and registers the predictions, with the columns to keep, " +
        "as a version of another data set, in the order of the rows. The columns are matched with the model as " +
        "`/serving/{name}/invocations` does. An output of one value a row becomes a column of its name; class scores " +
        "become a column `<output>_<class>` each; any other output becomes a column of lists. A row is predicted from " +
        "itself alone, so the model must answer as many rows as it gets. What is predicted here is not counted as traffic.",
      query: SubmitBatchQuery,
      body: BatchPredictionBody,
      responses: { 202: { description: "The job that predicts", schema: JobSchema } },
      handle: async ({ query, body, actor }) => json(await batches.submit(body, { actor, ...query }), 202),
    }),
    route({
      method: "GET",
      path: base,
      protocol,
      tag,
      role: "viewer",
      summary: "List batch predictions, newest first",
      description: "With `output` and `outputVersion`: where the rows of a data set come from.",
      query: BatchPredictionsQuery,
      responses: { 200: { description: "One page of batch predictions", schema: BatchPredictionPage } },
      handle: async ({ query: { limit, cursor, ...filter } }) => {
        const found = await batches.list(filter, decodeCursor(BatchPredictionPosition, cursor), limit + 1);
        return json(
          page(
            found,
            limit,
            (batch) => batch,
            ({ createdMs, id }) => ({ createdMs, id }),
          ),
        );
      },
    }),
    route({
      method: "GET",
      path: `${base}/:id`,
      protocol,
      tag,
      role: "viewer",
      summary: "Follow a batch prediction",
      params: BatchPredictionParams,
      responses: { 200: { description: "The batch prediction", schema: BatchPredictionSchema } },
      handle: async ({ params }) => json(await batches.get(params.id)),
    }),
  ];
}
