import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { z } from "zod";
import { isKetlineError, notFound, unavailable } from "../errors.ts";
import type { RequestExample } from "./description/examples.ts";
import { openApiDocument } from "./description/openapi.ts";
import { type Route, route } from "./route.ts";

export interface SystemOptions {
  /** Every other route of the application: what the API description describes. */
  readonly routes: readonly Route[];
  readonly version: string;
  /** A request for each call, for the description. */
  readonly examples?: readonly RequestExample[];
  /** Fails when something that every request needs is away. */
  readonly ready: () => Promise<void>;
}

const serverMark = "the address of this server";

const assets: ReadonlyMap<string, string> = new Map([
  ["swagger-ui.css", "text/css; charset=utf-8"],
  ["swagger-ui-bundle.js", "text/javascript; charset=utf-8"],
]);

/** Probes, the description of the API and a reference rendered from it. The reference needs no other host. */
export function systemRoutes(options: SystemOptions): readonly Route[] {
  const require = createRequire(import.meta.url);
  /** Made once: the whole description around the server's address, which every reader may know by another name. */
  let described: readonly string[] | undefined;
  const system: Route[] = [
    route({
      method: "GET",
      path: "/",
      protocol: "ketline",
      role: "public",
      tag: "System",
      summary: "Leads to the API reference",
      responses: { 302: { description: "To /docs" } },
      handle: () => new Response(null, { status: 302, headers: { location: "/docs" } }),
    }),
    route({
      method: "GET",
      path: "/health",
      protocol: "ketline",
      role: "public",
      tag: "System",
      summary: "Whether the server answers and reaches its database",
      responses: {
        200: { description: "OK", contentType: "text/plain" },
        503: {
          description: "What is away, as the other paths say it",
          contentType: "application/problem+json",
          schema: z.object({ title: z.string(), status: z.int(), detail: z.string() }),
        },
      },
      handle: async () => {
        await options.ready().catch((error: unknown) => {
          // Whoever asks for its state knows 503 alone.
          if (!isKetlineError(error, "insufficient")) throw error;
          throw unavailable(error.message, error.details);
        });
        return plain("OK");
      },
    }),
    route({
      method: "GET",
      path: "/version",
      protocol: "ketline",
      role: "public",
      tag: "System",
      summary: "The version of the server",
      responses: { 200: { description: "For example 0.1.0", contentType: "text/plain" } },
      handle: () => plain(options.version),
    }),
    route({
      method: "GET",
      path: "/openapi.json",
      protocol: "ketline",
      role: "public",
      tag: "System",
      summary: "This description, as OpenAPI 3.1",
      responses: {
        200: { description: "An OpenAPI 3.1 document", schema: z.record(z.string(), z.unknown()) },
      },
      handle: ({ baseUrl }) => {
        described ??= JSON.stringify(
          openApiDocument([...options.routes, ...system], options.version, serverMark, options.examples),
        ).split(JSON.stringify(serverMark));
        return {
          status: 200,
          raw: described.join(JSON.stringify(baseUrl)),
          headers: { "content-type": "application/json" },
        };
      },
    }),
    route({
      method: "GET",
      path: "/docs",
      protocol: "ketline",
      role: "public",
      tag: "System",
      summary: "The API reference, for people",
      responses: { 200: { description: "A page", contentType: "text/html" } },
      handle: () =>
        new Response(referencePage, {
          headers: {
            "content-type": "text/html; charset=utf-8",
            "referrer-policy": "no-referrer",
            "x-frame-options": "DENY",
            "content-security-policy": `default-src 'none'; script-src 'self' 'sha256-${scriptHash}'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
          },
        }),
    }),
    route({
      method: "GET",
      path: "/docs/:asset",
      protocol: "ketline",
      role: "public",
      tag: "System",
      summary: "The script and the style of the reference",
      responses: { 200: { description: "A file", contentType: ["text/css", "text/javascript"] } },
      handle: async ({ params }) => {
        const asset = params.asset ?? "";
        const contentType = assets.get(asset);
        if (contentType === undefined) throw notFound(`The reference has no file "${asset}".`);
        const directory = path.dirname(require.resolve("swagger-ui-dist/package.json"));
        return new Response(await readFile(path.join(directory, asset)), {
          headers: { "content-type": contentType, "cache-control": "public, max-age=86400" },
        });
      },
    }),
  ];
  return system;
}

function plain(text: string): Response {
  return new Response(text, { headers: { "content-type": "text/plain; charset=utf-8" } });
}

/** The page's one inline script, allowed by its hash in the policy of the page. */
const referenceScript =
  'SwaggerUIBundle({ url: "/openapi.json", dom_id: "#reference", deepLinking: true, validatorUrl: null, tryItOutEnabled: true });';

const scriptHash = createHash("sha256").update(referenceScript).digest("base64");

const referencePage = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Ketline API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="reference"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script>${referenceScript}</script>
</body>
</html>
`;
