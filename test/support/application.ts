import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Hono } from "hono";
import { type BlobStore, openBlobStore } from "../../shared/blobs/index.ts";
import type { Capability } from "../../shared/capability.ts";
import type { Clock } from "../../shared/clock.ts";
import { type Config, loadConfig } from "../../shared/config.ts";
import { type Database, type Migration, openDatabase } from "../../shared/database/index.ts";
import { type ApplicationOptions, createApplication } from "../../shared/http/index.ts";
import {
  type AuditOperations,
  type CheckStanding,
  createAuditLog,
  createIdentity,
  type IdentityOperations,
  identityMigrations,
} from "../../shared/identity/index.ts";
import {
  createJobRunner,
  createJobs,
  createWorkerPool,
  type JobOperations,
  type JobRunner,
  jobMigrations,
  type WorkerPool,
} from "../../shared/jobs/index.ts";
import { type MessageQueue, openMessageQueue, queueMigrations } from "../../shared/queues/index.ts";
import { createEvents, createLogger, type Events, type Logger } from "../../shared/telemetry/index.ts";
import { holdToDescription } from "./documented.ts";

/** Signs the links of a test's blob store. */
export const testSigningKey = "k".repeat(32);

/** A clock that stands still until a test moves it. */
export type SettableClock = Clock & {
  set(ms: number): void;
  advance(ms: number): void;
};

export function settableClock(startMs = Date.UTC(2026, 0, 5, 9)): SettableClock {
  let nowMs = startMs;
  return Object.assign(() => nowMs, {
    set(ms: number) {
      nowMs = ms;
    },
    advance(ms: number) {
      nowMs += ms;
    },
  });
}

/** The ground floor over the embedded adapters, in a temporary directory of its own. */
export interface TestGround {
  readonly config: Config;
  readonly directory: string;
  readonly database: Database;
  readonly blobs: BlobStore;
  readonly queue: MessageQueue;
  readonly jobs: JobOperations;
  readonly runner: JobRunner;
  readonly workers: WorkerPool;
  readonly audit: AuditOperations;
  readonly identity: IdentityOperations;
  readonly checkStanding: CheckStanding;
  readonly logger: Logger;
  readonly events: Events;
  /** Every line that was logged, parsed. */
  readonly logged: readonly Record<string, unknown>[];
  readonly clock: SettableClock;
}

export interface TestApplication extends TestGround {
  readonly app: Hono;
  close(): Promise<void>;
}

export interface TestGroundOptions {
  readonly migrations?: readonly Migration[];
  /** Environment variables on top of embedded defaults; an identity is configured with them too. */
  readonly env?: Readonly<Record<string, string>>;
  /** Told of every answer. */
  readonly observe?: ApplicationOptions["observe"];
  readonly events?: Events;
  /** The capabilities under test; their job kinds are registered and their routes mounted. */
  readonly capabilities?: (ground: TestGround) => readonly Capability[] | Promise<readonly Capability[]>;
}

/**
 * Everything that a capability needs, and an application of its routes beside those of jobs, tokens and audit.
 *
 * ```ts
 * const ground = await testGround({ migrations, capabilities: (ground) => [createDatasets(ground)] });
 * await call(ground.app, "POST", "/api/v1/datasets", { name: "flights" });
 * await ground.runner.drain(); // runs the jobs that are due
 * await ground.close();
 * ```
 */
export async function testGround(options: TestGroundOptions = {}): Promise<TestApplication> {
  const directory = await mkdtemp(path.join(tmpdir(), "ketline-test-"));
  const config = loadConfig({ KETLINE_DATA: directory, KETLINE_LOG_LEVEL: "debug", ...options.env });
  const clock = settableClock();
  const logged: Record<string, unknown>[] = [];
  const logger = createLogger(config, { write: (line) => logged.push(JSON.parse(line)) });
  const events = options.events ?? createEvents(logger);
  const database = await openDatabase(config.database, [
    ...jobMigrations,
    ...queueMigrations,
    ...identityMigrations,
    ...(options.migrations ?? []),
  ]);
  const blobs = await openBlobStore(config.blobs, { signingKey: testSigningKey, clock });
  const queue = await openMessageQueue(config.queues, { database, clock });
  const audit = createAuditLog({ database, clock });
  const identity = createIdentity({ config, database, clock, audit });
  const jobs = createJobs({
    database,
    queue,
    clock,
    audit,
    logger,
    events,
    actorNow: identity.actorNow,
  });
  const runner = createJobRunner({ jobs, queue, clock, logger, concurrency: 2, instanceId: "test" });
  const workers = createWorkerPool({ threads: 2 });
  const ground: TestGround = {
    config,
    directory,
    database,
    blobs,
    queue,
    jobs,
    runner,
    workers,
    audit,
    identity,
    checkStanding: identity.checkStanding,
    logger,
    events,
    logged,
    clock,
  };
  const capabilities = (await options.capabilities?.(ground)) ?? [];
  for (const kind of capabilities.flatMap((capability) => capability.jobKinds)) jobs.register(kind);
  const routes = [jobs, identity, audit, ...capabilities].flatMap((capability) => capability.routes);
  const app = createApplication({
    routes,
    identity,
    logger,
    publicUrl: config.publicUrl,
    ...(options.observe === undefined ? {} : { observe: options.observe }),
  });
  holdToDescription(app, routes);
  return {
    ...ground,
    app,
    async close() {
      await runner.stop(0);
      for (const capability of capabilities) await capability.flush?.();
      for (const capability of capabilities) await capability.close?.();
      await workers.close();
      await database.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** The body, parsed where it is JSON, as text otherwise. */
  readonly body: unknown;
}

/** Sends one request through the application. A plain body goes as JSON, bytes and streams as they are. */
export async function call(
  app: Hono,
  method: string,
  path: string,
  body?: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const raw = body instanceof Uint8Array || body instanceof ReadableStream || typeof body === "string";
  const response = await app.request(path, {
    method,
    headers: { ...(body === undefined || raw ? {} : { "content-type": "application/json" }), ...headers },
    ...(body === undefined ? {} : { body: raw ? (body as string) : JSON.stringify(body) }),
    ...(body instanceof ReadableStream ? { duplex: "half" } : {}),
  } as RequestInit);
  const text = await response.text();
  const isJson = /\bjson\b/.test(response.headers.get("content-type") ?? "");
  return {
    status: response.status,
    headers: response.headers,
    body: isJson && text !== "" ? JSON.parse(text) : text,
  };
}
