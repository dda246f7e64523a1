import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { call } from "../../support/application.ts";
import { contentsOf } from "./contents.ts";
import { fill, type TwoServers, thereUrl, twoServers } from "./two-servers.ts";

let servers: TwoServers;
beforeEach(async () => {
  servers = await twoServers();
});
afterEach(() => servers.close());

const refuseAll = () =>
  Response.json({ error_code: "UNAUTHENTICATED", message: "Who are you?" }, { status: 401 });

describe("an import", () => {
  it("copies everything, under the ids that things had", async () => {
    const ids = await fill(servers.thereClient, 9);
    const { job, report } = await servers.transfer({ direction: "import" });
    expect(job).toMatchObject({ state: "succeeded", error: null });
    expect(report?.skipped).toEqual([]);
    expect(report?.runs).toEqual({ copied: 9, unchanged: 0, skipped: 0 });
    expect(await contentsOf(servers.hereClient)).toEqual(await contentsOf(servers.thereClient));
    expect((await servers.hereClient.runs.get(ids[0] ?? "")).data.tags.map(({ key }) => key)).not.toContain(
      "ketline.source.run_id",
    );
  });

  it("copies only what is new or changed the next time", async () => {
    const ids = await fill(servers.thereClient, 5);
    await servers.transfer({ direction: "import" });
    const [changed = "", extended = ""] = ids;
    await servers.thereClient.runs.logMetric(changed, { key: "loss", value: 9, step: 50, timestamp: 60 });
    const { artifact_uri } = (await servers.thereClient.runs.get(extended)).info;
    await servers.thereClient.artifacts.upload(artifact_uri, "late.txt", new TextEncoder().encode("late"));
    await servers.thereClient.registeredModels.setAlias("late-flights", "champion", 1);
    const { report } = await servers.transfer({ direction: "import" });
    expect(report?.runs).toEqual({ copied: 1, unchanged: 4, skipped: 0 });
    expect(report?.artifacts.copied).toBe(1);
    expect(report?.versions).toEqual({ copied: 0, unchanged: 2, skipped: 0 });
    expect(await contentsOf(servers.hereClient)).toEqual(await contentsOf(servers.thereClient));
  });

  it("takes only what is asked for", async () => {
    await fill(servers.thereClient, 2);
    await servers.thereClient.experiments.create({ name: "other" });
    const { report } = await servers.transfer({
      direction: "import",
      experiments: ["flights"],
      registeredModels: [],
      artifacts: false,
      includeDeleted: false,
    });
    expect(report).toMatchObject({
      experiments: { copied: 1 },
      runs: { copied: 1 },
      artifacts: { copied: 0 },
      registeredModels: { copied: 0 },
    });
    expect(await servers.hereClient.experiments.getByName("other")).toBeNull();
  });

  it("copies deleted experiments as deleted", async () => {
    await fill(servers.thereClient, 2);
    const experiment = await servers.thereClient.experiments.getByName("flights");
    await servers.thereClient.experiments.delete(experiment?.experiment_id ?? "");
    await servers.transfer({ direction: "import" });
    expect(await contentsOf(servers.hereClient)).toEqual(await contentsOf(servers.thereClient));
    const { report } = await servers.transfer({ direction: "import" });
    expect(report?.experiments.unchanged).toBe(1);
  });

  it("says why it leaves out files that the source does not serve", async () => {
    const { thereClient } = servers;
    const experiment_id = await thereClient.experiments.create({
      name: "s3",
      artifact_location: "s3://bucket/x",
    });
    const { info } = await thereClient.runs.create({ experiment_id });
    const { job, report } = await servers.transfer({ direction: "import" });
    expect(job.state).toBe("succeeded");
    expect(report?.runs.copied).toBe(1);
    expect(report?.skipped).toEqual([
      { kind: "artifacts", id: `run ${info.run_id}`, reason: expect.stringContaining("s3://bucket/x") },
    ]);
  });

  it("leaves an alias alone that somebody has put elsewhere on the target", async () => {
    await fill(servers.thereClient, 2);
    await servers.transfer({ direction: "import" });
    await servers.hereClient.registeredModels.setAlias("late-flights", "champion", 1);
    const { report } = await servers.transfer({ direction: "import" });
    expect(report?.aliases).toEqual({ copied: 0, unchanged: 0, skipped: 1 });
    expect((await servers.hereClient.registeredModels.getByAlias("late-flights", "champion"))?.version).toBe(
      "1",
    );
  });
});

