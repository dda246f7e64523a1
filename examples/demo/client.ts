import { setTimeout as sleep } from "node:timers/promises";
import { progressBar } from "./terminal.ts";

export interface DemoJob {
  readonly id: string;
  readonly state: "queued" | "running" | "succeeded" | "failed" | "cancelled";
  readonly progress: number;
  readonly progressMessage: string | null;
  readonly error: string | null;
  readonly result: unknown;
}

/** The demo speaks to Ketline as any client does: over HTTP. */
export interface Client {
  readonly url: string;
  get<Result>(path: string): Promise<Result>;
  send<Result>(
    method: "POST" | "PUT" | "PATCH" | "DELETE",
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<Result>;
  /** Uploads a file's bytes. */
  upload<Result>(path: string, body: Blob, contentType: string): Promise<Result>;
  /** Waits until a job ends. @throws Error when it did not succeed. */
  wait(job: DemoJob, seen?: (job: DemoJob) => void): Promise<DemoJob>;
  /** Draws a job's progress until it ends. @throws Error when it did not succeed. */
  follow<Result>(job: DemoJob, label: string, ended: (result: Result) => string): Promise<Result>;
}

const maxJobMs = 10 * 60_000;

export function createClient(url: string): Client {
  async function call<Result>(path: string, init: RequestInit): Promise<Result> {
    const response = await fetch(url + path, { ...init, signal: AbortSignal.timeout(60_000) });
    const text = await response.text();
    if (!response.ok) throw new Error(`${init.method ?? "GET"} ${path} answered ${response.status}: ${text}`);
    return (text === "" ? undefined : JSON.parse(text)) as Result;
  }
  const client: Client = {
    url,
    get: (path) => call(path, {}),
    send: (method, path, body, headers = {}) =>
      call(path, {
        method,
        headers: body === undefined ? headers : { "content-type": "application/json", ...headers },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
    upload: (path, body, contentType) =>
      call(path, { method: "POST", headers: { "content-type": contentType }, body }),
    async wait(job, seen) {
      const started = Date.now();
      for (let now = job; ; now = await client.get<DemoJob>(`/api/v1/jobs/${job.id}`)) {
        if (now.state === "succeeded") return now;
        if (now.state === "failed" || now.state === "cancelled") {
          throw new Error(`The job ${job.id} ended as ${now.state}: ${now.error ?? "without a reason"}`);
        }
        if (Date.now() - started > maxJobMs) throw new Error(`The job ${job.id} takes too long.`);
        seen?.(now);
        await sleep(100);
      }
    },
    async follow<Result>(job: DemoJob, label: string, ended: (result: Result) => string) {
      const bar = progressBar(label);
      const { result } = await client.wait(job, (now) => bar.update(now.progress, now.progressMessage ?? ""));
      bar.end(ended(result as Result));
      return result as Result;
    },
  };
  return client;
}
