import { setTimeout as sleep } from "node:timers/promises";
import type { Job } from "./job.ts";
import type { JobOperations } from "./jobs.ts";
import { shownJob } from "./schemas.ts";

/** How often the database is asked; a job's own process writes about once a second. */
const pollMs = 500;
/** Azure's load balancer closes a connection that is silent for four minutes; proxies are less patient. */
const keepAliveMs = 15_000;
/** Azure ends a request after 230 s; ending before it lets the client come back in good order. */
const maxMs = 200_000;
const linesPerPoll = 500;

/** A job's changes and log lines as server-sent events, until it ends or the caller goes away. */
export async function jobEventStream(
  jobs: Pick<JobOperations, "get" | "logs">,
  id: string,
  request: Request,
  signal: AbortSignal,
): Promise<Response> {
  const first = await jobs.get(id);
  const lastSeen = Number.parseInt(request.headers.get("last-event-id") ?? "0", 10);
  const left = new AbortController();
  const events = follow(
    jobs,
    first,
    Number.isNaN(lastSeen) ? 0 : lastSeen,
    AbortSignal.any([signal, left.signal]),
  );
  const encoder = new TextEncoder();
  const stream = new ReadableStream<Uint8Array>({
    async pull(controller) {
      const next = await events.next();
      if (next.done === true) controller.close();
      else controller.enqueue(encoder.encode(next.value));
    },
    cancel() {
      left.abort();
    },
  });
  return new Response(stream, {
    headers: { "content-type": "text/event-stream", "cache-control": "no-cache", "x-accel-buffering": "no" },
  });
}

async function* follow(
  jobs: Pick<JobOperations, "get" | "logs">,
  first: Job,
  lastSeen: number,
  signal: AbortSignal,
): AsyncGenerator<string, void, undefined> {
  const started = performance.now();
  let job = first;
  let shown = "";
  let line = lastSeen;
  let quietSince = started;
  yield "retry: 1000\n\n";
  while (!signal.aborted) {
    const ended = job.endedMs !== null;
    const state = JSON.stringify(shownJob(job));
    if (state !== shown) {
      shown = state;
      quietSince = performance.now();
      yield event("job", state);
    }
    // The last lines are written together with the end, so an ended job's log is whole.
    for (let lines = await jobs.logs(job.id, line, linesPerPoll); lines.length > 0; ) {
      for (const entry of lines) {
        line = entry.line;
        yield `id: ${line}\n${event("log", JSON.stringify(entry))}`;
      }
      quietSince = performance.now();
      lines = lines.length < linesPerPoll ? [] : await jobs.logs(job.id, line, linesPerPoll);
    }
    if (ended) {
      yield event("end", JSON.stringify({ state: job.state }));
      return;
    }
    if (performance.now() - started > maxMs) return;
    if (performance.now() - quietSince > keepAliveMs) {
      quietSince = performance.now();
      yield ": still here\n\n";
    }
    await sleep(pollMs, undefined, { signal }).catch(() => {});
    if (!signal.aborted) job = await jobs.get(job.id);
  }
}

/** JSON has no line breaks of its own, so one `data` line holds it. */
function event(name: string, data: string): string {
  return `event: ${name}\ndata: ${data}\n\n`;
}