describe("an export", () => {
  it("copies everything, and tags runs with the ids that they had", async () => {
    await fill(servers.hereClient, 6);
    const { job, report } = await servers.transfer({ direction: "export" });
    expect(job).toMatchObject({ state: "succeeded", error: null });
    expect(report?.skipped).toEqual([]);
    expect(await contentsOf(servers.thereClient)).toEqual(await contentsOf(servers.hereClient));
  });

  it("leads children to the copies of their parents", async () => {
    const ids = await fill(servers.hereClient, 4);
    await servers.transfer({ direction: "export" });
    const byOrigin = new Map<string, { id: string; parent: string | undefined }>();
    const flights = await servers.thereClient.experiments.getByName("flights");
    const search = { experiment_ids: [flights?.experiment_id ?? ""], run_view_type: "ALL" as const };
    for await (const { info, data } of servers.thereClient.runs.search(search)) {
      const tag = (key: string) => data.tags.find((one) => one.key === key)?.value;
      byOrigin.set(tag("ketline.source.run_id") ?? "", {
        id: info.run_id,
        parent: tag("mlflow.parentRunId"),
      });
    }
    expect(byOrigin.get(ids[3] ?? "")?.parent).toBe(byOrigin.get(ids[2] ?? "")?.id);
  });
});

describe("transfers that are started at the same moment", () => {
  it("are one, and the others are told of it", async () => {
    const body = { direction: "import", server: { url: thereUrl } };
    const start = () => call(servers.here.app, "POST", "/api/v1/transfers", body);
    for (let round = 0; round < 3; round++) {
      const answers = await Promise.all(Array.from({ length: 6 }, start));
      expect(answers.map(({ status }) => status).toSorted()).toEqual([202, ...Array(5).fill(409)]);
      const { items } = (await call(servers.here.app, "GET", "/api/v1/transfers")).body as {
        items: unknown[];
      };
      expect(items).toHaveLength(round + 1);
      await servers.here.runner.drain();
    }
  });
});

describe("a transfer that is ended in the middle", () => {
  it.each(["import", "export"])(
    "goes on where it stopped, and makes nothing twice (%s)",
    async (direction) => {
      const source = direction === "import" ? servers.thereClient : servers.hereClient;
      const target = direction === "import" ? servers.hereClient : servers.thereClient;
      await fill(source, 8);
      // The line breaks after ever more requests, also after the request and before its answer.
      for (let attempt = 1; attempt <= 6; attempt++) {
        let left = attempt * 9;
        servers.line.intercept = async (request) => {
          if (left-- > 0) return undefined;
          if (left === -1) {
            const answer = await servers.there.app.fetch(request.clone() as Request);
            await answer.body?.cancel();
          }
          throw new TypeError("the line broke");
        };
        const { id } = await servers.start({ direction });
        await servers.here.runner.drain();
        servers.line.intercept = undefined;
        const stopped = await servers.get(id);
        if (stopped.job.state === "queued") {
          await call(servers.here.app, "POST", `/api/v1/jobs/${stopped.job.id}/cancel`, {});
        }
      }
      const { job, report } = await servers.transfer({ direction });
      expect(job).toMatchObject({ state: "succeeded", error: null });
      expect(report?.skipped).toEqual([]);
      const copy = await contentsOf(target);
      expect(copy).toEqual(await contentsOf(source));
      const flights = await target.experiments.getByName("flights");
      const runs = await target.runs.searchPage({
        experiment_ids: [flights?.experiment_id ?? ""],
        run_view_type: "ALL",
      });
      expect(runs.items).toHaveLength(8);
    },
  );

  it("can be cancelled", async () => {
    await fill(servers.thereClient, 4);
    const { id, job } = await servers.start({ direction: "import" });
    let asked = 0;
    servers.line.intercept = async () => {
      if (++asked === 12) await call(servers.here.app, "POST", `/api/v1/jobs/${job.id}/cancel`, {});
      return undefined;
    };
    await servers.here.runner.drain();
    expect((await servers.get(id)).job.state).toBe("cancelled");
    expect(servers.line.crossed.length).toBeLessThan(20);
  });
});

describe("a name that the target has already", () => {
  beforeEach(async () => {
    await fill(servers.thereClient, 2);
    await servers.hereClient.experiments.create({ name: "flights" });
    await servers.hereClient.registeredModels.create({ name: "late-flights" });
  });

  it("fails the transfer before anything is copied, unless told otherwise", async () => {
    const { job } = await servers.transfer({ direction: "import" });
    expect(job.state).toBe("failed");
    expect(job.error).toMatch(/experiments of these names already: flights\..*"merge" or "rename"/);
    const { job: second } = await servers.transfer({ direction: "import", experiments: [] });
    expect(second.error).toMatch(/registered models of these names already: late-flights\./);
  });

  it("is merged into on request", async () => {
    const { report } = await servers.transfer({ direction: "import", onConflict: "merge" });
    expect(report).toMatchObject({ runs: { copied: 2 }, versions: { copied: 2 }, renamed: [], skipped: [] });
    expect((await servers.hereClient.registeredModels.get("late-flights"))?.aliases).toHaveLength(1);
  });

  it("makes room for another on request, also the next time", async () => {
    const { report } = await servers.transfer({ direction: "import", onConflict: "rename" });
    expect(report?.renamed).toEqual([
      { kind: "experiment", from: "flights", to: "flights-2" },
      { kind: "registered model", from: "late-flights", to: "late-flights-2" },
    ]);
    const again = await servers.transfer({ direction: "import", onConflict: "rename" });
    expect(again.report).toMatchObject({ runs: { copied: 0, unchanged: 2 }, renamed: [] });
    expect(await servers.hereClient.experiments.getByName("flights-3")).toBeNull();
  });
});

