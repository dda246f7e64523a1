import { expect } from "vitest";
import { createServing } from "../../../../models/serving/create-serving.ts";
import type { Serving } from "../../../../models/serving/index.ts";
import type { RolloutDetail } from "../../../../models/serving/rollouts/schemas.ts";
import { call } from "../../../support/application.ts";
import { type ServingGround, servingGround } from "../ground.ts";
import { linearModel, sumModel } from "../models.ts";

export const minuteMs = 60_000;

/** Predictions are counted after their answers have left; a busy machine takes its time. */
export const patient = { timeout: 20_000, interval: 5 };

export interface OneDeployment {
  readonly ground: ServingGround;
  readonly name: string;
}

/** Models to roll out: of "times", 1 and 4 answer alike, 2 otherwise and 3 with NaN; "other" takes other inputs. */
export async function rolloutGround(random: () => number): Promise<ServingGround> {
  const ground = await servingGround({ random });
  for (const weight of [1, 2, Number.NaN, 1]) {
    await ground.models.register("times", { "model.onnx": linearModel([weight]) });
  }
  await ground.models.register("other", { "model.onnx": sumModel() });
  return ground;
}

/** An instance of its own over the same stores. */
export function instanceOf(ground: ServingGround): Serving {
  return createServing({
    ...ground,
    dataDirectory: `${ground.directory}/${Math.random()}`,
    limits: { hosts: 1 },
  });
}

/** Rollouts of one deployment through the API, on the test's clock. */
export function rolloutsThrough(current: () => OneDeployment) {
  const app = () => current().ground.app;
  const path = () => `/api/v1/deployments/${current().name}`;
  const bare = { minutes: 10, minimumRequests: 0 };
  const start = (body: object) =>
    call(app(), "POST", `${path()}/rollouts`, {
      target: { model: "times", version: "2" },
      steps: [
        { ...bare, weight: 10 },
        { ...bare, weight: 50 },
      ],
      gates: [],
      reason: "better on the holdout",
      ...body,
    });
  const started = async (body: object = {}): Promise<RolloutDetail> => {
    const answer = await start(body);
    expect(answer).toMatchObject({ status: 201 });
    return answer.body as RolloutDetail;
  };
  const read = async ({ id }: Pick<RolloutDetail, "id">) =>
    (await call(app(), "GET", `${path()}/rollouts/${id}`)).body as RolloutDetail;
  const act = ({ id }: Pick<RolloutDetail, "id">, action: string, body: object = {}) =>
    call(app(), "POST", `${path()}/rollouts/${id}/${action}`, { reason: `${action} it`, ...body });
  const tick = (serving: Serving = current().ground.serving) =>
    serving.timers.find(({ name }) => name === "serving-rollouts")?.run();
  const pass = async (minutes: number) => {
    current().ground.clock.advance(minutes * minuteMs);
    await tick();
  };
  const deployment = async () => (await call(app(), "GET", path())).body as { revision: number };
  const weights = async () => {
    const { variants } = (await call(app(), "GET", path())).body as {
      variants: { name: string; weight: number }[];
    };
    return Object.fromEntries(variants.map(({ name, weight }) => [name, weight]));
  };
  const revision = async (number: number) =>
    (await call(app(), "GET", `${path()}/revisions/${number}`)).body as Record<string, unknown>;
  /** Requests for a variant by name, until all of them are counted. */
  const ask = async (rollout: RolloutDetail, variant: string, count: number): Promise<void> => {
    const counted = async () =>
      (await read(rollout)).steps.find(({ state }) => state === "current")?.requests ?? 0;
    const known = await counted();
    const inputs = [{ name: "X", shape: [1, 1], datatype: "FP32", data: [1] }];
    const infer = `/v2/models/${current().name}/infer`;
    for (let i = 0; i < count; i++) {
      await call(app(), "POST", infer, { inputs }, { "ketline-variant": variant });
    }
    if (variant === rollout.target.name) await expect.poll(counted, patient).toBe(known + count);
  };
  /** What the audit log says of a rollout, oldest first. */
  const audited = async ({ id }: Pick<RolloutDetail, "id">) => {
    const { items } = (await call(app(), "GET", "/api/v1/audit?limit=1000")).body as {
      items: { action: string; subject: string; actor: { id: string }; reason: string; after: object }[];
    };
    return items.filter(({ subject }) => subject.endsWith(id)).reverse();
  };
  return { start, started, read, act, tick, pass, deployment, weights, revision, ask, audited };
}
