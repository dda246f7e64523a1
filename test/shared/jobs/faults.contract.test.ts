import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Database, UncertainChange } from "../../../shared/database/index.ts";
import { unavailable } from "../../../shared/errors.ts";
import type { JobKind } from "../../../shared/jobs/index.ts";
import { databaseCases } from "../../support/databases.ts";
import { ada, endlessWork, type JobGround, jobGround, jobTables, kindOf } from "./ground.ts";

const leaseMs = 30_000;
const away = () => unavailable("The database is not reached.", { fault: "ECONNREFUSED" });
const uncertain = () => new UncertainChange(new Error("Connection terminated unexpectedly"));

describe.each(databaseCases())("jobs whose database fails, on $name", ({ open }) => {
  let database: Database;
  beforeAll(async () => {
    database = await open(jobTables);
  });
  afterAll(() => database.close());
  afterEach(async () => {
    const tables = database.tables<Record<"job" | "job_log" | "queue_message" | "audit_entry", object>>();
    for (const table of ["job", "job_log", "queue_message", "audit_entry"] as const) {
      await tables.deleteFrom(table).execute();
    }
  });
  const ground = (...kinds: JobKind[]): Promise<JobGround> => jobGround(database, kinds);
  const submit = async ({ jobs }: JobGround, kind: JobKind<{ readonly n: number }>) =>
    (await jobs.submit(kind, { n: 1 }, { actor: ada })).id;

  describe("when they end", () => {
    it("keep their result through an outage of ten minutes, and beyond the end of their lease", async () => {
      const work = kindOf(async () => "hours of work");
      const here = await ground(work);
      const id = await submit(here, work);
      const untilMs = here.clock() + 600_000;
      const runner = here.runner({
        pause: async (ms) => here.clock.advance(ms),
        disturb: (store) => ({
          async finish(...end) {
            if (here.clock() < untilMs) throw away();
            return store.finish(...end);
          },
          async heartbeat(...beat) {
            if (here.clock() < untilMs) throw away();
            return store.heartbeat(...beat);
          },
        }),
      });
      await runner.runOne(id);
      expect(await here.jobs.get(id)).toMatchObject({ state: "succeeded", result: "hours of work" });
      expect(here.ended).toHaveLength(1);
    });

    it("keep their lease while only the end is too much for the database", async () => {
      const work = kindOf(async () => "late");
      const here = await ground(work);
      const id = await submit(here, work);
      let taken = 0;
      const other = here.runner();
      const runner = here.runner({
        async pause(ms) {
          here.clock.advance(Math.max(ms, leaseMs / 2));
          if ((await other.runOne(id)) === "ran") taken++;
        },
        disturb: (store) => {
          let faults = 8;
          return {
            async finish(...end) {
              if (faults-- > 0) throw unavailable("The disk is full.", { fault: "SQLITE_FULL" });
              return store.finish(...end);
            },
          };
        },
      });
      await runner.runOne(id);
      expect(taken).toBe(0);
      expect(await here.jobs.get(id)).toMatchObject({ state: "succeeded", attempt: 1, result: "late" });
    });

    it("are written no more when another worker has taken them over meanwhile", async () => {
      const work = kindOf(async ({ attempt }) => `attempt ${attempt}`);
      const here = await ground(work);
      const id = await submit(here, work);
      let isBack = false;
      const runner = here.runner({
        async pause() {
          here.clock.advance(leaseMs + 1);
          await here.runner().runOne(id);
          isBack = true;
        },
        disturb: (store) => ({
          async finish(...end) {
            if (!isBack) throw away();
            return store.finish(...end);
          },
          async heartbeat() {
            throw away();
          },
        }),
      });
      await runner.runOne(id);
      expect(await here.jobs.get(id)).toMatchObject({ state: "succeeded", attempt: 2, result: "attempt 2" });
      expect(here.ended).toHaveLength(1);
    });

    it("are known to have ended when the commit was made and only its answer was lost", async () => {
      const work = kindOf(async () => "done");
      const here = await ground(work);
      const id = await submit(here, work);
      let calls = 0;
      const runner = here.runner({
        pause: async (ms) => here.clock.advance(ms),
        disturb: (store) => ({
          async finish(...end) {
            const written = await store.finish(...end);
            if (++calls === 1) throw uncertain();
            return written;
          },
        }),
      });
      await runner.runOne(id);
      expect(here.ended).toMatchObject([{ jobId: id, state: "succeeded" }]);
    });

    it("do not hold up a server that stops for longer than it waits", async () => {
      const work = kindOf(async () => "never written");
      const here = await ground(work);
      const id = await submit(here, work);
      const waiting = Promise.withResolvers<void>();
      const runner = here.runner({
        pause: (_, signal) =>
          new Promise((resolve) => {
            waiting.resolve();
            signal.addEventListener("abort", () => resolve(), { once: true });
            if (signal.aborted) resolve();
          }),
        disturb: () => ({
          async finish() {
            throw away();
          },
          async heartbeat() {
            throw away();
          },
        }),
      });
      const running = runner.runOne(id);
      const written = expect(running).rejects.toMatchObject({ kind: "unavailable" });
      await waiting.promise;
      await runner.stop(0);
      await written;
      expect(runner.running()).toEqual([]);
    });
  });

  describe("in the middle", () => {
    it("do not count an attempt that met it, though it was the last one, and rest before the next", async () => {
      let isAway = true;
      const ends: boolean[] = [];
      const work = kindOf(
        async ({ isEndedBy }) => {
          ends.push(isEndedBy(away()));
          if (isAway) throw away();
          return "done";
        },
        { maxAttempts: 1 },
      );
      const here = await ground(work);
      const id = await submit(here, work);
      const runner = here.runner();
      for (let outage = 0; outage < 5; outage++) {
        expect(await runner.runOne(id)).toBe("ran");
        expect(await here.jobs.get(id)).toMatchObject({
          state: "queued",
          attempt: 0,
          error: "The database is not reached.",
        });
        expect(await runner.runOne(id)).toBe("not_due");
        here.clock.advance(1_000);
      }
      isAway = false;
      await runner.runOne(id);
      expect(await here.jobs.get(id)).toMatchObject({ state: "succeeded", attempt: 1, error: null });
      expect(ends).toEqual(Array(6).fill(false));
    });

    it("count it when a day has passed, so that a fault that stays ends the job", async () => {
      const work = kindOf(
        async ({ isEndedBy }) => {
          if (isEndedBy(away())) last++;
          throw away();
        },
        { maxAttempts: 1 },
      );
      let last = 0;
      const here = await ground(work);
      const id = await submit(here, work);
      await here.runner().runOne(id);
      here.clock.advance(24 * 3600_000);
      await here.runner().runOne(id);
      expect(await here.jobs.get(id)).toMatchObject({ state: "failed", attempt: 1 });
      expect(last).toBe(1);
    });

    it("write a line once though the commit that wrote it was not answered", async () => {
      const endless = endlessWork();
      const work = kindOf(async (context) => {
        context.log("once");
        return endless.run(context);
      });
      const here = await ground(work);
      const id = await submit(here, work);
      let beats = 0;
      const runner = here.runner({
        disturb: (store) => ({
          async heartbeat(...beat) {
            const held = await store.heartbeat(...beat);
            if (++beats === 1) throw uncertain();
            return held;
          },
        }),
      });
      const running = runner.runOne(id);
      const context = await endless.started;
      await beatUntil(runner, async () => beats > 0);
      context.progress(0.5);
      await beatUntil(runner, async () => (await here.jobs.get(id)).progress === 0.5);
      expect((await here.jobs.logs(id, 0, 10)).map(({ text }) => text)).toEqual(["once"]);
      await here.jobs.cancel(id, ada);
      await running;
    });
  });

  describe("when they are taken", () => {
    it("are run by the process whose claim was made and not answered, without another attempt", async () => {
      const work = kindOf(async ({ attempt }) => attempt);
      const here = await ground(work);
      const id = await submit(here, work);
      let calls = 0;
      const runner = here.runner({
        disturb: (store) => ({
          async claim(...claim) {
            const row = await store.claim(...claim);
            if (++calls === 1) throw uncertain();
            return row;
          },
        }),
      });
      await expect(runner.runOne(id)).rejects.toMatchObject({ kind: "unavailable" });
      expect(await here.runner().runOne(id)).toBe("held_or_ended");
      expect(await runner.runOne(id)).toBe("ran");
      expect(await here.jobs.get(id)).toMatchObject({ state: "succeeded", attempt: 1, result: 1 });
    });

    it("are not taken again by the process that still runs them, though their lease is over", async () => {
      const endless = endlessWork();
      const work = kindOf(endless.run);
      const here = await ground(work);
      const id = await submit(here, work);
      const runner = here.runner();
      const running = runner.runOne(id);
      await endless.started;
      here.clock.advance(leaseMs + 1);
      expect(await runner.runOne(id)).toBe("held_or_ended");
      expect(await here.jobs.get(id)).toMatchObject({ attempt: 1 });
      await here.jobs.cancel(id, ada);
      runner.beat();
      await running;
      expect(runner.running()).toEqual([]);
    });
  });

  describe("and a server that stops", () => {
    it("waits no longer for work that was cancelled before than for other work", async () => {
      const started = Promise.withResolvers<void>();
      const deaf = kindOf(() => {
        started.resolve();
        return new Promise<never>(() => {});
      });
      const here = await ground(deaf);
      const id = await submit(here, deaf);
      const runner = here.runner();
      const running = runner.runOne(id);
      await started.promise;
      await here.jobs.cancel(id, ada);
      await runner.stop(0);
      await running;
      expect(await here.jobs.get(id)).toMatchObject({ state: "cancelled" });
    }, 5_000); // Work that was cancelled has ten seconds.
  });

  it("are there when their submission was committed and only the answer was lost", async () => {
    const work = kindOf(async () => null);
    const here = await ground(work);
    const { store } = here.jobs;
    const { insert } = store;
    store.insert = async (...row) => {
      await insert(...row);
      throw uncertain();
    };
    const job = await here.jobs.submit(work, { n: 1 }, { actor: ada });
    expect(await here.jobs.get(job.id)).toMatchObject({ state: "queued" });
    expect(await here.runner().drain()).toBe(1);
  });
});

async function beatUntil(runner: { beat(): void }, isDone: () => Promise<boolean>): Promise<void> {
  while (!(await isDone())) {
    runner.beat();
    await new Promise((resolve) => setImmediate(resolve));
  }
}
