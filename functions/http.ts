import {
  app,
  type Cookie,
  type HttpMethod,
  type HttpRequest,
  type HttpResponseInit,
  type InvocationContext,
} from "@azure/functions";
import { endWith, flushCoalesced } from "./flush.ts";

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
  const { platform } = await import("./platform.ts");
  const ketline = await platform();
  const response = await ketline.app.fetch(toRequest(request, context));
  return toReply(response, () => flushCoalesced(ketline));
}

function toRequest(request: HttpRequest, context: InvocationContext): Request {
  const headers = new Headers(request.headers);
  const { traceParent, traceState } = context.traceContext ?? {};
  if (traceParent) headers.set("traceparent", traceParent);
  if (traceState) headers.set("tracestate", traceState);
  const { url, method, body } = request;
  return new Request(
    url,
    body === null
      ? { method, headers }
      : { method, headers, body: body as NonNullable<RequestInit["body"]>, duplex: "half" },
  );
}

async function toReply(response: Response, flush: () => Promise<void>): Promise<HttpResponseInit> {
  const headers = new Headers(response.headers);
  const cookies = headers.getSetCookie().map(parseCookie);
  headers.delete("set-cookie");
  const { status, body } = response;
  if (body === null) await flush();
  return { status, headers, cookies, ...(body === null ? {} : { body: endWith(body, flush) }) };
}

/** Headers reach the host one value per name, so cookies go their own way, taken apart; the library writes them again. */
function parseCookie(header: string): Cookie {
  const [pair = "", ...attributes] = header.split(";").map((part) => part.trim());
  const [name, value] = splitPair(pair);
  const cookie: Cookie = { name, value: decode(value) };
  for (const attribute of attributes) {
    const [key, text] = splitPair(attribute);
    switch (key.toLowerCase()) {
      case "path":
        cookie.path = text;
        break;
      case "domain":
        cookie.domain = text;
        break;
      case "max-age":
        cookie.maxAge = Number(text);
        break;
      case "expires":
        cookie.expires = new Date(text);
        break;
      case "secure":
        cookie.secure = true;
        break;
      case "httponly":
        cookie.httpOnly = true;
        break;
      case "samesite":
        cookie.sameSite = sameSite[text.toLowerCase()];
        break;
    }
  }
  return cookie;
}

const sameSite: Readonly<Record<string, Cookie["sameSite"]>> = { strict: "Strict", lax: "Lax", none: "None" };

function splitPair(pair: string): [string, string] {
  const at = pair.indexOf("=");
  return at === -1 ? [pair, ""] : [pair.slice(0, at), pair.slice(at + 1)];
}

/** The library and the host percent-encode values again. */
function decode(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}
