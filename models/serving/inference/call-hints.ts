import { parse } from "hono/utils/cookie";
import type { RequestHead } from "../../../shared/http/index.ts";
import type { RoutingHints } from "../deployments/routing.ts";

/** What of an HTTP request may decide which variant answers it. */
export function hintsOf(request: RequestHead, field: (name: string) => string | undefined): RoutingHints {
  const { headers } = request;
  return {
    forcedVariant: headers.get("x-ketline-variant") ?? headers.get("ketline-variant") ?? undefined,
    header: (name) => headers.get(name) ?? undefined,
    cookie: (name) => cookieOf(headers.get("cookie"), name),
    field,
  };
}

function cookieOf(header: string | null, name: string): string | undefined {
  return header === null ? undefined : parse(header, name)[name];
}
