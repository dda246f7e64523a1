import type { Transaction } from "kysely";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Database } from "../../../shared/database/index.ts";
import { conflict, invalid, notFound, tooLarge, unavailable, unsupported } from "../../../shared/errors.ts";
import type { Job, JobKind, SubmitOptions } from "../../../shared/jobs/index.ts";
import { databaseCases } from "../../support/databases.ts";
import { ada, endlessWork, type JobGround, jobGround, jobTables, kindOf } from "./ground.ts";

const leaseMs = 30_000;

describe.each(databaseCases())("jobs on $name", ({ open }) => {
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

  describe("that run", () => {
    it("are handed their spec and end with their result, at once known as done", async () => {
      const double = kindOf(async ({ spec }) => ({ doubled: spec.n * 2 }));
      const { jobs, clock, runner, ended } = await ground(double);
      const submitted = await jobs.submit(double, { n: 21 }, { actor: ada });
      expect(submitted).toMatchObject({ state: "queued", attempt: 0, createdBy: "ada", result: null });
      clock.advance(500);
      expect(await runner().runOne(submitted.id)).toBe("ran");
      expect(await jobs.get(submitted.id)).toMatchObject({
        state: "succeeded",
        result: { doubled: 42 },
        error: null,
        attempt: 1,
        progress: 1,
        startedMs: submitted.createdMs + 500,
        endedMs: submitted.createdMs + 500,
      });
      expect(ended).toMatchObject([{ jobId: submitted.id, state: "succeeded", waitedMs: 500, attempts: 1 }]);
    });

    it("know who asked for them and which attempt it is", async () => {
      const tell = kindOf(async ({ actor, attempt, jobId }) => ({ actor, attempt, jobId }));
      const { jobs, runner } = await ground(tell);
      const { id } = await jobs.submit(tell, { n: 1 }, { actor: ada });
      await runner().drain();
      expect((await jobs.get(id)).result).toEqual({ actor: ada, attempt: 1, jobId: id });
    });

    it("run once each, however many runners race for them", async () => {
      const runs = new Map<number, number>();
      const count = kindOf(async ({ spec }) => {
        runs.set(spec.n, (runs.get(spec.n) ?? 0) + 1);
        await Promise.resolve();
      });
      const { jobs, runner } = await ground(count);
      const submitted: Job[] = [];
      for (let n = 0; n < 50; n++) submitted.push(await jobs.submit(count, { n }, { actor: ada }));
      const attempts = await Promise.all([runner().drain(), runner().drain()]);
      expect(attempts[0] + attempts[1]).toBe(50);
      expect([...runs.values()]).toEqual(Array(50).fill(1));
      expect((await jobs.list({ state: "succeeded" }, undefined, 100)).length).toBe(50);
    });

    it("do not start before their delay is over", async () => {
      const work = kindOf(async () => null);
      const { jobs, runner, clock } = await ground(work);
      const { id } = await jobs.submit(work, { n: 1 }, { actor: ada, delayMs: 60_000 });
      expect(await runner().runOne(id)).toBe("not_due");
      expect(await runner().drain()).toBe(0);
      clock.advance(60_000);
      expect(await runner().drain()).toBe(1);
    });

    it("wait for an instance that knows their kind", async () => {
      const work = kindOf(async () => null);
      const knowing = await jobGround(database, [work]);
      const ignorant = await jobGround(database, [], knowing.clock);
      const { id } = await knowing.jobs.submit(work, { n: 1 }, { actor: ada });
      expect(await ignorant.runner().runOne(id)).toBe("unknown_kind");
      expect(await ignorant.runner().drain()).toBe(0);
      expect(await knowing.runner().drain()).toBe(1);
    });

    it("tell their progress and log with the heartbeat", async () => {
      const endless = endlessWork();
      const work = kindOf(endless.run);
      const { jobs, runner } = await ground(work);
      const { id } = await jobs.submit(work, { n: 1 }, { actor: ada });
      const worker = runner();
      const running = worker.runOne(id);
      const context = await endless.started;
      context.log("reading\nfitting");
      context.progress(0.4, "tree 40 of 100");
      await untilHeard(jobs, id, (job) => job.progress === 0.4, worker);
      expect(await jobs.get(id)).toMatchObject({ state: "running", progressMessage: "tree 40 of 100" });
      expect(await jobs.logs(id, 0, 10)).toMatchObject([
        { line: 1, attempt: 1, text: "reading" },
        { line: 2, attempt: 1, text: "fitting" },
      ]);
      expect(await jobs.logs(id, 1, 10)).toMatchObject([{ line: 2 }]);
      await jobs.cancel(id, ada);
      await running;
    });

    it("keep so many lines of a log that a loop cannot fill the database, and say what is left out", async () => {
      const chatty = kindOf(async ({ log, progress }) => {
        log(`${"long".repeat(1000)}\u0000`);
        for (let line = 0; line < 30_000; line++) log(`line ${line}`);
        progress(Number.NaN);
        progress(7, "over the top");
      });
      const { jobs, runner } = await ground(chatty);
      const { id } = await jobs.submit(chatty, { n: 1 }, { actor: ada });
      await runner().drain();
      const lines = await jobs.logs(id, 0, 100_000);
      expect(lines[0]?.text).toHaveLength(2000);
      expect(lines).toHaveLength(2001);
      expect(lines.at(-1)?.text).toBe("… lines are left out here: too many came at once");
      expect(await jobs.get(id)).toMatchObject({ state: "succeeded", progressMessage: "over the top" });
    });

    it("keep the lines of one job to twenty thousand", async () => {
      const endless = endlessWork();
      const work = kindOf(endless.run);
      const { jobs, runner } = await ground(work);
      const { id } = await jobs.submit(work, { n: 1 }, { actor: ada });
      const worker = runner();
      const running = worker.runOne(id);
      const { log, progress } = await endless.started;
      for (let beat = 1; beat <= 11; beat++) {
        for (let line = 0; line < 2_000; line++) log("again");
        progress(beat / 100);
        await untilHeard(jobs, id, (job) => job.progress === beat / 100, worker);
      }
      await jobs.cancel(id, ada);
      await running;
      const lines = await jobs.logs(id, 19_990, 100);
      expect(lines.at(-1)).toMatchObject({ line: 20_000, text: "… further lines are not kept" });
    });
  });

  describe("that fail", () => {
    it("are tried again after a pause that grows, and in the end have failed", async () => {
      const flaky = kindOf(async ({ attempt }) => {
        throw unavailable(`the store is away (${attempt})`);
      });
      const { jobs, runner, clock, ended } = await ground(flaky);
      const { id } = await jobs.submit(flaky, { n: 1 }, { actor: ada });
      const worker = runner();
      expect(await worker.drain()).toBe(1);
      expect(await jobs.get(id)).toMatchObject({
        state: "queued",
        attempt: 1,
        error: "the store is away (1)",
      });
      clock.advance(4_999);
      expect(await worker.drain()).toBe(0);
      clock.advance(1);
      expect(await worker.drain()).toBe(1);
      clock.advance(19_999);
      expect(await worker.drain()).toBe(0);
      clock.advance(1);
      expect(await worker.drain()).toBe(1);
      expect(await jobs.get(id)).toMatchObject({
        state: "failed",
        attempt: 3,
        error: "the store is away (3)",
      });
      expect((await jobs.logs(id, 0, 10)).map((line) => line.text)).toEqual([
        "Attempt 1 failed: the store is away (1) Trying again in 5 s.",
        "Attempt 2 failed: the store is away (2) Trying again in 20 s.",
      ]);
      expect(ended).toMatchObject([{ state: "failed", attempts: 3 }]);
    });

    it("succeed when a later attempt does, without the old error", async () => {
      const flaky = kindOf(async ({ attempt }) => {
        if (attempt === 1) throw new Error("once");
        return "twice";
      });
      const { jobs, runner, clock } = await ground(flaky);
      const { id } = await jobs.submit(flaky, { n: 1 }, { actor: ada });
      await runner().drain();
      clock.advance(5_000);
      await runner().drain();
      expect(await jobs.get(id)).toMatchObject({
        state: "succeeded",
        attempt: 2,
        error: null,
        result: "twice",
      });
    });

    it.each([
      invalid("n is wrong"),
      notFound("no such dataset"),
      conflict("it exists"),
      unsupported("no such trainer"),
      tooLarge("too many rows"),
    ])("are not tried again when the error is $kind", async (error) => {
      const hopeless = kindOf(async () => {
        throw error;
      });
      const { jobs, runner } = await ground(hopeless);
      const { id } = await jobs.submit(hopeless, { n: 1 }, { actor: ada });
      await runner().drain();
      expect(await jobs.get(id)).toMatchObject({ state: "failed", attempt: 1, error: error.message });
    });

    it("are tried as often as their kind says", async () => {
      const once = kindOf(
        async () => {
          throw new Error("no");
        },
        { maxAttempts: 1 },
      );
      const { jobs, runner } = await ground(once);
      const { id } = await jobs.submit(once, { n: 1 }, { actor: ada });
      await runner().drain();
      expect(await jobs.get(id)).toMatchObject({ state: "failed", attempt: 1, maxAttempts: 1 });
    });

    it("have a time limit, after which the work is told to stop", async () => {
      const endless = endlessWork();
      const slow = kindOf(endless.run, { timeoutMs: 10_000, maxAttempts: 1 });
      const { jobs, runner, clock } = await ground(slow);
      const { id } = await jobs.submit(slow, { n: 1 }, { actor: ada });
      const worker = runner();
      const running = worker.runOne(id);
      const { signal } = await endless.started;
      clock.advance(9_999);
      worker.beat();
      expect(signal.aborted).toBe(false);
      clock.advance(1);
      worker.beat();
      await running;
      expect(await jobs.get(id)).toMatchObject({
        state: "failed",
        error: "It was not done within 10 s, the limit of test.work.",
      });
    });

    it("say why without the secrets that an error or a line of the log mentions", async () => {
      const leaky = kindOf(async ({ log }) => {
        log("fetching https://a.example/c/b?sig=abcdefghijklmnop");
        throw invalid("GET https://a.example/c/b?sig=abcdefghijklmnop answered 403");
      });
      const { jobs, runner } = await ground(leaky);
      const { id } = await jobs.submit(leaky, { n: 1 }, { actor: ada });
      await runner().drain();
      const told = JSON.stringify([await jobs.get(id), await jobs.logs(id, 0, 10)]);
      expect(told).toContain("answered 403");
      expect(told).not.toContain("abcdefghijklmnop");
    });

    it("do so when their result is too large for a row", async () => {
      const large = kindOf(async () => "x".repeat(2 * 1024 ** 2));
      const { jobs, runner } = await ground(large);
      const { id } = await jobs.submit(large, { n: 1 }, { actor: ada });
      await runner().drain();
      expect(await jobs.get(id)).toMatchObject({ state: "failed", result: null });
    });

    it("can be tried again by hand, with the attempts of their kind", async () => {
      let broken = true;
      const work = kindOf(async ({ attempt }) => {
        if (broken) throw invalid("broken");
        return attempt;
      });
      const { jobs, runner, audit } = await ground(work);
      const { id } = await jobs.submit(work, { n: 1 }, { actor: ada });
      await runner().drain();
      broken = false;
      expect(await jobs.retry(id, ada)).toMatchObject({ state: "queued", error: null, endedMs: null });
      await runner().drain();
      expect(await jobs.get(id)).toMatchObject({ state: "succeeded", result: 2, attempt: 2, maxAttempts: 4 });
      await expect(jobs.retry(id, ada)).rejects.toMatchObject({ kind: "conflict" });
      expect(
        (await audit.list({ subject: `job/${id}` }, undefined, 10)).map((entry) => entry.action),
      ).toEqual(["job.retry", "job.submit"]);
    });
  });

  describe("that are cancelled", () => {
    it("never start when they were still queued", async () => {
      const work = kindOf(async () => "ran");
      const { jobs, runner, ended } = await ground(work);
      const { id } = await jobs.submit(work, { n: 1 }, { actor: ada });
      expect(await jobs.cancel(id, ada, "wrong data")).toMatchObject({
        state: "cancelled",
        error: "Cancelled by Ada: wrong data",
      });
      expect(await runner().drain()).toBe(0);
      expect(ended).toMatchObject([{ state: "cancelled", attempts: 0, durationMs: 0 }]);
      expect(await jobs.cancel(id, ada)).toMatchObject({ state: "cancelled" });
    });

    it("are told so at once by the process that runs them", async () => {
      const endless = endlessWork();
      const work = kindOf(endless.run);
      const { jobs, runner } = await ground(work);
      const { id } = await jobs.submit(work, { n: 1 }, { actor: ada });
      const running = runner().runOne(id);
      const { signal } = await endless.started;
      await jobs.cancel(id, ada);
      expect(signal.reason).toMatchObject({ name: "JobInterruption", why: "cancelled" });
      await running;
      expect(await jobs.get(id)).toMatchObject({
        state: "cancelled",
        error: "Cancelled by Ada.",
        attempt: 1,
      });
    });

    it("hear of it with their heartbeat when another process was asked", async () => {
      const endless = endlessWork();
      const work = kindOf(endless.run);
      const here = await jobGround(database, [work]);
      const there = await jobGround(database, [work], here.clock);
      const { id } = await here.jobs.submit(work, { n: 1 }, { actor: ada });
      const worker = here.runner();
      const running = worker.runOne(id);
      const { signal } = await endless.started;
      expect(await there.jobs.cancel(id, ada)).toMatchObject({ state: "running" });
      expect(signal.aborted).toBe(false);
      here.clock.advance(leaseMs / 3);
      worker.beat();
      await running;
      expect(await there.jobs.get(id)).toMatchObject({ state: "cancelled" });
    });

    it("are not run again when the server that ran them was stopping at that moment", async () => {
      const endless = endlessWork();
      const work = kindOf(endless.run);
      const here = await ground(work);
      const there = await jobGround(database, [work], here.clock);
      const { id } = await here.jobs.submit(work, { n: 1 }, { actor: ada });
      const worker = here.runner();
      const running = worker.runOne(id);
      await endless.started;
      await there.jobs.cancel(id, ada, "enough");
      await worker.stop();
      await running;
      expect(await here.jobs.get(id)).toMatchObject({
        state: "cancelled",
        error: "Cancelled by Ada: enough",
        endedMs: here.clock(),
      });
      expect(here.ended).toMatchObject([{ state: "cancelled" }]);
    });

    it("are cancelled even if their worker went away", async () => {
      const endless = endlessWork();
      const work = kindOf(endless.run);
      const { jobs, runner, clock } = await ground(work);
      const { id } = await jobs.submit(work, { n: 1 }, { actor: ada });
      const gone = runner();
      const losing = gone.runOne(id);
      await endless.started;
      clock.advance(leaseMs + 1);
      expect(await jobs.cancel(id, ada)).toMatchObject({ state: "cancelled" });
      gone.beat();
      await losing;
    });

    it("cannot be cancelled once they have ended", async () => {
      const work = kindOf(async () => null);
      const { jobs, runner } = await ground(work);
      const { id } = await jobs.submit(work, { n: 1 }, { actor: ada });
      await runner().drain();
      await expect(jobs.cancel(id, ada)).rejects.toMatchObject({ kind: "conflict" });
    });

    it("need the role of their kind for it", async () => {
      const work = kindOf(async () => null, { role: "operator" });
      const { jobs } = await ground(work);
      await expect(jobs.submit(work, { n: 1 }, { actor: ada })).rejects.toMatchObject({ kind: "forbidden" });
      const olga = { ...ada, id: "olga", role: "operator" } as const;
      const { id } = await jobs.submit(work, { n: 1 }, { actor: olga });
      await expect(jobs.cancel(id, ada)).rejects.toMatchObject({ kind: "forbidden" });
    });
  });

  describe("whose worker goes away", () => {
    it("are taken up by another once the lease is over, and the first can write no more", async () => {
      const first = endlessWork();
      let attempts = 0;
      const work = kindOf(async (context) => {
        attempts++;
        return context.attempt === 1 ? first.run(context) : "by the second";
      });
      const { jobs, runner, clock } = await ground(work);
      const { id } = await jobs.submit(work, { n: 1 }, { actor: ada });
      const lost = runner();
      const losing = lost.runOne(id);
      const context = await first.started;
      clock.advance(leaseMs);
      expect(await runner().runOne(id)).toBe("held_or_ended");
      clock.advance(1);
      expect(await runner().runOne(id)).toBe("ran");
      expect(await jobs.get(id)).toMatchObject({ state: "succeeded", result: "by the second", attempt: 2 });
      context.log("too late");
      context.progress(0.1);
      lost.beat();
      await losing;
      expect(context.signal.reason).toMatchObject({ why: "lease_lost" });
      expect(await jobs.get(id)).toMatchObject({ state: "succeeded", result: "by the second", progress: 1 });
      expect(await jobs.logs(id, 0, 10)).toEqual([]);
      expect(attempts).toBe(2);
    });

    it("do not count a result that comes after the lease was lost", async () => {
      let finish: (result: string) => void = () => {};
      const slow = kindOf(({ attempt }) =>
        attempt === 1
          ? new Promise<string>((resolve) => {
              finish = resolve;
            })
          : Promise.resolve("second"),
      );
      const { jobs, runner, clock, ended } = await ground(slow);
      const { id } = await jobs.submit(slow, { n: 1 }, { actor: ada });
      const losing = runner().runOne(id);
      await untilHeard(jobs, id, (job) => job.state === "running");
      clock.advance(leaseMs + 1);
      await runner().runOne(id);
      finish("first");
      await losing;
      expect(await jobs.get(id)).toMatchObject({ state: "succeeded", result: "second" });
      expect(ended).toHaveLength(1);
    });

    it("keep a lease that is renewed in time", async () => {
      const endless = endlessWork();
      const work = kindOf(endless.run);
      const { jobs, runner, clock } = await ground(work);
      const { id } = await jobs.submit(work, { n: 1 }, { actor: ada });
      const worker = runner();
      const running = worker.runOne(id);
      const { progress } = await endless.started;
      for (const done of [0.1, 0.2, 0.3]) {
        clock.advance(leaseMs - 1);
        progress(done);
        await untilHeard(jobs, id, (job) => job.progress === done, worker);
        expect(await runner().runOne(id)).toBe("held_or_ended");
      }
      await jobs.cancel(id, ada);
      await running;
    });

    it("have failed after as many workers as attempts, so that a job that kills its process ends", async () => {
      const { jobs, runner, clock, ended } = await ground(kindOf(() => new Promise<never>(() => {})));
      const kind = jobs.kinds.get("test.work") as JobKind;
      const { id } = await jobs.submit(kind, { n: 1 }, { actor: ada });
      for (let attempt = 1; attempt <= 3; attempt++) {
        void runner().runOne(id);
        await untilHeard(jobs, id, (job) => job.attempt === attempt);
        clock.advance(leaseMs + 1);
      }
      expect(await runner().runOne(id)).toBe("held_or_ended");
      await jobs.sweep();
      expect(await jobs.get(id)).toMatchObject({
        state: "failed",
        attempt: 3,
        error: "The process that ran it went away each time it was tried.",
      });
      expect(ended).toMatchObject([{ jobId: id, state: "failed" }]);
    });

    it("are given back by a stop at once, without losing an attempt", async () => {
      const endless = endlessWork();
      const work = kindOf((context) => (context.attempt === 1 && !stopped ? endless.run(context) : done()));
      let stopped = false;
      const done = async () => "after the restart";
      const { jobs, runner } = await ground(work);
      const { id } = await jobs.submit(work, { n: 1 }, { actor: ada });
      const worker = runner();
      const running = worker.runOne(id);
      const { signal } = await endless.started;
      stopped = true;
      await worker.stop();
      expect(await running).toBe("ran");
      expect(signal.reason).toMatchObject({ why: "stopping" });
      expect(await jobs.get(id)).toMatchObject({ state: "queued", attempt: 0, error: null });
      expect(await runner().drain()).toBe(1);
      expect(await jobs.get(id)).toMatchObject({
        state: "succeeded",
        attempt: 1,
        result: "after the restart",
      });
    });

    it("are given back even when the work does not listen", async () => {
      const deaf = kindOf(() => new Promise<never>(() => {}));
      const { jobs, runner } = await ground(deaf);
      const { id } = await jobs.submit(deaf, { n: 1 }, { actor: ada });
      const worker = runner();
      const running = worker.runOne(id);
      await untilHeard(jobs, id, (job) => job.state === "running");
      await worker.stop(0);
      await running;
      expect(await jobs.get(id)).toMatchObject({ state: "queued", attempt: 0 });
    });
  });

  describe("that leave something behind", () => {
    /** A kind whose work never ends by itself, and that says what it was asked to put right. */
    const careful = (fault?: () => Error | undefined) => {
      const asked: { readonly jobId: string; readonly reason: string; readonly state: string }[] = [];
      const endless = endlessWork();
      const context: { jobs?: JobGround["jobs"] } = {};
      const kind = kindOf(endless.run, {
        maxAttempts: 1,
        async putRight({ jobId, reason }) {
          asked.push({ jobId, reason, state: (await context.jobs?.get(jobId))?.state ?? "gone" });
          const error = fault?.();
          if (error !== undefined) throw error;
        },
      });
      return { asked, endless, context, kind };
    };
    const lost = async (fault?: () => Error | undefined) => {
      const { asked, endless, context, kind } = careful(fault);
      const here = await ground(kind);
      context.jobs = here.jobs;
      const { id } = await here.jobs.submit(kind, { n: 1 }, { actor: ada });
      const gone = here.runner();
      const losing = gone.runOne(id);
      await endless.started;
      here.clock.advance(leaseMs + 1);
      const end = () => {
        gone.beat();
        return losing;
      };
      return { ...here, asked, id, end };
    };

    it("are put right before they have ended, when their last worker went away", async () => {
      const { jobs, asked, id, end, ended } = await lost();
      await jobs.sweep();
      const { state, error } = await jobs.get(id);
      expect(state).toBe("failed");
      expect(asked).toEqual([{ jobId: id, reason: error, state: "running" }]);
      await end();
      expect(ended).toHaveLength(1);
    });

    it("are put right by a later sweep when the first one could not, and have not ended before", async () => {
      let isAway = true;
      const { jobs, asked, id, end } = await lost(() => (isAway ? unavailable("away") : undefined));
      await jobs.sweep();
      expect(await jobs.get(id)).toMatchObject({ state: "running" });
      isAway = false;
      await jobs.sweep();
      expect(await jobs.get(id)).toMatchObject({ state: "failed" });
      expect(asked).toHaveLength(2);
      await end();
    });

    it("end all the same when that can never be put right", async () => {
      const { jobs, id, end } = await lost(() => new Error("a mistake of ours"));
      await jobs.sweep();
      expect(await jobs.get(id)).toMatchObject({ state: "failed" });
      await end();
    });

    it("are put right when they are cancelled, whether somebody runs them or not", async () => {
      const { jobs, asked, id, end } = await lost();
      await jobs.cancel(id, ada, "enough");
      expect(asked).toMatchObject([{ reason: "Cancelled by Ada: enough" }]);
      await end();
      const other = careful();
      const here = await ground(other.kind);
      const job = await here.jobs.submit(other.kind, { n: 1 }, { actor: ada });
      const running = here.runner().runOne(job.id);
      await other.endless.started;
      await here.jobs.cancel(job.id, ada, "enough");
      await running;
      expect(other.asked).toMatchObject([{ jobId: job.id, reason: "Cancelled by Ada: enough" }]);
    });

    it("are left alone when they succeed, or are tried again", async () => {
      const asked: string[] = [];
      const flaky = kindOf(
        async ({ attempt }) => {
          if (attempt === 1) throw new Error("the first time");
        },
        { putRight: async ({ reason }) => void asked.push(reason) },
      );
      const { jobs, runner, clock } = await ground(flaky);
      const { id } = await jobs.submit(flaky, { n: 1 }, { actor: ada });
      await runner().drain();
      clock.advance(60_000);
      await runner().drain();
      expect(await jobs.get(id)).toMatchObject({ state: "succeeded", attempt: 2 });
      expect(asked).toEqual([]);
    });
  });

  describe("and messages", () => {
    it("are woken by one message each, sent after the job is stored", async () => {
      const work = kindOf(async () => null);
      const { jobs, queue } = await ground(work);
      const { id } = await jobs.submit(work, { n: 1 }, { actor: ada });
      const messages = await queue.receive("ketline-jobs", { max: 10, visibilityMs: 1000 });
      expect(messages.map((message) => message.body)).toEqual([id]);
    });

    it("are stored though no message can be sent, and the sweep wakes them", async () => {
      const work = kindOf(async () => null);
      const { jobs, queue, clock } = await jobGround(database, [work]);
      const { id } = await jobs.submit(work, { n: 1 }, { actor: ada });
      await database.tables<{ queue_message: object }>().deleteFrom("queue_message").execute();
      expect(await jobs.sweep()).toBe(0);
      clock.advance(60_001);
      expect(await jobs.sweep()).toBe(1);
      expect(
        (await queue.receive("ketline-jobs", { max: 10, visibilityMs: 1000 })).map(({ body }) => body),
      ).toEqual([id]);
      expect(await jobs.sweep()).toBe(0);
    });

    it("are woken once when their worker went away, by whichever sweep comes first", async () => {
      const endless = endlessWork();
      const work = kindOf(endless.run);
      const { jobs, runner, clock } = await ground(work);
      const { id } = await jobs.submit(work, { n: 1 }, { actor: ada });
      const gone = runner();
      const losing = gone.runOne(id);
      await endless.started;
      clock.advance(leaseMs + 1);
      const woken = await Promise.all([jobs.sweep(), jobs.sweep()]);
      expect(woken.toSorted()).toEqual([0, 1]);
      await jobs.cancel(id, ada);
      gone.beat();
      await losing;
    });
  });

  it("have failed when no instance could start them, unless somebody holds them", async () => {
    const endless = endlessWork();
    const work = kindOf(endless.run);
    const { jobs, runner, ended } = await ground(work);
    const worker = runner();
    const { id } = await jobs.submit(work, { n: 1 }, { actor: ada });
    const running = worker.runOne(id);
    await endless.started;
    expect(await worker.giveUp(id, "no instance could start it")).toBe(false);
    await jobs.cancel(id, ada);
    await running;
    expect(await worker.giveUp(id, "no instance could start it")).toBe(false);
    const waiting = await jobs.submit(work, { n: 2 }, { actor: ada });
    expect(await worker.giveUp(waiting.id, "no instance could start it")).toBe(true);
    expect(await jobs.get(waiting.id)).toMatchObject({
      state: "failed",
      error: "no instance could start it",
    });
    expect(ended.map((event) => event.state)).toEqual(["cancelled", "failed"]);
  });

  describe("and a runner that follows the queue", () => {
    it("are run as they come, no more at a time than it may, and leave no message behind", async () => {
      let now = 0;
      let most = 0;
      const work = kindOf(async () => {
        most = Math.max(most, ++now);
        await new Promise((resolve) => setImmediate(resolve));
        now--;
      });
      const { jobs, queue, runner } = await ground(work);
      const worker = runner({ concurrency: 3 });
      worker.start();
      const submitted: Job[] = [];
      for (let n = 0; n < 12; n++) submitted.push(await jobs.submit(work, { n }, { actor: ada }));
      for (const { id } of submitted) await untilHeard(jobs, id, (job) => job.state === "succeeded");
      await worker.stop();
      expect(most).toBeLessThanOrEqual(3);
      expect(await queue.depth("ketline-jobs")).toBe(0);
      expect(worker.running()).toEqual([]);
    });

    it("are found by its first sweep when no message tells of them", async () => {
      const work = kindOf(async () => null);
      const { jobs, runner, clock } = await ground(work);
      const { id } = await jobs.submit(work, { n: 1 }, { actor: ada });
      await database.tables<{ queue_message: object }>().deleteFrom("queue_message").execute();
      clock.advance(1);
      const worker = runner();
      worker.start();
      await untilHeard(jobs, id, (job) => job.state === "succeeded");
      await worker.stop();
    });

    it("are interrupted by its stop and run by its next start", async () => {
      const endless = endlessWork();
      let stopped = false;
      const work = kindOf((context) => (stopped ? Promise.resolve("done") : endless.run(context)));
      const { jobs, runner } = await ground(work);
      const { id } = await jobs.submit(work, { n: 1 }, { actor: ada });
      const worker = runner();
      worker.start();
      await endless.started;
      stopped = true;
      await worker.stop();
      expect(await jobs.get(id)).toMatchObject({ state: "queued", attempt: 0 });
      worker.start();
      await untilHeard(jobs, id, (job) => job.state === "succeeded");
      await worker.stop();
    });
  });

  describe("with an idempotency key", () => {
    it("are one job, however often and however concurrently they are submitted", async () => {
      const work = kindOf(async () => null);
      const { jobs, runner, audit } = await ground(work);
      const submitted = await Promise.all(
        Array.from({ length: 20 }, (_, n) =>
          jobs.submit(work, { n }, { actor: ada, idempotencyKey: "nightly-2026-01-05" }),
        ),
      );
      expect(new Set(submitted.map((job) => job.id)).size).toBe(1);
      expect(await runner().drain()).toBe(1);
      const again = await jobs.submit(work, { n: 1 }, { actor: ada, idempotencyKey: "nightly-2026-01-05" });
      expect(again).toMatchObject({ id: submitted[0]?.id, state: "succeeded" });
      expect(await audit.list({ action: "job.submit" }, undefined, 10)).toHaveLength(1);
    });

    it("are told apart by their kind", async () => {
      const one = kindOf(async () => null);
      const other = kindOf(async () => null, { kind: "test.other" });
      const { jobs } = await ground(one, other);
      const first = await jobs.submit(one, { n: 1 }, { actor: ada, idempotencyKey: "k" });
      const second = await jobs.submit(other, { n: 1 }, { actor: ada, idempotencyKey: "k" });
      expect(second.id).not.toBe(first.id);
    });

    it("are refused when the key is empty or unprintable", async () => {
      const work = kindOf(async () => null);
      const { jobs } = await ground(work);
      for (const idempotencyKey of ["", "a\nb", "k".repeat(201)]) {
        await expect(jobs.submit(work, { n: 1 }, { actor: ada, idempotencyKey })).rejects.toMatchObject({
          kind: "invalid",
        });
      }
    });
  });

  describe("that are written alongside a row which names them", () => {
    interface Tables {
      thing: { job_id: string; created_ms: number };
    }
    beforeAll(async () => {
      await database
        .tables<unknown>()
        .schema.createTable("thing")
        .addColumn("job_id", "text")
        .addColumn("created_ms", "bigint")
        .execute();
    });
    afterEach(async () => {
      await database.tables<Tables>().deleteFrom("thing").execute();
    });
    const things = () => database.tables<Tables>().selectFrom("thing").selectAll().execute();
    const writing: SubmitOptions["alongside"] = async (transaction, { id, createdMs }) => {
      const trx = transaction as unknown as Transaction<Tables>;
      await trx.insertInto("thing").values({ job_id: id, created_ms: createdMs }).execute();
    };

    it("are there with it", async () => {
      const work = kindOf(async () => null);
      const { jobs, runner } = await ground(work);
      const job = await jobs.submit(work, { n: 1 }, { actor: ada, alongside: writing });
      expect(await things()).toEqual([{ job_id: job.id, created_ms: job.createdMs }]);
      expect(await runner().drain()).toBe(1);
    });

    it("are not there, nor woken, nor in the audit log, when it cannot be written", async () => {
      const work = kindOf(async () => null);
      const { jobs, queue, audit } = await ground(work);
      const alongside: SubmitOptions["alongside"] = async (transaction, job) => {
        await writing(transaction, job);
        throw conflict("Another one has the name.");
      };
      await expect(jobs.submit(work, { n: 1 }, { actor: ada, alongside })).rejects.toMatchObject({
        kind: "conflict",
      });
      expect(await things()).toEqual([]);
      expect(await jobs.list({}, undefined, 10)).toEqual([]);
      expect(await queue.receive("ketline-jobs", { max: 10, visibilityMs: 1000 })).toEqual([]);
      expect(await audit.list({}, undefined, 10)).toEqual([]);
    });

    it("have one row where a key gave one job to many", async () => {
      const work = kindOf(async () => null);
      const { jobs } = await ground(work);
      const submission = { actor: ada, idempotencyKey: "nightly", alongside: writing };
      const submitted = await Promise.all(
        Array.from({ length: 10 }, (_, n) => jobs.submit(work, { n }, submission)),
      );
      expect(new Set(submitted.map(({ id }) => id)).size).toBe(1);
      expect(await things()).toHaveLength(1);
    });
  });

  it("are refused when their spec is wrong, naming the field", async () => {
    const work = kindOf(async () => null);
    const { jobs } = await ground(work);
    const spec = { n: "many" } as unknown as { n: number };
    await expect(jobs.submit(work, spec, { actor: ada })).rejects.toMatchObject({
      kind: "invalid",
      details: { field: "n" },
    });
  });

  it("are listed newest first, by kind and state, page after page", async () => {
    const one = kindOf(async () => null);
    const other = kindOf(async () => null, { kind: "test.other" });
    const { jobs, clock } = await ground(one, other);
    const ids: string[] = [];
    for (let n = 0; n < 6; n++) {
      if (n % 2 === 0) clock.advance(1); // pairs share a millisecond
      ids.push((await jobs.submit(n < 4 ? one : other, { n }, { actor: ada })).id);
    }
    const seen: string[] = [];
    let after: { createdMs: number; id: string } | undefined;
    for (;;) {
      const page = await jobs.list({ kind: "test.work" }, after, 3);
      seen.push(...page.map((job) => job.id));
      const last = page.at(-1);
      if (last === undefined) break;
      after = { createdMs: last.createdMs, id: last.id };
    }
    expect(seen.toSorted()).toEqual(ids.slice(0, 4).toSorted());
    expect(await jobs.list({ state: "running" }, undefined, 10)).toEqual([]);
  });
});

/** Waits, without a clock, until what happens in this process has reached the database; lets a worker beat meanwhile. */
async function untilHeard(
  jobs: { get(id: string): Promise<Job> },
  id: string,
  heard: (job: Job) => boolean,
  worker?: { beat(): void },
): Promise<void> {
  while (!heard(await jobs.get(id))) {
    worker?.beat();
    await new Promise((resolve) => setImmediate(resolve));
  }
}
