import type { KetlineError } from "../../../shared/errors.ts";
import { BoundedMap } from "../runtime/bounded-map.ts";
import { createHosts, type Hosts } from "./hosts.ts";
import { createMemoryWatch } from "./memory-watch.ts";
import type { HostRequest } from "./messages.ts";

/*
 * Where models run that are not in the server itself. Those whose cost is known, or who proved themselves, are steady;
 * the others are on trial in a process of their own; and those that held up others are slow, where they wait for nobody
 * but their like.
 */

export type Lane = "steady" | "trial" | "slow";

/** What was seen of a model version, kept when it is dropped from memory. */
export interface ModelRecord {
  lane: Lane;
  /** Whether it earned its place among the steady ones by its runs. */
  isProven: boolean;
  /** How often it had to make room for others. */
  timesInTheWay: number;
  /** Whether its warming up went wrong: it is loaded without. */
  staysCold: boolean;
  quickRuns: number;
  loadMs: number;
  /** By how much a process grew with it; 0 when it was not seen yet. */
  memoryBytes: number;
}

export interface Lanes {
  hostsOf(lane: Lane): Hosts;
  record(key: string): ModelRecord;
  /** Why no process starts; undefined when they do. */
  readonly problem: string | undefined;
  close(): Promise<void>;
}

export interface LanesOptions {
  /** Processes of the steady lane; the others have one each. */
  readonly count: number;
  readonly directory: string;
  /** Of all processes together, and of each. */
  readonly memoryBytes: number;
  readonly onLost: (request: HostRequest, error: KetlineError) => void;
  readonly onStartFailure: (reason: string) => void;
}

const maxRecords = 20_000;

export function createLanes({ count, ...options }: LanesOptions): Lanes {
  const watch = createMemoryWatch(options.memoryBytes);
  const records = new BoundedMap<string, ModelRecord>(maxRecords);
  const lanes: Readonly<Record<Lane, Hosts>> = {
    steady: createHosts({ ...options, count, watch }),
    trial: createHosts({ ...options, count: 1, watch }),
    slow: createHosts({ ...options, count: 1, watch, isPatient: true }),
  };
  return {
    hostsOf: (lane) => lanes[lane],
    record(key) {
      const known = records.get(key);
      if (known !== undefined) return known;
      const fresh = newRecord();
      records.set(key, fresh);
      return fresh;
    },
    get problem() {
      return lanes.steady.problem ?? lanes.trial.problem ?? lanes.slow.problem;
    },
    async close() {
      watch.close();
      await Promise.all(Object.values(lanes).map((hosts) => hosts.close()));
    },
  };
}

function newRecord(): ModelRecord {
  return {
    lane: "steady",
    isProven: false,
    timesInTheWay: 0,
    staysCold: false,
    quickRuns: 0,
    loadMs: 0,
    memoryBytes: 0,
  };
}

const steadyShareMs = 1000;
const slowShareMs = 2000;

/** How long it may work while others wait, each time longer where its like are. */
export function shareOf({ lane, timesInTheWay }: ModelRecord): number {
  return lane === "slow" ? slowShareMs * 3 ** Math.min(4, timesInTheWay - 1) : steadyShareMs;
}

/** It held up others, or harmed its process. */
export function moveAside(record: ModelRecord): void {
  record.timesInTheWay++;
  record.lane = "slow";
  record.isProven = false;
  record.quickRuns = 0;
}

const provenRuns = 5;
const quickMs = 200;
const maxLoadMs = 10_000;

/** @returns whether it belongs to the steady ones from now on */
export function countRun(record: ModelRecord, runMs: number): boolean {
  if (record.lane !== "trial") return false;
  record.quickRuns = runMs <= quickMs ? record.quickRuns + 1 : 0;
  if (record.quickRuns < provenRuns || record.loadMs > maxLoadMs) return false;
  record.lane = "steady";
  record.isProven = true;
  return true;
}
