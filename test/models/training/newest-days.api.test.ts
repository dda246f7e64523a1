import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { call } from "../../support/application.ts";
import { type TrainingGround, trainingGround } from "../../support/training.ts";

let ground: TrainingGround;
beforeAll(async () => {
  ground = await trainingGround();
  await grow(90);
});
afterAll(() => ground.close());

/** Ten rows for each of so many days from January on. */
async function grow(days: number): Promise<void> {
  const lines = Array.from({ length: days * 10 }, (_, i) => {
    const day = new Date(Date.UTC(2026, 0, 1 + Math.floor(i / 10))).toISOString().slice(0, 10);
    return `${day},${(i * 7) % 100},${((i * 7) % 100) * 2 + (i % 3)}`;
  });
  const csv = new TextEncoder().encode(`day,x,y\n${lines.join("\n")}\n`);
  await ground.addDataset("days", "csv", csv);
}

const nightly = {
  dataset: "days",
  task: "regression",
  target: { column: "y" },
  features: [{ column: "x" }],
  split: { timeColumn: "day", holdoutDays: 7 },
};

describe("a training on the newest days", () => {
  it("is judged on them and learns from all before, and moves on when the data grows", async () => {
    const first = await ground.train(nightly);
    expect(first).toMatchObject({ error: null, result: { rows: { train: 830, holdout: 70 } } });
    await grow(100);
    const next = await ground.train(nightly);
    expect(next).toMatchObject({ error: null, result: { rows: { train: 930, holdout: 70 } } });
  });

  it("writes down the periods that it used, so that it can be repeated", async () => {
    const { id } = await ground.train({ ...nightly, split: { ...nightly.split, trainDays: 30 } });
    const { body } = await call(ground.app, "GET", `/api/v1/jobs/${id}`);
    expect(body).toMatchObject({
      result: { rows: { train: 300, holdout: 70 } },
      spec: {
        split: {
          timeColumn: "day",
          train: { from: "2026-03-04T00:00:01.000Z", to: "2026-04-03T00:00:01.000Z" },
          holdout: { from: "2026-04-03T00:00:01.000Z", to: "2026-04-10T00:00:01.000Z" },
        },
      },
    });
  });

  it.each([
    [{ timeColumn: "x", holdoutDays: 7 }, /"x" is not a column of times/],
    [{ timeColumn: "none", holdoutDays: 7 }, /no column "none"/],
    [{ timeColumn: "day", holdoutDays: 500 }, /holdoutDays is 500, .* nothing before the holdout is left/],
    [{ timeColumn: "day", holdoutDays: 0 }, /split/],
    [{ timeColumn: "day", holdoutDays: 7, train: { from: "2026-01-01", to: "2026-02-01" } }, /split/],
  ])("refuses %j", async (split, reason) => {
    const answer = await call(ground.app, "POST", "/api/v1/training", { ...nightly, split });
    expect(answer.status, JSON.stringify(answer.body)).toBe(400);
    expect((answer.body as { detail: string }).detail).toMatch(reason);
  });
});