describe("a server that cannot be used", () => {
  it("that refuses the credentials fails the job at once, and says so without them", async () => {
    servers.line.intercept = refuseAll;
    const server = { url: thereUrl, token: "a-very-secret-token" };
    const { job } = await servers.transfer({ direction: "import", server });
    expect(job).toMatchObject({ state: "failed", attempt: 1 });
    expect(job.error).toMatch(/refused the credentials \(401 .*Who are you\?/);
    const { body } = await call(servers.here.app, "GET", `/api/v1/jobs/${job.id}/logs`);
    const rows = await servers.here.database
      .tables<{ transfer: object; job: object }>()
      .selectFrom("transfer")
      .selectAll()
      .execute();
    expect(JSON.stringify([job, body, rows, servers.here.logged])).not.toContain("a-very-secret-token");
  });

  it("that is away is tried again, and then fails the job with the reason", async () => {
    servers.line.intercept = () => {
      throw new TypeError("fetch failed", { cause: new Error("connect ECONNREFUSED") });
    };
    const { id } = await servers.start({ direction: "import" });
    for (let attempt = 0; attempt < 5; attempt++) {
      await servers.here.runner.drain();
      servers.here.clock.advance(600_000);
    }
    const { job } = await servers.get(id);
    expect(job).toMatchObject({ state: "failed", attempt: 5 });
    expect(job.error).toMatch(
      /No answer to POST experiments\/search from http:\/\/localhost:5000: connect ECONNREFUSED/,
    );
  });

  it("that is no MLflow server fails the job with the reason", async () => {
    servers.line.intercept = () => new Response("<html>hello</html>");
    const { job } = await servers.transfer({ direction: "import" });
    expect(job).toMatchObject({ state: "failed", attempt: 1 });
    expect(job.error).toMatch(/no MLflow server/);
  });

  it.each(["ftp://x", "http://u:p@x", "http://x?token=1", "x"])(
    "is refused when its URL is %s",
    async (url) => {
      const answer = await call(servers.here.app, "POST", "/api/v1/transfers", {
        direction: "import",
        server: { url },
      });
      expect(answer.status).toBe(400);
    },
  );
});

describe("the credentials of a transfer", () => {
  const server = { url: thereUrl, username: "ada", password: "a-very-secret-password" };

  it("reach the server, and are deleted when it is done", async () => {
    const seen = new Set<string | null>();
    servers.line.intercept = (request) => {
      seen.add(request.headers.get("authorization"));
      return undefined;
    };
    const { id } = await servers.transfer({ direction: "import", server });
    expect([...seen]).toEqual([`Basic ${btoa("ada:a-very-secret-password")}`]);
    expect(await sealed(id)).toBe("");
  });

  it("are deleted soon after a job that failed, which then asks for them", async () => {
    servers.line.intercept = refuseAll;
    const { id, job } = await servers.transfer({ direction: "import", server });
    expect(await sealed(id)).not.toBe("");
    const timer = servers.timers.find(({ name }) => name === "transfer-credentials");
    await timer?.run();
    expect(await sealed(id)).toBe("");
    await call(servers.here.app, "POST", `/api/v1/jobs/${job.id}/retry`, {});
    await servers.here.runner.drain();
    expect((await servers.get(id)).job.error).toMatch(/Start it again with them/);
  });

  async function sealed(id: string): Promise<string | null> {
    const db = servers.here.database.tables<{
      transfer: { id: string; sealed_credentials: string | null };
    }>();
    const row = await db
      .selectFrom("transfer")
      .select("sealed_credentials")
      .where("id", "=", id)
      .executeTakeFirstOrThrow();
    return row.sealed_credentials;
  }
});

describe("transfers", () => {
  it("are listed, newest first, and one at a time runs between two servers", async () => {
    const first = await servers.transfer({ direction: "import" });
    servers.here.clock.advance(1000);
    const second = await servers.start({ direction: "import" });
    const third = await call(servers.here.app, "POST", "/api/v1/transfers", {
      direction: "import",
      server: { url: `${thereUrl}/` },
    });
    expect(third.status).toBe(409);
    const { body } = await call(servers.here.app, "GET", "/api/v1/transfers");
    expect((body as { items: { id: string }[] }).items.map(({ id }) => id)).toEqual([second.id, first.id]);
  });
});
