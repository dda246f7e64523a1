import type { Route } from "../../../shared/http/index.ts";
import { many, maxBatchBytes, mlflowRoute } from "../../../shared/mlflow/index.ts";
import type { TrackingContext } from "../context.ts";
import {
  deleteTag,
  logBatch,
  logInputs,
  logMetric,
  logOutputs,
  logParam,
  recordModel,
  setTag,
} from "../logging.ts";
import { changeRunStage, createRun, getRun, searchRuns, updateRun } from "../runs.ts";
import {
  CreateRun,
  DeleteTag,
  LogBatch,
  LogInputs,
  LogMetric,
  LogModel,
  LogOutputs,
  LogParam,
  RunOnly,
  SearchRuns,
  SetTag,
  UpdateRun,
} from "../schemas.ts";
import { runInfoJson, runJson } from "../wire.ts";

export function runRoutes(context: TrackingContext): Route[] {
  return [
    mlflowRoute({
      method: "POST",
      path: "/runs/create",
      role: "contributor",
      summary: "Start a run",
      request: CreateRun,
      handle: async (request) => ({
        run: runJson(
          await createRun(context, {
            experimentId: request.experiment_id,
            userId: request.user_id,
            name: request.run_name,
            startMs: request.start_time,
            tags: request.tags,
          }),
        ),
      }),
    }),
    mlflowRoute({
      method: "GET",
      path: "/runs/get",
      role: "viewer",
      summary: "Get a run",
      request: RunOnly,
      handle: async ({ run_id }) => ({ run: runJson(await getRun(context, run_id)) }),
    }),
    mlflowRoute({
      method: "POST",
      path: "/runs/update",
      role: "contributor",
      summary: "Change the status, end or name of a run",
      request: UpdateRun,
      handle: async ({ run_id, status, end_time, run_name }) => ({
        run_info: runInfoJson(await updateRun(context, run_id, { status, endMs: end_time, name: run_name })),
      }),
    }),
    mlflowRoute({
      method: "POST",
      path: "/runs/delete",
      role: "contributor",
      summary: "Delete a run, restorably",
      request: RunOnly,
      handle: async ({ run_id }, { actor }) => {
        await changeRunStage(context, run_id, "deleted", actor);
        return {};
      },
    }),
    mlflowRoute({
      method: "POST",
      path: "/runs/restore",
      role: "contributor",
      summary: "Restore a deleted run",
      request: RunOnly,
      handle: async ({ run_id }, { actor }) => {
        await changeRunStage(context, run_id, "active", actor);
        return {};
      },
    }),
    mlflowRoute({
      method: "POST",
      path: "/runs/search",
      role: "viewer",
      summary: "Search runs by metrics, parameters, tags and attributes",
      request: SearchRuns,
      handle: async (request) => {
        const { runs, nextPageToken } = await searchRuns(context, request);
        return { runs: many(runs.map(runJson)), next_page_token: nextPageToken };
      },
    }),
    ...loggingRoutes(context),
  ].flat();
}

function loggingRoutes(context: TrackingContext): Route[] {
  return [
    mlflowRoute({
      method: "POST",
      path: "/runs/log-metric",
      role: "contributor",
      summary: "Log one value of a metric",
      request: LogMetric,
      handle: async ({ run_id, ...metric }) => {
        await logMetric(context, run_id, metric);
        return {};
      },
    }),
    mlflowRoute({
      method: "POST",
      path: "/runs/log-parameter",
      role: "contributor",
      summary: "Log a parameter, once",
      request: LogParam,
      handle: async ({ run_id, ...param }) => {
        await logParam(context, run_id, param);
        return {};
      },
    }),
    mlflowRoute({
      method: "POST",
      path: "/runs/log-batch",
      role: "contributor",
      summary: "Log metrics, parameters and tags in one transaction",
      request: LogBatch,
      maxBodyBytes: maxBatchBytes,
      handle: async ({ run_id, ...batch }) => {
        await logBatch(context, run_id, batch);
        return {};
      },
    }),
    mlflowRoute({
      method: "POST",
      path: "/runs/set-tag",
      role: "contributor",
      summary: "Set a tag of a run",
      request: SetTag,
      handle: async ({ run_id, ...tag }) => {
        await setTag(context, run_id, tag);
        return {};
      },
    }),
    mlflowRoute({
      method: "POST",
      path: "/runs/delete-tag",
      role: "contributor",
      summary: "Delete a tag of a run",
      request: DeleteTag,
      handle: async ({ run_id, key }) => {
        await deleteTag(context, run_id, key);
        return {};
      },
    }),
    mlflowRoute({
      method: "POST",
      path: "/runs/log-inputs",
      role: "contributor",
      summary: "Name the data sets and models that a run used",
      request: LogInputs,
      handle: async ({ run_id, datasets, models }) => {
        await logInputs(
          context,
          run_id,
          datasets,
          models.map(({ model_id }) => model_id),
        );
        return {};
      },
    }),
    mlflowRoute({
      method: "POST",
      path: "/runs/outputs",
      role: "contributor",
      summary: "Name the models that a run made",
      request: LogOutputs,
      handle: async ({ run_id, models }) => {
        await logOutputs(
          context,
          run_id,
          models.map(({ model_id, step }) => ({ modelId: model_id, step })),
        );
        return {};
      },
    }),
    mlflowRoute({
      method: "POST",
      path: "/runs/log-model",
      role: "contributor",
      summary: "Note a model in the history of a run (MLflow 2)",
      request: LogModel,
      handle: async ({ run_id, model_json }) => {
        await recordModel(context, run_id, model_json);
        return {};
      },
    }),
  ].flat();
}
