import type { HttpRequest, HttpResponseInit, InvocationContext } from "@azure/functions";
import { cookiesOf } from "./cookies.ts";

/** The host's request as the application reads it, with the host's span as its parent. */
export function toRequest(request: HttpRequest, context: InvocationContext): Request {
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

/**
 * The application's answer as the host takes it.
 *
 * @param finish what must happen inside the invocation: after the last byte, and before its end
 */
export async function toReply(response: Response, finish: () => Promise<void>): Promise<HttpResponseInit> {
  const headers = new Headers(response.headers);
  const cookies = cookiesOf(headers);
  headers.delete("set-cookie");
  const { status, body } = response;
  if (body === null) await finish();
  return { status, headers, cookies, ...(body === null ? {} : { body: endWith(body, finish) }) };
}

/** Passes a body on and, after its last byte and before its end, does what must happen inside the invocation. */
function endWith(body: ReadableStream<Uint8Array>, finish: () => Promise<void>): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await reader.read();
      if (!done) return controller.enqueue(value);
      await finish();
      controller.close();
    },
    async cancel(reason) {
      await reader.cancel(reason);
      await finish();
    },
  });
}
