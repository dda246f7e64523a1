import { z } from "zod";
import { decodeCursor, page, pageOf, pageQuery } from "../../../shared/http/index.ts";
import { type KeyRow, keyOrders, type ManyStore } from "./store.ts";

const states = ["queued", "trained", "fallback", "failed"] as const;

export const KeySchema = z
  .object({
    number: z.int(),
    values: z.array(z.string()).describe("Of the key columns, in their order; fewer for a parent"),
    state: z.enum(states),
    reason: z.string().nullable(),
    trainRows: z.int(),
    holdoutRows: z.int(),
    meanLoss: z.number().nullable().describe("On the key's holdout"),
    baselineLoss: z.number().nullable().describe("Of the mean of the key's own training rows"),
    championLoss: z.number().nullable().describe("Of the version that held the alias, on the same rows"),
    metrics: z.record(z.string(), z.number().nullable()).nullable(),
  })
  .meta({ title: "TrainedKey" });

export const TrainedKeysSchema = pageOf(KeySchema);
export type TrainedKeys = z.infer<typeof TrainedKeysSchema>;

export const KeysQuery = z.object({
  ...pageQuery,
  state: z.enum(states).optional(),
  order: z
    .enum(keyOrders)
    .default("key")
    .describe("`gain`: by how much the model's mean loss is below that of the mean"),
  direction: z.enum(["ascending", "descending"]).default("ascending"),
});
export type KeyQuery = z.infer<typeof KeysQuery>;

/** The order is by figures that change while the training runs: a page is found by how many come before it. */
const Position = z.object({ offset: z.int().min(0).max(1_000_000) });

export async function keyPage(
  store: ManyStore,
  id: string,
  { state, order, direction, limit, cursor }: KeyQuery,
): Promise<TrainedKeys> {
  const { offset } = decodeCursor(Position, cursor) ?? { offset: 0 };
  const descending = direction === "descending";
  const found = await store.keys(id, { state, order, descending, offset, limit: limit + 1 });
  return page(found, limit, keyOf, (last) => ({ offset: offset + found.indexOf(last) + 1 }));
}

function keyOf(row: KeyRow): TrainedKeys["items"][number] {
  return {
    number: row.key_number,
    values: JSON.parse(row.key_values),
    state: row.state,
    reason: row.reason,
    trainRows: row.train_rows,
    holdoutRows: row.holdout_rows,
    meanLoss: row.mean_loss,
    baselineLoss: row.baseline_loss,
    championLoss: row.champion_loss,
    metrics: row.metrics === null ? null : JSON.parse(row.metrics),
  };
}
