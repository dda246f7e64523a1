import {
  type Attributes,
  type Context,
  context,
  INVALID_SPAN_CONTEXT,
  ProxyTracerProvider,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from "@opentelemetry/api";

export interface SpanOptions {
  readonly kind?: "server" | "consumer" | "internal";
  readonly attributes?: Attributes;
  /** W3C `traceparent` and `tracestate` of whoever asked for this work. */
  readonly parent?: Readonly<Record<string, string>>;
}

const kinds = { server: SpanKind.SERVER, consumer: SpanKind.CONSUMER, internal: SpanKind.INTERNAL };

/**
 * Does work inside a span, which becomes the parent of the spans within. An error that leaves the work marks the span
 * as failed. Without the SDK this costs a few function calls.
 */
export function inSpan<Result>(
  name: string,
  { kind = "internal", attributes = {}, parent }: SpanOptions,
  work: (span: Span) => Promise<Result>,
): Promise<Result> {
  const tracer = tracerOfSdk();
  if (tracer === undefined) return work(noSpan);
  const outer: Context = parent === undefined ? context.active() : propagation.extract(ROOT_CONTEXT, parent);
  return tracer.startActiveSpan(name, { kind: kinds[kind], attributes }, outer, async (span) => {
    try {
      return await work(span);
    } catch (error) {
      failSpan(span, error);
      throw error;
    } finally {
      span.end();
    }
  });
}

const noSpan = trace.wrapSpanContext(INVALID_SPAN_CONTEXT);

/** Undefined as long as nobody has registered an SDK: contexts that lead nowhere cost more than a small prediction. */
function tracerOfSdk(): Tracer | undefined {
  const provider = trace.getTracerProvider();
  return provider instanceof ProxyTracerProvider
    ? provider.getDelegateTracer("ketline")
    : provider.getTracer("ketline");
}

export function failSpan(span: Span, error: unknown): void {
  span.recordException(error instanceof Error ? error : String(error));
  span.setStatus({
    code: SpanStatusCode.ERROR,
    message: error instanceof Error ? error.message : String(error),
  });
}

/** What to hand on so that later work joins the current trace; empty without the SDK. */
export function traceCarrier(): Record<string, string> {
  const carrier: Record<string, string> = {};
  propagation.inject(context.active(), carrier);
  return carrier;
}
