import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import { call } from "../../../support/application.ts";
import { type TrainingGround, trainingGround } from "../../../support/training.ts";

let ground: TrainingGround;
afterEach(() => ground.close());

const keys = 900;
const rowsPerKey = 16;
const spec = {
  dataset: "stops",
  task: "regression",
  target: { column: "y" },
  features: [{ column: "x" }],
  split: { holdoutFraction: 0.3 },
  algorithm: { kind: "linear" },
  partitionBy: ["stop"],
  minRows: rowsPerKey,
  minimumRows: { train: 2, holdout: 2 },
  registeredModel: "delay",
  promotion: { policy: "always" },
};

function stops(): string {
  const lines = ["stop,x,n,y"];
  for (let row = 0; row < keys * rowsPerKey; row++)
    lines.push([row % keys, row % 7, row, (row % keys) + (row % 7)].join(","));
  return `${lines.join("\n")}\n`;
}

interface Task {
  job_id: string;
  task: number;
  state: string;
  attempts: number;
  result: string | null;
}
const tasksOf = (id: string): Promise<Task[]> =>
  ground.database
    .tables<{ training_task: Task }>()
    .selectFrom("training_task")
    .select(["job_id", "task", "state", "attempts", "result"])
    .where("job_id", "=", id)
    .orderBy("task")
    .execute();
const isDone = ({ state }: Task) => state === "done";

describe("a training of many models whose process is killed", () => {
  it("goes on with the tasks that are not done, and makes no finished model twice", async () => {
    ground = await trainingGround();
    await ground.addDataset("stops", "csv", stops());
    const { id } = (await call(ground.app, "POST", "/api/v1/training", spec)).body as { id: string };
    const script = fileURLToPath(new URL("../../../support/one-job.child.ts", import.meta.url));
    const child = spawn(process.execPath, [script, ground.directory, id], { stdio: "inherit" });
    const ended = once(child, "exit");
    while (!(await tasksOf(id)).some(isDone) && child.exitCode === null) await new Promise(setImmediate);
    child.kill("SIGKILL");
    await ended;
    const before = await tasksOf(id);
    expect(before).toHaveLength(3);
    const done = before.filter(isDone);
    expect(done.length).toBeGreaterThan(0);
    expect(done.length).toBeLessThan(3);

    ground.clock.set(Date.now() + 3600_000);
    await ground.runner.sweep();
    await ground.runner.drain();
    const job = (await call(ground.app, "GET", `/api/v1/jobs/${id}`)).body;
    expect(job).toMatchObject({
      state: "succeeded",
      attempt: 2,
      result: { model: { version: 1 }, keys: { total: keys, failed: 0 } },
    });
    const after = await tasksOf(id);
    expect(after.every(isDone)).toBe(true);
    for (const task of done) expect(after[task.task]).toEqual(task);
    // What it kept on the way is gone once the version has it.
    expect((await ground.blobs.list("training/many/")).blobs).toEqual([]);
  });
});
