import { decodeCursor, json, page, type Route, route } from "../../shared/http/index.ts";
import {
  NewTransfer,
  TransferPage,
  TransferParams,
  TransferPositionSchema,
  TransferSchema,
  TransfersQuery,
} from "./schemas.ts";
import type { TransferOperations } from "./transfers.ts";

const tag = "Transfers";
const protocol = "ketline" as const;

export function transferRoutes(transfers: TransferOperations): readonly Route[] {
  return [
    route({
      method: "POST",
      path: "/api/v1/transfers",
      protocol,
      tag,
      role: "operator",
      summary: "Import from, or export to, another MLflow server",
      description:
        "Copies experiments, runs with their whole metric histories, data sets, logged models, artifacts, and registered " +
        "models with versions, stages and aliases. What was copied is remembered: the same transfer again copies only " +
        "what is new or changed, and one that was ended goes on where it stopped. The job calls the URL that is named, " +
        "from this server's network, and follows no redirect. Credentials are encrypted until the job has ended, then " +
        "deleted, and never shown.",
      body: NewTransfer,
      responses: { 202: { description: "The transfer and its job", schema: TransferSchema } },
      handle: async ({ body, actor }) => {
        const transfer = await transfers.start(body, actor);
        return json(transfer, 202, { location: `/api/v1/transfers/${transfer.id}` });
      },
    }),
    route({
      method: "GET",
      path: "/api/v1/transfers",
      protocol,
      tag,
      role: "viewer",
      summary: "List transfers, newest first",
      query: TransfersQuery,
      responses: { 200: { description: "One page of transfers", schema: TransferPage } },
      handle: async ({ query: { limit, cursor } }) => {
        const found = await transfers.list(decodeCursor(TransferPositionSchema, cursor), limit + 1);
        return json(
          page(
            found,
            limit,
            (transfer) => transfer,
            ({ createdMs, id }) => ({ createdMs, id }),
          ),
        );
      },
    }),
    route({
      method: "GET",
      path: "/api/v1/transfers/:id",
      protocol,
      tag,
      role: "viewer",
      summary: "Read a transfer, with its job and what it did",
      params: TransferParams,
      responses: { 200: { description: "The transfer", schema: TransferSchema } },
      handle: async ({ params }) => json(await transfers.get(params.id)),
    }),
  ];
}
