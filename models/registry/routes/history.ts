import { notFound } from "../../../shared/errors.ts";
import { decodeCursor, json, page, type Route, route } from "../../../shared/http/index.ts";
import { rollbackAlias } from "../aliases.ts";
import { type RegistryContext, storeOf } from "../context.ts";
import {
  EventPage,
  HistoryParams,
  HistoryPosition,
  HistoryQuery,
  RollbackAnswer,
  RollbackBody,
  RollbackParams,
} from "../schemas.ts";
import { selectEvents } from "../store/events.ts";
import { findModel } from "../store/models.ts";

/** Ketline's own: what MLflow's registry does not remember. */
export function historyRoutes(context: RegistryContext): Route[] {
  return [
    route({
      method: "GET",
      path: "/api/v1/registry/:model/history",
      protocol: "ketline",
      role: "viewer",
      summary: "What happened to a registered model, newest first",
      description:
        "Every move of an alias, transition of a stage, change of a tag, creation and deletion: who, when, before, after and why. The history of a deleted model stays.",
      tag: "Registry",
      params: HistoryParams,
      query: HistoryQuery,
      responses: { 200: { description: "One page of the history", schema: EventPage } },
      async handle({ params, query }) {
        const store = storeOf(context);
        const position = decodeCursor(HistoryPosition, query.cursor);
        const model = await findModel(store, params.model);
        const events = await selectEvents(store, params.model, model?.model_uid, {
          limit: query.limit + 1,
          before: position?.id,
          alias: query.alias,
        });
        if (
          model === undefined &&
          position === undefined &&
          query.alias === undefined &&
          events.length === 0
        ) {
          throw notFound(`There is no registered model ${params.model}, and never was one.`);
        }
        return json(
          page(
            events,
            query.limit,
            (event) => event,
            ({ id }) => ({ id }),
          ),
        );
      },
    }),
    route({
      method: "POST",
      path: "/api/v1/registry/:model/aliases/:alias/rollback",
      protocol: "ketline",
      role: "operator",
      summary: "Put an alias back where it was",
      description:
        "Before its last move, or after an earlier event. A rollback is a move like any other: rolling back twice returns to the start.",
      tag: "Registry",
      params: RollbackParams,
      body: RollbackBody,
      responses: { 200: { description: "The move", schema: RollbackAnswer } },
      async handle({ params, body = {}, actor }) {
        const move = await rollbackAlias(context, params.model, params.alias, { actor, ...body });
        return json({ model: params.model, alias: params.alias, ...move });
      },
    }),
  ];
}
