import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { call } from "../../support/application.ts";
import { flightsBytes } from "../../support/flights.ts";
import { lateFlights } from "../../support/late-flights.ts";
import { bearer, createTokenFor, testAdminToken } from "../../support/tokens.ts";
import { type TrainedJob, type TrainingGround, trainingGround } from "../../support/training.ts";

describe("a training does what its submitter may", () => {
  let ground: TrainingGround;
  const admin = bearer(testAdminToken);

  beforeAll(async () => {
    ground = await trainingGround(undefined, { KETLINE_ADMIN_TOKEN: testAdminToken });
    const bytes = await flightsBytes({ share: 0.01, format: "parquet" });
    await call(ground.app, "POST", "/api/v1/datasets/flights/versions?format=parquet", bytes, admin);
    await ground.runner.drain();
  });
  afterAll(() => ground.close());

  const submit = async (headers: Record<string, string>, registeredModel: string) => {
    const spec = { ...lateFlights, registeredModel, promotion: { policy: "always" } };
    const answer = await call(ground.app, "POST", "/api/v1/training", spec, headers);
    expect(answer.status, JSON.stringify(answer.body)).toBe(202);
    return (answer.body as { id: string }).id;
  };
  const ended = async (id: string) => {
    await ground.runner.drain();
    return (await call(ground.app, "GET", `/api/v1/jobs/${id}`, undefined, admin)).body as TrainedJob;
  };

  it("registers a contributor's model and leaves the alias, whatever the policy", async () => {
    const job = await ended(await submit(bearer(await createTokenFor(ground.app, "contributor")), "a"));
    expect(job).toMatchObject({ state: "succeeded", result: { model: { name: "a", version: 1 } } });
    expect(job.result.decision).toMatchObject({ promoted: false });
    expect(job.result.decision?.reason).toContain("needs operator");
    expect(await ground.registry.getByAlias("a", "champion")).toBeNull();
  });

  it("moves it for an operator", async () => {
    const job = await ended(await submit(bearer(await createTokenFor(ground.app, "operator")), "b"));
    expect(job.result.decision).toMatchObject({ promoted: true });
    expect(await ground.registry.getByAlias("b", "champion")).toMatchObject({ version: 1 });
  });

  it("does nothing for a token that was revoked meanwhile, and is not tried again", async () => {
    const made = await call(ground.app, "POST", "/api/v1/tokens", { name: "gone", role: "operator" }, admin);
    const { token, id } = made.body as { token: string; id: string };
    const job = await submit(bearer(token), "c");
    await call(ground.app, "DELETE", `/api/v1/tokens/${id}`, undefined, admin);
    expect(await ended(job)).toMatchObject({
      state: "failed",
      attempt: 1,
      error: 'The token "gone" was revoked; what it began may not go on.',
    });
    expect(await ground.registry.getByAlias("c", "champion")).toBeNull();
  });
});
