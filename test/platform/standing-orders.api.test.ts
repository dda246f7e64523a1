import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Firing } from "../../models/training/schedules/schemas.ts";
import { createPlatform, type Platform } from "../../platform.ts";
import { loadConfig } from "../../shared/config.ts";
import { type Role, roles } from "../../shared/identity/index.ts";
import { call, type SettableClock, settableClock } from "../support/application.ts";
import { randomSource } from "../support/random.ts";
import { bearer, testAdminToken } from "../support/tokens.ts";

const startMs = Date.UTC(2026, 0, 5, 9);
const minuteMs = 60_000;
const open: (() => Promise<void>)[] = [];
afterAll(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

type Headers = Readonly<Record<string, string>>;

interface Ground {
  readonly clock: SettableClock;
  send(by: Headers, method: string, path: string, body?: unknown): Promise<{ status: number; body: unknown }>;
  /** As the admin, and nothing else than success. */
  ask<Body>(method: string, path: string, body?: unknown): Promise<Body>;
  timer(name: string): Promise<void>;
  drain(): Promise<void>;
  token(name: string, role: Role): Promise<{ by: Headers; revoke(): Promise<void> }>;
}

/** A whole application that asks who calls, with a data set and a model of two versions. */
async function ground(): Promise<Ground> {
  const directory = mkdtempSync(path.join(tmpdir(), "ketline-standing-"));
  open.push(async () => rmSync(directory, { recursive: true, force: true }));
  const clock = settableClock(startMs);
  const config = loadConfig({
    KETLINE_DATA: directory,
    KETLINE_LOG_LEVEL: "silent",
    KETLINE_ADMIN_TOKEN: testAdminToken,
  });
  const platform: Platform = await createPlatform(config, clock);
  open.push(() => platform.close());
  const send: Ground["send"] = (by, method, at, body) => call(platform.app, method, at, body, by);
  const made: Ground = {
    clock,
    send,
    async ask(method, at, body) {
      const answer = await send(bearer(testAdminToken), method, at, body);
      if (answer.status >= 300)
        throw new Error(`${method} ${at}: ${answer.status} ${JSON.stringify(answer.body)}`);
      return answer.body as never;
    },
    async timer(name) {
      const timer = platform.timers.find((each) => each.name === name);
      if (timer === undefined) throw new Error(`There is no timer ${name}.`);
      await timer.run();
    },
    drain: async () => void (await platform.runner.drain()),
    async token(name, role) {
      const { id, token } = await made.ask<{ id: string; token: string }>("POST", "/api/v1/tokens", {
        name,
        role,
      });
      return {
        by: bearer(token),
        revoke: async () => void (await made.ask("DELETE", `/api/v1/tokens/${id}`)),
      };
    },
  };
  const random = randomSource(1);
  const lines = Array.from({ length: 600 }, () => {
    const x = random.normal();
    return `${x.toFixed(6)},${random.uniform() < 1 / (1 + Math.exp(-2 * x)) ? 1 : 0}`;
  });
  await made.ask("POST", "/api/v1/datasets/stops/versions?format=csv", `x,late\n${lines.join("\n")}\n`);
  await made.drain();
  for (let i = 0; i < 2; i++) {
    await made.ask("POST", "/api/v1/training", trainingOf("stops"));
    await made.drain();
  }
  return made;
}

/** A rollout that runs keeps the next one of its deployment out. */
async function deploy(made: Ground, name: string): Promise<void> {
  await made.ask("PUT", `/api/v1/deployments/${name}`, {
    variants: [{ name: "champion", model: "stops", version: "1", weight: 100 }],
    reason: "first",
  });
}

const trainingOf = (registeredModel: string) => ({
  dataset: "stops",
  task: "binary",
  target: { column: "late", equals: 1 },
  features: [{ column: "x" }],
  split: { holdoutFraction: 0.3 },
  registeredModel,
  promotion: { policy: "always" },
});
const step = { minutes: 10, minimumRequests: 0 };
const plan = {
  steps: [
    { ...step, weight: 10 },
    { ...step, weight: 50 },
  ],
  gates: [],
};
const rollout = { ...plan, target: { model: "stops", version: "2" }, reason: "better" };

const scheduleOf = (deployment: string) => ({
  cron: null,
  triggers: [{ on: "dataset" }],
  training: trainingOf("stops"),
  rollout: { deployment, plan },
});

interface Deed {
  /** @returns whether it was done */
  directly(ground: Ground, by: Headers, role: Role): Promise<boolean>;
  byJob(ground: Ground, by: Headers, role: Role): Promise<boolean>;
}

const isDone = ({ status, body }: { status: number; body: unknown }): boolean => {
  if (status < 300) return true;
  expect(status, JSON.stringify(body)).toBe(403);
  return false;
};

const deeds: Readonly<Record<string, Deed>> = {
  "move an alias": {
    directly: async ({ send }, by) => {
      const body = { name: "stops", alias: "champion", version: "1" };
      return isDone(await send(by, "POST", "/api/2.0/mlflow/registered-models/alias", body));
    },
    async byJob({ send, drain, ask }, by, role) {
      const answer = await send(by, "POST", "/api/v1/training", trainingOf(`of-${role}`));
      if (!isDone(answer)) return false;
      await drain();
      const { id } = answer.body as { id: string };
      const { result } = await ask<{ result: { decision: { promoted: boolean } } }>(
        "GET",
        `/api/v1/jobs/${id}`,
      );
      return result.decision.promoted;
    },
  },
  "roll out": {
    async directly(made, by, role) {
      await deploy(made, `direct-${role}`);
      return isDone(await made.send(by, "POST", `/api/v1/deployments/direct-${role}/rollouts`, rollout));
    },
    async byJob(made, by, role) {
      const { send, drain, timer, ask } = made;
      await deploy(made, `by-job-${role}`);
      if (!isDone(await send(by, "PUT", `/api/v1/schedules/of-${role}`, scheduleOf(`by-job-${role}`))))
        return false;
      const run = `/api/v1/schedules/of-${role}/run`;
      if (!isDone(await send(by, "POST", run, { reason: "now" }))) return false;
      for (let i = 0; i < 3; i++) {
        await timer("training-schedules");
        await drain();
      }
      const { items } = await ask<{ items: Firing[] }>("GET", `/api/v1/schedules/of-${role}/firings`);
      return items[0]?.state === "rolling_out";
    },
  },
  "write data": {
    directly: async ({ send }, by) =>
      isDone(await send(by, "POST", "/api/v1/datasets/other/versions?format=csv", "a\n1\n")),
    async byJob({ send, drain, ask }, by, role) {
      const body = {
        input: { dataset: "stops" },
        target: { model: "stops", version: "1" },
        output: { dataset: `of-${role}` },
      };
      const answer = await send(by, "POST", "/api/v1/batch-predictions", body);
      if (!isDone(answer)) return false;
      await drain();
      const { items } = await ask<{ items: { name: string }[] }>("GET", "/api/v1/datasets?limit=100");
      return items.some(({ name }) => name === `of-${role}`);
    },
  },
};

let made: Ground;
beforeAll(async () => {
  made = await ground();
});

describe.each(roles)("the role %s", (role) => {
  it.each(Object.entries(deeds))("may %s through a job exactly where it may directly", async (_, deed) => {
    const { by } = await made.token(role, role);
    expect(await deed.byJob(made, by, role)).toBe(await deed.directly(made, by, role));
  });
});

describe("what somebody set up whose token was revoked since", () => {
  it("gives a rollout no more traffic: it pauses, and says why", async () => {
    const ben = await made.token("ben", "operator");
    await deploy(made, "live");
    const { body } = await made.send(ben.by, "POST", "/api/v1/deployments/live/rollouts", rollout);
    const { id } = body as { id: string };
    await ben.revoke();
    made.clock.advance(11 * minuteMs);
    await made.timer("serving-rollouts");
    expect(await made.ask("GET", `/api/v1/deployments/live/rollouts/${id}`)).toMatchObject({
      state: "paused",
      step: 1,
      stateReason: 'It could not go on. The token "ben" was revoked; what it began may not go on.',
    });
  });

  it("starts no rollout of a schedule, though its training had ended in time", async () => {
    const ben = await made.token("ben", "operator");
    await deploy(made, "nightly");
    await made.send(ben.by, "PUT", "/api/v1/schedules/nightly", scheduleOf("nightly"));
    await made.send(ben.by, "POST", "/api/v1/schedules/nightly/run", { reason: "now" });
    await made.timer("training-schedules");
    await made.drain();
    await ben.revoke();
    await made.timer("training-schedules");
    const { items } = await made.ask<{ items: Firing[] }>("GET", "/api/v1/schedules/nightly/firings");
    expect(items).toMatchObject([
      {
        state: "failed",
        promoted: true,
        rollout: null,
        reason: expect.stringContaining('"ben" was revoked'),
      },
    ]);
  });
});
