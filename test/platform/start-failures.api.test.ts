import { afterEach, describe, expect, it } from "vitest";
import { createPlatform, type Platform } from "../../platform.ts";
import { loadConfig } from "../../shared/config.ts";
import { call } from "../support/application.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const broken = "--import=/nowhere/at-all.mjs";
let platform: Platform | undefined;
let directory: Awaited<ReturnType<typeof temporaryDirectory>> | undefined;
afterEach(async () => {
  mend();
  await platform?.close();
  await directory?.remove();
});

/** What every process of ours is told to load first is not there. */
function breakStarts(): void {
  process.execArgv.push(broken);
}

function mend(): void {
  const at = process.execArgv.indexOf(broken);
  if (at >= 0) process.execArgv.splice(at, 1);
}

describe("a server whose processes do not start", () => {
  it("says so at /health, keeps its jobs without counting their attempts, and is well when they start again", async () => {
    directory = await temporaryDirectory();
    platform = await createPlatform(
      loadConfig({ KETLINE_DATA: directory.path, KETLINE_LOG_LEVEL: "silent" }),
    );
    const { app, runner } = platform;
    const health = () => call(app, "GET", "/health");
    expect((await health()).status).toBe(200);
    breakStarts();
    const uploaded = await call(
      app,
      "POST",
      "/api/v1/datasets/rows/versions?format=csv",
      new TextEncoder().encode("a,b\n1,2\n"),
    );
    const { id } = (uploaded.body as { job: { id: string } }).job;
    const job = async () => (await call(app, "GET", `/api/v1/jobs/${id}`)).body;
    await runner.runOne(id);
    expect(await job()).toMatchObject({
      state: "queued",
      attempt: 0,
      error: expect.stringMatching(/does not start \(exit code 1\)/),
    });
    const unwell = await health();
    expect(unwell.status).toBe(503);
    expect(unwell.body).toMatchObject({ detail: expect.stringMatching(/does not start/) });
    expect(Number(unwell.headers.get("retry-after"))).toBeGreaterThan(0);
    mend();
    while ((await health()).status !== 200) await new Promise(setImmediate);
    while ((await runner.runOne(id)) === "not_due") await new Promise(setImmediate);
    expect(await job()).toMatchObject({ state: "succeeded", attempt: 1 });
  });
});
