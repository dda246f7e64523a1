import pino from "pino";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Database } from "../../../shared/database/index.ts";
import type { JobKind } from "../../../shared/jobs/index.ts";
import { removeEndedJobs } from "../../../shared/jobs/retention.ts";
import { createJobRetentionStore, type JobRetentionStore } from "../../../shared/jobs/retention-store.ts";
import { databaseCases } from "../../support/databases.ts";
import { ada, type JobGround, jobGround, jobTables, kindOf } from "./ground.ts";

const dayMs = 86_400_000;
const logger = pino({ level: "silent" });

describe.each(databaseCases())("ended jobs on $name", ({ open }) => {
  let database: Database;
  let store: JobRetentionStore;
  beforeAll(async () => {
    database = await open(jobTables);
    store = createJobRetentionStore(database);
  });
  afterAll(() => database.close());
  const rowsOf = (table: "job" | "job_log") =>
    database.tables<Record<"job" | "job_log", { id: string }>>().selectFrom(table).selectAll().execute();
  afterEach(async () => {
    const tables = database.tables<Record<"job" | "job_log", object>>();
    for (const table of ["job_log", "job"] as const) await tables.deleteFrom(table).execute();
  });

  const talk = async ({ log }: { log(line: string): void }) => log("one\ntwo");
  const disposable = kindOf(talk, { kind: "test.disposable", unneeded: async (ids) => ids });
  const named = kindOf(talk, { kind: "test.named" });
  const failing = kindOf(
    async ({ log }) => {
      log("not this time");
      throw new Error("broken");
    },
    { kind: "test.failing", maxAttempts: 1, unneeded: async (ids) => ids },
  );

  const remove = ({ jobs, clock }: JobGround, beforeMs = clock()) =>
    removeEndedJobs({ store, kinds: jobs.kinds, clock, logger }, beforeMs);
  const ran = async (kind: JobKind<{ readonly n: number }>, count = 1) => {
    const ground = await jobGround(database, [disposable, named, failing]);
    const ids: string[] = [];
    for (let n = 0; n < count; n++) ids.push((await ground.jobs.submit(kind, { n }, { actor: ada })).id);
    await ground.runner().drain();
    ground.clock.advance(dayMs);
    return { ground, ids };
  };

  it("go with their log lines once they are old enough, and not before", async () => {
    const { ground, ids } = await ran(disposable, 210);
    expect(await remove(ground, ground.clock() - dayMs)).toEqual({ jobs: 0, lines: 0 });
    const young = await ground.jobs.submit(disposable, { n: 1 }, { actor: ada });
    expect(await remove(ground)).toEqual({ jobs: ids.length, lines: 2 * ids.length });
    expect((await rowsOf("job")).map(({ id }) => id)).toEqual([young.id]);
    expect(await rowsOf("job_log")).toEqual([]);
  });

  it("stay without their lines where rows of others are shown by them", async () => {
    const { ground, ids } = await ran(named);
    expect(await remove(ground)).toEqual({ jobs: 0, lines: 2 });
    expect(await ground.jobs.get(ids[0] ?? "")).toMatchObject({ state: "succeeded" });
    expect(await remove(ground)).toEqual({ jobs: 0, lines: 0 });
  });

  it("stay where their kind is not known here, as another version's may be", async () => {
    const { ids } = await ran(disposable);
    const ignorant = await jobGround(database, []);
    ignorant.clock.advance(2 * dayMs);
    expect(await remove(ignorant)).toMatchObject({ jobs: 0 });
    expect((await rowsOf("job")).map(({ id }) => id)).toEqual(ids);
  });

  it("stay when somebody tries them again between the look and the removal", async () => {
    const retried: JobKind = {
      ...failing,
      async unneeded(ids) {
        for (const id of ids) await ground.jobs.retry(id, ada);
        return ids;
      },
    };
    const { ground, ids } = await ran(failing);
    const kinds = new Map([[retried.kind, retried]]);
    const options = { store, kinds, clock: ground.clock, logger };
    expect(await removeEndedJobs(options, ground.clock())).toMatchObject({ jobs: 0 });
    expect(await ground.jobs.get(ids[0] ?? "")).toMatchObject({ state: "queued" });
  });

  it("are never without a row while lines of theirs are left: a crash in between is made good by the next round", async () => {
    const { ground } = await ran(disposable, 3);
    const dying = {
      ...store,
      async deleteLines(ids: readonly string[], beforeMs: number) {
        await store.deleteLines(ids, beforeMs, 3);
        throw new Error("killed");
      },
    };
    const options = { kinds: ground.jobs.kinds, clock: ground.clock, logger };
    await expect(removeEndedJobs({ ...options, store: dying }, ground.clock())).rejects.toThrow("killed");
    expect(await rowsOf("job")).toHaveLength(3);
    expect(await remove(ground)).toEqual({ jobs: 3, lines: 3 });
  });

  it("are removed once when two instances do it at the same moment", async () => {
    const { ground } = await ran(disposable, 60);
    const removed = await Promise.all([remove(ground), remove(ground)]);
    expect(removed.reduce((sum, { jobs }) => sum + jobs, 0)).toBe(60);
    expect(removed.reduce((sum, { lines }) => sum + lines, 0)).toBe(120);
  });

  it("are removed by the timer after the configured days, and never without such a setting", async () => {
    const { ground } = await ran(disposable);
    const timer = ground.jobs.timers.find(({ name }) => name === "jobs-retention");
    ground.clock.advance(1000 * dayMs);
    await timer?.run();
    expect(await rowsOf("job")).toHaveLength(1);
    const keeping = await jobGround(database, [disposable], ground.clock, { retentionDays: 30 });
    await keeping.jobs.timers.find(({ name }) => name === "jobs-retention")?.run();
    expect(await rowsOf("job")).toEqual([]);
  });
});
