import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import {
  createRegistry,
  createWebhooks,
  type Registry,
  registryMigrations,
  type Webhooks,
  type WebhooksOptions,
} from "../../models/registry/index.ts";
import { createTracking, type Tracking, trackingMigrations } from "../../models/tracking/index.ts";
import { createBlobEndpoint, createBlobLinks } from "../../shared/blobs/index.ts";
import { type Answer, call, type TestApplication, testGround, testSigningKey } from "./application.ts";

/** An application that serves tracking, the registry and signed links to blobs, empty. */
export interface MlflowGround extends TestApplication {
  readonly tracking: Tracking;
  readonly registry: Registry;
  readonly webhooks: Webhooks;
  /** Calls `/api/2.0/mlflow<path>`; a GET sends its fields as the query, with lists as repeated keys. */
  send(method: string, path: string, fields?: object): Promise<Answer>;
  /** The same, for calls that must succeed. */
  ask<Body>(method: string, path: string, fields?: object): Promise<Body>;
}

export async function mlflowGround(
  env: Readonly<Record<string, string>> = {},
  webhookOptions: Pick<WebhooksOptions, "random" | "resolve" | "timeoutMs"> = {},
): Promise<MlflowGround> {
  let tracking: Tracking | undefined;
  let registry: Registry | undefined;
  let webhooks: Webhooks | undefined;
  const ground = await testGround({
    env,
    migrations: [...trackingMigrations, ...registryMigrations],
    capabilities: (base) => {
      tracking = createTracking(base);
      webhooks = createWebhooks({ ...base, signingKey: "s".repeat(32), ...webhookOptions });
      registry = createRegistry({ ...base, tracking, webhooks });
      const { blobs, clock, config } = base;
      const links = createBlobLinks({ signingKey: testSigningKey, clock });
      const { maxUploadBytes } = config;
      return [
        tracking,
        registry,
        webhooks,
        createBlobEndpoint({ store: blobs, links, clock, maxUploadBytes }),
      ];
    },
  });
  if (tracking === undefined || registry === undefined || webhooks === undefined) {
    throw new Error("The capabilities were not made.");
  }
  const send = (method: string, path: string, fields: object = {}): Promise<Answer> => {
    const url = `/api/2.0/mlflow${path}`;
    return method === "GET"
      ? call(ground.app, method, `${url}?${queryOf(fields)}`)
      : call(ground.app, method, url, fields);
  };
  return {
    ...ground,
    tracking,
    registry,
    webhooks,
    send,
    async ask<Body>(method: string, path: string, fields: object = {}) {
      const answer = await send(method, path, fields);
      if (answer.status !== 200)
        throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
      return answer.body as Body;
    },
  };
}

function queryOf(fields: object): URLSearchParams {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(fields)) {
    for (const one of Array.isArray(value) ? value : [value]) query.append(key, String(one));
  }
  return query;
}

export interface Pair {
  readonly key: string;
  readonly value: string;
}

/** A run as MLflow tells it. */
export interface RunJson {
  info: { run_id: string; run_name: string; lifecycle_stage: string; status: string } & Record<
    string,
    unknown
  >;
  data: { metrics?: { key: string; value: unknown; step: number }[]; params?: Pair[]; tags?: Pair[] };
  inputs: { dataset_inputs?: unknown[]; model_inputs?: unknown[] };
  outputs?: { model_outputs: unknown[] };
}

/** The calls that most tests of runs begin with. */
export function runCalls(ground: () => MlflowGround) {
  const create = async (fields: object = {}) =>
    (await ground().ask<{ run: RunJson }>("POST", "/runs/create", { experiment_id: "0", ...fields })).run;
  return {
    create,
    get: async (run_id: string) => (await ground().ask<{ run: RunJson }>("GET", "/runs/get", { run_id })).run,
    newRunId: async () => (await create()).info.run_id,
  };
}

/** Listens on a free loopback port. */
export async function listen(ground: TestApplication): Promise<{ url: string; close(): Promise<void> }> {
  const server = createAdaptorServer({ fetch: ground.app.fetch });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((resolve, reject) => {
        server.close((error) => (error === undefined ? resolve() : reject(error)));
        if ("closeAllConnections" in server) server.closeAllConnections();
      }),
  };
}
