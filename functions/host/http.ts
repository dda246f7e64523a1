import {
  app,
  type HttpMethod,
  type HttpRequest,
  type HttpResponseInit,
  type InvocationContext,
} from "@azure/functions";
import { toReply, toRequest } from "./exchange.ts";
import { flushCoalesced } from "./flush.ts";

// Streams in both directions, chunked uploads and answers as they come; without it bodies pass whole through memory.
app.setup({ enableHttpStream: true });

/** All of them, so that a wrong method is answered by the application, in the protocol of the path. */
const methods: HttpMethod[] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/**
 * Registers one function per route template, each a door to the whole application.
 *
 * The host takes the first template that matches in the order of the function names, not the most specific one, so no
 * two templates may match the same path (test/functions checks it).
 *
 * @param doors function names with their templates: no leading slash, literals, at most a catch-all at the end
 */
export function mount(doors: Readonly<Record<string, string>>): void {
  for (const [name, route] of Object.entries(doors)) {
    app.http(name, { methods, route, authLevel: "anonymous", handler: handle });
  }
}

/** The same paths under both prefixes of MLflow: clients call `/api`, its web page `/ajax-api`. */
export function mountMlflow(capability: string, areas: readonly string[]): void {
  for (const area of areas) {
    mount({
      [`${capability}-${area}`]: `api/2.0/mlflow/${area}/{*rest}`,
      [`${capability}-${area}-ajax`]: `ajax-api/2.0/mlflow/${area}/{*rest}`,
    });
  }
}

async function handle(request: HttpRequest, context: InvocationContext): Promise<HttpResponseInit> {
  const { platform } = await import("../platform.ts");
  const ketline = await platform();
  const response = await ketline.app.fetch(toRequest(request, context));
  return toReply(response, () => flushCoalesced(ketline));
}
