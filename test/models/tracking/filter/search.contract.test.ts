import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { trackingMigrations } from "../../../../models/tracking/migrations.ts";
import {
  insertInputs,
  insertMetrics,
  insertParams,
  upsertTags,
} from "../../../../models/tracking/store/run-data.ts";
import { insertRun, runTarget, searchRunIds } from "../../../../models/tracking/store/runs.ts";
import type { Store } from "../../../../models/tracking/store/statement.ts";
import type { RunStatus, TrackingTables } from "../../../../models/tracking/store/tables.ts";
import type { Database } from "../../../../shared/database/index.ts";
import { comparisonsOf, orderOf } from "../../../../shared/mlflow/index.ts";
import { databaseCases } from "../../../support/databases.ts";
import { randomSource } from "../../../support/random.ts";
import { type PlainRun, randomFilter, randomOrder, randomRuns } from "./random-search.ts";

const experimentId = 7;
const seed = Number(process.env.KETLINE_TEST_SEED ?? 20260105);
/** 10,000 random searches on the embedded database, fewer where each costs a round trip. */
const searches = { SQLite: 10_000, PGlite: 1500, PostgreSQL: 3000 };

describe.each(databaseCases())("searching runs on $name", ({ name, open }) => {
  let database: Database;
  let store: Store;
  const runs = randomRuns(randomSource(seed), 40);

  beforeAll(async () => {
    database = await open(trackingMigrations);
    store = { db: database.tables<TrackingTables>(), dialect: database.dialect };
    for (const run of runs) await writeRun(store, run);
  });
  afterAll(() => database?.close());

  it(`finds what a naive evaluation in memory finds, in its order, page by page (seed ${seed})`, async () => {
    const random = randomSource(seed + 1);
    for (let count = searches[name as keyof typeof searches]; count > 0; count--) {
      const filter = randomFilter(random);
      const order = randomOrder(random);
      const limit = 1 + Math.floor(random.uniform() * 20);
      const expected = runs.filter(filter.holds).toSorted(order.compare);
      const found = await searchAll(store, filter.text, order.items, limit);
      expect(found, `filter: ${filter.text}\norder by: ${order.items.join(", ")}`).toEqual(
        expected.map(({ runId }) => runId),
      );
    }
  }, 240_000);
});

async function searchAll(
  store: Store,
  filter: string,
  items: readonly string[],
  limit: number,
): Promise<string[]> {
  const order = orderOf(items, runTarget);
  if (!order.some((item) => item.entity === "attribute" && item.attribute.sql === "r.start_ms")) {
    order.push(...orderOf(["start_time DESC"], runTarget));
  }
  const comparisons = comparisonsOf(filter, runTarget);
  const found: string[] = [];
  let pageToken: string | undefined;
  do {
    const page = await searchRunIds(store, {
      experimentIds: [experimentId],
      stages: ["active"],
      comparisons,
      order,
      limit,
      pageToken,
    });
    found.push(...page.ids.map(String));
    pageToken = page.nextPageToken;
  } while (pageToken !== undefined);
  return found;
}

async function writeRun(store: Store, run: PlainRun): Promise<void> {
  await insertRun(store, {
    run_id: run.runId,
    experiment_id: experimentId,
    name: run.name,
    user_id: run.userId,
    status: run.status as RunStatus,
    start_ms: run.startMs,
    end_ms: run.endMs,
    lifecycle_stage: "active",
    deleted_ms: null,
    artifact_uri: "",
  });
  await insertMetrics(
    store,
    run.runId,
    [...run.metrics].map(([key, value]) => {
      const isNan = Number.isNaN(value);
      return { key, value: isNan ? 0 : value, is_nan: isNan ? 1 : 0, timestamp: 1, step: 0 };
    }),
  );
  const pairs = (map: ReadonlyMap<string, string>) => [...map].map(([key, value]) => ({ key, value }));
  await insertParams(store, run.runId, pairs(run.params));
  await upsertTags(store, run.runId, pairs(run.tags));
  await insertInputs(
    store,
    run.runId,
    run.datasets.map(({ name, digest, context }) => ({
      dataset: {
        dataset_id: `${run.runId}-${name}`,
        experiment_id: experimentId,
        name,
        digest,
        source_type: "t",
        source: "s",
        schema: null,
        profile: null,
      },
      tags: [],
      context,
    })),
  );
}
