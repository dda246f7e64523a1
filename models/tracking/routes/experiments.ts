import { invalid } from "../../../shared/errors.ts";
import type { Route } from "../../../shared/http/index.ts";
import { many, mlflowRoute, unlessEmpty } from "../../../shared/mlflow/index.ts";
import { storeOf, type TrackingContext } from "../context.ts";
import {
  createExperiment,
  deleteExperiment,
  deleteExperimentTag,
  getExperiment,
  getExperimentByName,
  renameExperiment,
  restoreExperiment,
  searchExperiments,
  setExperimentTag,
} from "../experiments.ts";
import { experimentNumber } from "../names.ts";
import {
  CreateExperiment,
  DeleteExperimentTag,
  GetExperiment,
  GetExperimentByName,
  SearchDatasets,
  SearchExperiments,
  SetExperimentTag,
  UpdateExperiment,
} from "../schemas.ts";
import { selectDatasetSummaries } from "../store/run-data.ts";
import { experimentJson } from "../wire.ts";

const maxDatasetExperiments = 20;
const maxDatasetSummaries = 1000;

export function experimentRoutes(context: TrackingContext): Route[] {
  const search = (method: "GET" | "POST") =>
    mlflowRoute({
      method,
      path: "/experiments/search",
      role: "viewer",
      summary: "Search experiments",
      request: SearchExperiments,
      handle: async (request) => {
        const { experiments, nextPageToken } = await searchExperiments(context, request);
        return { experiments: many(experiments.map(experimentJson)), next_page_token: nextPageToken };
      },
    });
  return [
    mlflowRoute({
      method: "POST",
      path: "/experiments/create",
      role: "contributor",
      summary: "Create an experiment",
      request: CreateExperiment,
      handle: async ({ name, artifact_location, tags }, { actor }) => ({
        experiment_id: await createExperiment(
          context,
          { name, artifactLocation: artifact_location, tags },
          actor,
        ),
      }),
    }),
    mlflowRoute({
      method: "GET",
      path: "/experiments/get",
      role: "viewer",
      summary: "Get an experiment",
      request: GetExperiment,
      handle: async ({ experiment_id }) => ({
        experiment: experimentJson(await getExperiment(context, experiment_id)),
      }),
    }),
    mlflowRoute({
      method: "GET",
      path: "/experiments/get-by-name",
      role: "viewer",
      summary: "Get an experiment by its name",
      request: GetExperimentByName,
      handle: async ({ experiment_name }) => ({
        experiment: experimentJson(await getExperimentByName(context, experiment_name)),
      }),
    }),
    search("POST"),
    search("GET"),
    mlflowRoute({
      method: "POST",
      path: "/experiments/update",
      role: "contributor",
      summary: "Rename an experiment",
      request: UpdateExperiment,
      handle: async ({ experiment_id, new_name }, { actor }) => {
        await renameExperiment(context, experiment_id, new_name, actor);
        return {};
      },
    }),
    mlflowRoute({
      method: "POST",
      path: "/experiments/delete",
      role: "contributor",
      summary: "Delete an experiment and its runs, restorably",
      request: GetExperiment,
      handle: async ({ experiment_id }, { actor }) => {
        await deleteExperiment(context, experiment_id, actor);
        return {};
      },
    }),
    mlflowRoute({
      method: "POST",
      path: "/experiments/restore",
      role: "contributor",
      summary: "Restore a deleted experiment and its runs",
      request: GetExperiment,
      handle: async ({ experiment_id }, { actor }) => {
        await restoreExperiment(context, experiment_id, actor);
        return {};
      },
    }),
    mlflowRoute({
      method: "POST",
      path: "/experiments/set-experiment-tag",
      role: "contributor",
      summary: "Set a tag of an experiment",
      request: SetExperimentTag,
      handle: async ({ experiment_id, key, value }) => {
        await setExperimentTag(context, experiment_id, { key, value });
        return {};
      },
    }),
    mlflowRoute({
      method: "POST",
      path: "/experiments/delete-experiment-tag",
      role: "contributor",
      summary: "Delete a tag of an experiment",
      request: DeleteExperimentTag,
      handle: async ({ experiment_id, key }) => {
        await deleteExperimentTag(context, experiment_id, key);
        return {};
      },
    }),
    mlflowRoute({
      method: "POST",
      path: "/experiments/search-datasets",
      role: "viewer",
      summary: "List the data sets that an experiment's runs used",
      request: SearchDatasets,
      handle: async ({ experiment_ids }) => {
        if (experiment_ids.length === 0) {
          throw invalid("SearchDatasets request must specify at least one experiment_id.");
        }
        if (experiment_ids.length > maxDatasetExperiments) {
          throw invalid(
            `SearchDatasets request cannot specify more than ${maxDatasetExperiments} experiment_ids. Received ${experiment_ids.length} experiment_ids.`,
          );
        }
        const ids = experiment_ids.map(experimentNumber);
        const rows = await selectDatasetSummaries(storeOf(context), ids, maxDatasetSummaries);
        return {
          dataset_summaries: many(
            rows.map((row) => ({
              experiment_id: String(row.experiment_id),
              name: row.name,
              digest: row.digest,
              context: unlessEmpty(row.context),
            })),
          ),
        };
      },
    }),
  ].flat();
}
