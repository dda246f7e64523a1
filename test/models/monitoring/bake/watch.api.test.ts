import { afterEach, describe, expect, it } from "vitest";
import type { Alert } from "../../../../models/monitoring/schemas.ts";
import type { Prediction } from "../../../../models/serving/index.ts";
import { systemActor } from "../../../../shared/identity/index.ts";
import { call } from "../../../support/application.ts";
import { bearer } from "../../../support/tokens.ts";
import { closeGrounds, type Ground, ground } from "../ground.ts";
import { column, prediction } from "../predictions.ts";

afterEach(closeGrounds);

describe("a new revision that bakes", () => {
  const policy = { policy: "rollback", bakeMinutes: 60, minimumRequests: 50 };
  const failing: Partial<Prediction> = { status: "error", errorKind: "internal", outputs: {} };

  /** A minute of requests to one version, and a look at its end. */
  async function minute(made: Ground, version: string, requests: number, failures: number, revision: number) {
    for (let i = 0; i < requests; i++) {
      made.serving.predict(
        prediction({
          requestId: `m${made.clock()}-${version}-${i}`,
          atMs: made.clock(),
          modelVersion: version,
          revision,
          ...(i < failures ? failing : {}),
        }),
      );
    }
    made.clock.advance(60_000);
    await made.timer("monitoring-watch");
  }

  async function baking(spec: object = {}): Promise<Ground> {
    const made = await ground();
    await made.put("bake", { ...policy, ...spec });
    await minute(made, "1", 100, 0, 1);
    made.serving.deploy("flights", "2");
    return made;
  }

  it("is taken back when its failures are beyond chance, with the reason, once, and its alert ends", async () => {
    const made = await baking();
    // Eight of a hundred may still be chance beside a limit of five.
    await minute(made, "2", 100, 8, 2);
    expect(made.serving.rollbacks).toEqual([]);
    await minute(made, "2", 100, 30, 2);
    await minute(made, "2", 100, 30, 2);
    expect(made.serving.rollbacks).toEqual([
      {
        name: "flights",
        by: {
          actor: systemActor("monitor:bake"),
          reason: expect.stringMatching(
            /^Version 2 of "late", newly deployed: The share of requests that failed is 19 % over 200 requests, between .*; 5 % is the most allowed\.$/,
          ),
          expectedRevision: 2,
        },
      },
    ]);
    const { items } = (await call(made.app, "GET", "/api/v1/alerts")).body as { items: Alert[] };
    expect(items).toMatchObject([
      { signal: "error_rate", state: "resolved", action: { kind: "rollback", state: "done" } },
    ]);
  });

  it("is taken back for the version that fails often, whatever another one of few requests shows", async () => {
    const made = await baking();
    made.serving.deploy("flights", "2", "3");
    await minute(made, "3", 1, 1, 3);
    await minute(made, "2", 1000, 400, 3);
    expect(made.serving.rollbacks).toMatchObject([
      { by: { reason: expect.stringMatching(/^Version 2 of "late".* 40 % over 1000 requests/) } },
    ]);
  });

  it("is taken back for runs that fail on inputs which the version before took", async () => {
    const made = await baking();
    for (let i = 0; i < 100; i++) {
      made.serving.predict(
        prediction({
          requestId: `run-${i}`,
          modelVersion: "2",
          revision: 2,
          atMs: made.clock(),
          ...failing,
          errorKind: "run_failed",
        }),
      );
    }
    await minute(made, "2", 0, 0, 2);
    expect(made.serving.rollbacks).toHaveLength(1);
  });

  it("stays when who set up its monitor may no longer roll back: the alert says why, and a person has to look", async () => {
    const made = await baking();
    const issued = await call(made.app, "POST", "/api/v1/tokens", { name: "ben", role: "operator" });
    const { id, token } = issued.body as { id: string; token: string };
    const spec = { target: { deployment: "flights" }, ...policy };
    await call(made.app, "PUT", "/api/v1/monitors/bake", spec, bearer(token));
    await call(made.app, "DELETE", `/api/v1/tokens/${id}`);
    await minute(made, "2", 100, 50, 2);
    expect(made.serving.rollbacks).toEqual([]);
    const { items } = (await call(made.app, "GET", "/api/v1/alerts")).body as { items: Alert[] };
    expect(items).toMatchObject([
      {
        state: "firing",
        action: {
          kind: "rollback",
          state: "failed",
          detail: expect.stringContaining('The token "ben" was revoked'),
        },
      },
    ]);
  });

  it("has no alert left when its time is over", async () => {
    const made = await baking({ dryRun: true });
    await minute(made, "2", 100, 50, 2);
    const alerts = async () =>
      ((await call(made.app, "GET", "/api/v1/alerts")).body as { items: Alert[] }).items;
    expect(await alerts()).toMatchObject([{ state: "firing" }]);
    made.clock.advance(70 * 60_000);
    await made.timer("monitoring-watch");
    expect(await alerts()).toMatchObject([{ state: "resolved" }]);
  });

  it("is not taken back a second time after a person put the version back", async () => {
    const made = await baking();
    for (let i = 0; i < 2; i++) await minute(made, "2", 100, 30, 2);
    made.serving.deploy("flights", "2");
    for (let i = 0; i < 3; i++) await minute(made, "2", 100, 30, 4);
    expect(made.serving.rollbacks).toHaveLength(1);
    const { items } = (await call(made.app, "GET", "/api/v1/alerts")).body as { items: Alert[] };
    expect(items.map(({ action }) => action.state).sort()).toEqual(["done", "failed"]);
  });

  it("is taken back for answers that are NaN, and for latency where a limit is set", async () => {
    const nan = { outputs: { probability: column([Number.NaN]) } };
    for (const [changes, spec] of [
      [nan, {}],
      [{ durationMs: 900 }, { thresholds: { latencyP95Ms: 500 } }],
    ] as const) {
      const made = await baking(spec);
      for (let look = 0; look < 2; look++) {
        for (let i = 0; i < 100; i++) {
          const requestId = `n${look}-${i}`;
          made.serving.predict(
            prediction({ requestId, atMs: made.clock(), modelVersion: "2", revision: 2, ...changes }),
          );
        }
        made.clock.advance(60_000);
        await made.timer("monitoring-watch");
      }
      expect(made.serving.rollbacks).toHaveLength(1);
    }
  });

  it("stays when the version before failed as often", async () => {
    const made = await ground();
    await made.put("bake", policy);
    await minute(made, "1", 100, 30, 1);
    made.serving.deploy("flights", "2");
    for (let i = 0; i < 4; i++) await minute(made, "2", 100, 30, 2);
    expect(made.serving.rollbacks).toEqual([]);
  });

  it("stays when the callers are at fault, when there are few requests, and when it is only told to say so", async () => {
    const callers = await baking();
    for (let i = 0; i < 200; i++) {
      callers.serving.predict(
        prediction({
          requestId: `c${i}`,
          modelVersion: "2",
          revision: 2,
          atMs: callers.clock(),
          ...failing,
          errorKind: "invalid",
        }),
      );
    }
    for (let i = 0; i < 3; i++) await minute(callers, "2", 1, 0, 2);
    expect(callers.serving.rollbacks).toEqual([]);
    const few = await baking();
    for (let i = 0; i < 3; i++) await minute(few, "2", 10, 10, 2);
    expect(few.serving.rollbacks).toEqual([]);
    const dry = await baking({ dryRun: true });
    for (let i = 0; i < 3; i++) await minute(dry, "2", 100, 50, 2);
    expect(dry.serving.rollbacks).toEqual([]);
    const { items } = (await call(dry.app, "GET", "/api/v1/alerts")).body as { items: Alert[] };
    expect(items[0]?.action).toMatchObject({ state: "skipped", detail: expect.stringContaining("Dry run") });
  });

  it("stays after its bake time, and is marked healthy at its end when it was quiet", async () => {
    const made = await baking();
    for (let i = 0; i < 60; i++) await minute(made, "2", 10, 0, 2);
    await made.timer("monitoring-watch");
    const { items } = await made.serving.listRevisions("flights");
    expect(items[0]).toMatchObject({ revision: 2, health: "healthy", healthReason: "Quiet for 60 minutes." });
    made.clock.advance(10 * 60_000);
    for (let i = 0; i < 3; i++) await minute(made, "2", 100, 50, 2);
    expect(made.serving.rollbacks).toEqual([]);
  });

  it("is compared with the stable version beside it, and only itself is blamed", async () => {
    const made = await ground();
    await made.put("bake", policy);
    await minute(made, "1", 100, 0, 1);
    made.serving.deploy("flights", "1", "2");
    // Both fail alike now: something else is wrong.
    for (let i = 0; i < 3; i++) {
      for (let j = 0; j < 100; j++) {
        made.serving.predict(
          prediction({
            requestId: `s${i}-${j}`,
            atMs: made.clock(),
            modelVersion: "1",
            revision: 2,
            ...(j < 30 ? failing : {}),
          }),
        );
      }
      await minute(made, "2", 100, 30, 2);
    }
    expect(made.serving.rollbacks).toEqual([]);
  });

  it("is left to people after three rollbacks in a day", async () => {
    const made = await ground();
    await made.put("bake", policy);
    await minute(made, "1", 100, 0, 1);
    let revision = 1;
    for (const version of ["2", "3", "4", "5"]) {
      made.serving.deploy("flights", version);
      revision++;
      for (let i = 0; i < 2; i++) await minute(made, version, 100, 50, revision);
      if (version !== "5") revision++;
    }
    expect(made.serving.rollbacks).toHaveLength(3);
  });
});
