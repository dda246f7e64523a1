import { createHash } from "node:crypto";
import {
  isMissing,
  isMlflowError,
  type MlflowClient,
  MlflowError,
  type Run,
} from "../../../clients/mlflow/index.ts";
import type { Tracking } from "../../tracking/index.ts";
import type { TransferRequest } from "../schemas.ts";
import type { Item, ItemKind, TransferStore } from "../store.ts";
import type { Tally } from "./tally.ts";

/** What every step of a transfer works with. */
export interface Copying {
  readonly source: MlflowClient;
  readonly target: MlflowClient;
  /** Makes things under the ids that they have on the source: only this server can, not a stock one. */
  readonly adopt: Pick<Tracking, "adoptRun" | "adoptLoggedModel"> | undefined;
  readonly ledger: Ledger;
  readonly request: TransferRequest;
  readonly tally: Tally;
  readonly signal: AbortSignal;
  /** Whether both servers have logged models. */
  readonly withLoggedModels: boolean;
  /** The experiments that are copied, by their ids on the source. */
  readonly experiments: ReadonlyMap<string, ExperimentPair>;
  /** Runs whose making is under way, so that a run and its child do not both make it. */
  readonly making: Map<string, Promise<string>>;
}

export interface ExperimentPair {
  readonly sourceId: string;
  readonly targetId: string;
}

/** Which thing of the source is which on the target: kept in the database, so that a transfer goes on where it stopped. */
export interface Ledger {
  find(kind: ItemKind, sourceId: string): Promise<Item | undefined>;
  below(kind: ItemKind, parent: string): Promise<ReadonlyMap<string, Item>>;
  /** To be called before something is made: after a crash, the target is asked whether it was. */
  begin(kind: ItemKind, sourceId: string, parent: string): Promise<void>;
  /** @param fingerprint null while its parts are still to be copied */
  settle(
    kind: ItemKind,
    sourceId: string,
    parent: string,
    targetId: string,
    fingerprint: string | null,
  ): Promise<void>;
  forget(kind: ItemKind, sourceId: string): Promise<void>;
}

export function ledgerOf(store: TransferStore, scope: string): Ledger {
  return {
    find: (kind, id) => store.findItem(scope, kind, id),
    below: (kind, parent) => store.itemsBelow(scope, kind, parent),
    begin: (kind, id, parent) =>
      store.putItem(scope, kind, id, parent, { target_id: null, fingerprint: null }),
    settle: (kind, id, parent, target_id, fingerprint) =>
      store.putItem(scope, kind, id, parent, { target_id, fingerprint }),
    forget: (kind, id) => store.deleteItem(scope, kind, id),
  };
}

/** Tags that say where a copy came from, where its id could not be kept. */
export const sourceTags = { run: "ketline.source.run_id", model: "ketline.source.model_id" } as const;

export function fingerprintOf(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("base64url");
}

/**
 * Whether one thing cannot be copied while others can: it was refused for what it is. Credentials that are refused, a
 * server that is away or a cancelled job stop the whole transfer.
 */
export function isRefusal(error: unknown): error is MlflowError {
  if (isMlflowError(error, "NOT_PROXIED")) return true;
  if (!(error instanceof MlflowError)) return false;
  return error.status >= 400 && error.status < 500 && ![401, 403, 408, 429].includes(error.status);
}

/** The id on the target of a run of the source; undefined when it is not copied by this transfer or an earlier one. */
export async function targetRunOf(copying: Copying, sourceRunId: string): Promise<string | undefined> {
  const item = await copying.ledger.find("run", sourceRunId);
  if (item?.target_id) return item.target_id;
  let run: Run;
  try {
    run = await copying.source.runs.get(sourceRunId, copying);
  } catch (error) {
    if (isRefusal(error)) return undefined;
    throw error;
  }
  const pair = copying.experiments.get(run.info.experiment_id);
  const isWanted = copying.request.includeDeleted || run.info.lifecycle_stage === "active";
  return pair === undefined || !isWanted ? undefined : ensureRun(copying, pair, run);
}

/** Makes the run on the target unless it is there, still without what was logged to it. @returns its id there */
export function ensureRun(copying: Copying, pair: ExperimentPair, run: Run): Promise<string> {
  const { run_id } = run.info;
  const making = copying.making.get(run_id) ?? makeRun(copying, pair, run);
  copying.making.set(run_id, making);
  return making.finally(() => copying.making.delete(run_id));
}

async function makeRun(copying: Copying, { targetId }: ExperimentPair, { info }: Run): Promise<string> {
  const { ledger, target, adopt, signal } = copying;
  const item = await ledger.find("run", info.run_id);
  if (item?.target_id) return item.target_id;
  const made = await begunRun(copying, targetId, info.run_id, item);
  const settle = async (id: string) => {
    await ledger.settle("run", info.run_id, targetId, id, null);
    return id;
  };
  if (made !== undefined) return settle(made);
  await ledger.begin("run", info.run_id, targetId);
  const startMs = info.start_time ?? 0;
  const adopted = await adopt?.adoptRun({
    runId: info.run_id,
    experimentId: targetId,
    userId: info.user_id,
    name: info.run_name,
    startMs,
  });
  if (adopted === true) return settle(info.run_id);
  const run = await target.runs.create(
    {
      experiment_id: targetId,
      user_id: info.user_id,
      ...(info.run_name === "" ? {} : { run_name: info.run_name }),
      start_time: startMs,
      tags: [{ key: sourceTags.run, value: info.run_id }],
    },
    { signal },
  );
  return settle(run.info.run_id);
}

/** A run that was begun by an attempt which ended before it could write down the run's id. */
async function begunRun(
  { target, signal }: Copying,
  experimentId: string,
  sourceRunId: string,
  item: Item | undefined,
): Promise<string | undefined> {
  if (item === undefined) return undefined;
  const { items } = await target.runs.searchPage(
    {
      experiment_ids: [experimentId],
      filter: `tags.\`${sourceTags.run}\` = '${sourceRunId}'`,
      run_view_type: "ALL",
      max_results: 1,
    },
    { signal },
  );
  return items[0]?.info.run_id;
}

/** Works on several items at a time. The first failure ends it, after what is under way. */
export async function forEachAtOnce<Item>(
  items: AsyncIterable<Item>,
  limit: number,
  signal: AbortSignal,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const active = new Set<Promise<void>>();
  const failures: unknown[] = [];
  for await (const item of items) {
    signal.throwIfAborted();
    if (failures.length > 0) break;
    const one: Promise<void> = work(item)
      .catch((error: unknown) => {
        failures.push(error);
      })
      .finally(() => active.delete(one));
    active.add(one);
    if (active.size >= limit) await Promise.race(active);
  }
  await Promise.all(active);
  if (failures.length > 0) throw failures[0];
  signal.throwIfAborted();
}

/** What is asked for, such as the copy that an earlier attempt made; undefined when somebody has removed it since. */
export async function ifThere<Thing>(asked: Promise<Thing>): Promise<Thing | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}
