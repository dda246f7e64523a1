import { afterAll, beforeAll, expect, it } from "vitest";
import { createMlflowClient } from "../../../clients/mlflow/index.ts";
import { createRegistry, registryMigrations } from "../../../models/registry/index.ts";
import { createTracking, trackingMigrations } from "../../../models/tracking/index.ts";
import { createTransfer, transferMigrations } from "../../../models/transfer/index.ts";
import type { Transfer } from "../../../models/transfer/schemas.ts";
import { call, type TestApplication, testGround } from "../../support/application.ts";
import { pythonPath } from "../../support/python.ts";
import {
  fillStockStore,
  type StockServer,
  type StockStore,
  startStockServer,
  stockStore,
} from "../../support/stock-mlflow.ts";
import { contentsOf } from "./contents.ts";

const python = pythonPath();
const stores: StockStore[] = [];
const stock: StockServer[] = [];
let here: TestApplication;

beforeAll(async () => {
  if (python === undefined) return;
  stores.push(await stockStore(), await stockStore());
  await fillStockStore(python, stores[0] as StockStore, 30);
  for (const store of stores) stock.push(await startStockServer(python, store));
  here = await testGround({
    env: { KETLINE_LOG_LEVEL: "warn" },
    migrations: [...trackingMigrations, ...registryMigrations, ...transferMigrations],
    capabilities: (ground) => {
      const tracking = createTracking(ground);
      const registry = createRegistry({ ...ground, tracking });
      return [
        tracking,
        registry,
        createTransfer({ ...ground, tracking, registry, signingKey: "k".repeat(32) }),
      ];
    },
  });
}, 600_000);

afterAll(async () => {
  await here?.close();
  for (const server of stock) await server.close();
  for (const store of stores) await store.remove();
});

async function transfer(direction: string, url: string | undefined): Promise<Transfer> {
  const started = await call(here.app, "POST", "/api/v1/transfers", { direction, server: { url } });
  await here.runner.drain();
  const { id } = started.body as Transfer;
  return (await call(here.app, "GET", `/api/v1/transfers/${id}`)).body as Transfer;
}

it.skipIf(python === undefined)(
  "30 runs of a stock server, imported and exported to another one, are the same on all three",
  async () => {
    const imported = await transfer("import", stock[0]?.url);
    expect(imported.job).toMatchObject({ state: "succeeded", error: null });
    expect(imported.report?.skipped).toEqual([]);
    const exported = await transfer("export", stock[1]?.url);
    expect(exported.job).toMatchObject({ state: "succeeded", error: null });
    const fetchHere: typeof fetch = async (input, init) => here.app.fetch(new Request(input, init));
    const source = await contentsOf(createMlflowClient({ url: stock[0]?.url ?? "" }));
    expect(Object.keys(source).length).toBeGreaterThan(35);
    expect(await contentsOf(createMlflowClient({ url: "http://localhost", fetch: fetchHere }))).toEqual(
      source,
    );
    expect(await contentsOf(createMlflowClient({ url: stock[1]?.url ?? "" }))).toEqual(source);
  },
  900_000,
);
