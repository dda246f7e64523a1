import { decodeCursor, json, page, type Route, route } from "../http/index.ts";
import type { AuditOperations } from "./audit.ts";
import { AuditPage, AuditPosition, AuditQuery } from "./schemas.ts";

export function auditRoutes(audit: Pick<AuditOperations, "list">): readonly Route[] {
  return [
    route({
      method: "GET",
      path: "/api/v1/audit",
      protocol: "ketline",
      tag: "Audit",
      role: "operator",
      summary: "List who changed what, newest first",
      query: AuditQuery,
      responses: { 200: { description: "One page of entries", schema: AuditPage } },
      handle: async ({ query: { limit, cursor, ...filter } }) => {
        const before = decodeCursor(AuditPosition, cursor)?.id;
        const entries = await audit.list(filter, before, limit + 1);
        return json(
          page(
            entries,
            limit,
            (entry) => entry,
            ({ id }) => ({ id }),
          ),
        );
      },
    }),
  ];
}
