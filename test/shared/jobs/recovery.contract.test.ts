import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Database, openDatabase } from "../../../shared/database/index.ts";
import type { Job } from "../../../shared/jobs/index.ts";
import { jobGround, jobTables, kindOf } from "./ground.ts";

const script = fileURLToPath(new URL("./recovery.child.ts", import.meta.url));
let directory: string;
let file: string;
let database: Database;
const children: ChildProcess[] = [];

beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), "ketline-test-"));
  file = path.join(directory, "test.db");
  database = await openDatabase({ kind: "sqlite", file }, jobTables);
});
afterEach(async () => {
  for (const started of children.splice(0)) started.kill("SIGKILL");
  await database.close();
  await rm(directory, { recursive: true, force: true });
});

/** Starts the process and waits for the line that says where it is. */
async function start(mode: "hang" | "work", line?: string): Promise<ChildProcess> {
  const started = spawn(process.execPath, [script, file, mode], { stdio: ["ignore", "pipe", "inherit"] });
  children.push(started);
  if (line !== undefined) await said(started, line);
  return started;
}

async function said(started: ChildProcess, line: string): Promise<void> {
  if (started.stdout === null) throw new Error("no output is read from this process");
  for await (const said of createInterface({ input: started.stdout })) if (said === line) return;
  throw new Error(`The process ended before it said "${line}".`);
}

const linesOf = async (name: string): Promise<string[]> =>
  (await readFile(`${file}.${name}`, "utf8").catch(() => "")).split("\n").filter((line) => line !== "");

/** Follows the one job from outside until its state is as wanted; the processes beside write it. */
async function jobOnce(wanted: (job: Job) => boolean): Promise<Job> {
  const { jobs } = await jobGround(database, [kindOf(async () => null)]);
  for (;;) {
    const [job] = await jobs.list({}, undefined, 1);
    if (job !== undefined && wanted(job)) return job;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe("a job whose process is killed in the middle", () => {
  it("is finished once by the next start", async () => {
    const killed = await start("hang", "in the middle");
    killed.kill("SIGKILL");
    await once(killed, "exit");
    expect(await jobOnce(() => true)).toMatchObject({ state: "running", attempt: 1 });
    await start("work", "following");
    const job = await jobOnce(({ endedMs }) => endedMs !== null);
    expect(job).toMatchObject({ state: "succeeded", attempt: 2, result: 2 });
    expect(await linesOf("runs")).toEqual(["1", "2"]);
    expect(await linesOf("completions")).toEqual(["2"]);
  });

  it("is finished once even if two processes start next, and both stop in good order", async () => {
    const killed = await start("hang", "in the middle");
    killed.kill("SIGKILL");
    await once(killed, "exit");
    const [first, second] = [await start("work", "following"), await start("work", "following")];
    const job = await jobOnce(({ endedMs }) => endedMs !== null);
    expect(job).toMatchObject({ state: "succeeded" });
    expect(await linesOf("completions")).toHaveLength(1);
    for (const started of [first, second]) {
      started.kill("SIGTERM");
      await said(started, "stopped");
    }
  });
});
