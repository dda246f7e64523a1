import { timedOut, unavailable } from "../../../shared/errors.ts";
import type { AskOptions, Host, Hosts } from "../hosts/hosts.ts";
import { countRun, type Lane, type Lanes, moveAside, shareOf } from "../hosts/lanes.ts";
import type { LoadedAnswer } from "../hosts/messages.ts";
import { isPreempted } from "../hosts/slot.ts";
import { inlineSizeOf, isAffordable } from "../inline/cost.ts";
import type { ModelDescription } from "../repository/model.ts";
import type { Tensors } from "../tensors/tensors.ts";
import { type Batcher, createBatcher } from "./batching.ts";
import { inTime } from "./in-time.ts";
import { createLatencyModel } from "./latency-model.ts";
import { type OnnxSession, openOnnxSession } from "./onnx-session.ts";
import { triesRowByRow } from "./row-independence.ts";

/** A model version that is loaded, wherever its session is. */
export interface ServedModel {
  readonly key: string;
  readonly description: ModelDescription;
  /** What it takes in memory, roughly. */
  readonly estimatedBytes: number;
  /** Where the next small request will run. */
  readonly place: "host" | "inline";
  run(inputs: Tensors, outputs: readonly string[], options: RunOptions): Promise<RunResult>;
  release(): Promise<void>;
}

/** Who waits for an answer. */
export interface Caller {
  readonly isGone: boolean;
  /** Aborted when they go away; it is made when it is first asked for. */
  readonly signal: AbortSignal;
}

export interface RunOptions extends Omit<AskOptions, "signal"> {
  readonly caller?: Caller;
  /** Never together with other requests. */
  readonly alone?: boolean;
}

export interface RunResult {
  readonly outputs: Tensors;
  /** ONNX Runtime's own work, for all requests of a joint run; the rest was waiting and transport. */
  readonly runMs: number;
  /** 1 for one request of a run, 0 for those that came with it. */
  readonly executions: number;
}

/**
 * When a model may run in the server's own process, where a request costs a fraction of what it costs through a host.
 * It starts in a host and has to earn it: what a run costs at most is known from its operators (`inline-cost.ts`), its
 * file is small, loading it took little processor time, and its first requests were answered quickly. From then on each request runs here whose
 * size was found quick, and the others in the host. A model that is slow here again and again goes back for good. The
 * server stands still while a model runs in it, so the limits say for how long.
 */
export interface InlineRule {
  readonly afterRuns: number;
  readonly maxFileBytes: number;
  /** Of processor time. */
  readonly maxLoadMs: number;
  readonly maxRunMs: number;
}

export const defaultInlineRule: InlineRule = {
  afterRuns: 3,
  maxFileBytes: 4 * 1024 ** 2,
  maxLoadMs: 100,
  maxRunMs: 5,
};

/** A run this many times over the limit is slow; the machine's own pauses make one now and then. */
const slowFactor = 4;
/** Four slow runs in short succession end it; a quick one makes good for an eighth of a slow one. */
const slowWeight = 8;
const slowLimit = 3 * slowWeight;

/** A small session measured eight times its file, with a floor (facts in `bench/README.md`); a larger one is measured itself. */
const bytesPerFileByte = 8;
const sessionFloorBytes = 256 * 1024;
const smallFileBytes = 2 * 1024 ** 2;

/** What a loaded model takes in memory. A process reuses what it had, so that growth alone may say too little. */
function memoryOf({ fileBytes }: ModelDescription, grownBytes: number): number {
  return fileBytes <= smallFileBytes
    ? sessionFloorBytes + bytesPerFileByte * fileBytes
    : Math.max(grownBytes, 1.1 * fileBytes);
}

interface ServedModelParts {
  readonly key: string;
  readonly lanes: Lanes;
  readonly inlineRule: InlineRule;
  /**
   * Loads the model into the process of a host; called at the start, and again when the process was replaced.
   *
   * @returns undefined when it was to be loaded only if its cost is known, and that is not so
   */
  readonly load: (at: LoadPlace) => Promise<LoadedAnswer | undefined>;
}

export interface LoadPlace {
  readonly hosts: Hosts;
  readonly host: Host;
  readonly onlyKnownCost: boolean;
  readonly shareMs: number;
  readonly warmUp: boolean;
}

interface Place {
  readonly lane: Lane;
  readonly hosts: Hosts;
  readonly host: Host;
  readonly generation: number;
}

/** Loads a model version into a host. */
export async function openServedModel(parts: ServedModelParts): Promise<ServedModel> {
  const { key, lanes, inlineRule: rule } = parts;
  const record = lanes.record(key);
  const isThere = ({ host, generation }: Place) => host.running && host.generation === generation;

  const loadOnce = async (): Promise<{ answer: LoadedAnswer; place: Place } | undefined> => {
    const { lane, isProven } = record;
    const hosts = lanes.hostsOf(lane);
    const host = hosts.choose();
    const onlyKnownCost = lane === "steady" && !isProven;
    const shareMs = shareOf(record) + (isProven ? 2 * record.loadMs : 0);
    const startedMs = performance.now();
    const answer = await parts.load({ hosts, host, onlyKnownCost, shareMs, warmUp: !record.staysCold });
    if (answer === undefined) {
      record.lane = "trial";
      return undefined;
    }
    record.loadMs = performance.now() - startedMs;
    record.memoryBytes = Math.max(record.memoryBytes, memoryOf(answer.description, answer.memoryBytes));
    return { answer, place: { lane, hosts, host, generation: host.generation } };
  };
  const loadSomewhere = async (): Promise<{ answer: LoadedAnswer; place: Place }> => {
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      try {
        const done = await loadOnce();
        if (done !== undefined) return done;
      } catch (error) {
        if (!isPreempted(error)) throw error;
        moveAside(record);
      }
    }
    throw crowded();
  };

  const opened = await loadSomewhere();
  const { description, cpuMs } = opened.answer;
  let current: Place = opened.place;
  let loading: Promise<unknown> | undefined;
  let released = false;
  let hostRuns = 0;
  let slowness = 0;
  const latency = createLatencyModel(rule.maxRunMs);
  let inline: InlineSession | undefined;
  const { inlineCost } = description;
  let mayInline =
    inlineCost !== null && description.fileBytes <= rule.maxFileBytes && cpuMs <= rule.maxLoadMs;
  /** @param size see `inlineSizeOf` */
  const fitsInline = (size: number) =>
    inlineCost !== null && isAffordable(inlineCost, size) && latency.isQuick(size);

  const reload = () => {
    loading ??= loadSomewhere()
      .then(({ place }) => {
        current = place;
      })
      .finally(() => {
        loading = undefined;
      });
    return loading;
  };

  const unloadFrom = async (place: Place) => {
    if (isThere(place)) {
      const limits = { timeoutMs: 60_000, budgetMs: 10_000 };
      await place.hosts.ask(place.host, { kind: "unload", key }, limits);
    }
  };
  const unload = () => unloadFrom(current);

  /** To the steady ones, while requests go on where it was. */
  const moveOn = async () => {
    const before = current;
    try {
      await reload();
      if (before !== current) await unloadFrom(before);
    } catch {
      // The next request loads it where it belongs.
    }
  };

  const runInline = async (
    place: InlineSession,
    inputs: Tensors,
    outputs: readonly string[],
    { alone, timeoutMs, caller }: RunOptions,
  ) => {
    place.runs++;
    try {
      const result =
        place.batcher === undefined || alone === true
          ? { ...(await place.session.run(inputs, outputs)), executions: 1, elements: inlineSizeOf(inputs) }
          : await place.batcher.run(inputs, outputs, { timeoutMs, caller });
      if (result.executions === 0) return result;
      latency.measure(result.elements, result.runMs);
      const isSlow = result.runMs > rule.maxRunMs * slowFactor;
      slowness = Math.max(0, slowness + (isSlow ? slowWeight : -1));
      if (slowness > slowLimit) {
        place.leaving = true;
        if (inline === place) inline = undefined;
      }
      return result;
    } finally {
      place.runs--;
      if (place.leaving && place.runs === 0) await place.session.release();
    }
  };

  const moveInline = async (sample: Tensors) => {
    try {
      const session = await openOnnxSession(description.servedFile, description.hints);
      if (released) return await session.release();
      const mayBatch = description.rowWise && (await triesRowByRow(session, sample)) === true;
      if (released) return await session.release();
      const batcher = mayBatch ? createBatcher(session, fitsInline) : undefined;
      inline = { session, batcher, runs: 0, leaving: false };
      await unload();
    } catch {
      // It goes on in its host; the file may have been cleared away, or the host replaced.
    }
  };

  const runInHost = async (
    inputs: Tensors,
    outputs: readonly string[],
    { caller, ...limits }: RunOptions,
  ): Promise<RunResult> => {
    const options: AskOptions = caller === undefined ? limits : { ...limits, signal: caller.signal };
    const deadline = performance.now() + options.timeoutMs;
    const left = () => Math.max(1, deadline - performance.now());
    const late = () => timedOut(`The model was not loaded again within ${options.budgetMs} ms.`);
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      if (!isThere(current)) await inTime(reload(), left(), late);
      const place = current;
      const request = { kind: "run", key, inputs, outputs } as const;
      try {
        const asked = { ...options, timeoutMs: left(), shareMs: shareOf(record) };
        const answer = await place.hosts.ask(place.host, request, asked);
        if (answer.kind === "ran") {
          hostRuns++;
          const size = inlineSizeOf(inputs);
          latency.measure(size, answer.runMs);
          if (mayInline && hostRuns >= rule.afterRuns && fitsInline(size)) {
            mayInline = false;
            setImmediate(moveInline, inputs);
          }
          if (countRun(record, answer.runMs)) void moveOn();
          return { outputs: answer.outputs, runMs: answer.runMs, executions: 1 };
        }
        if (place === current) await inTime(reload(), left(), late);
      } catch (error) {
        // A prediction changes nothing, so it may be tried again where it is in nobody's way.
        if (!isPreempted(error)) throw error;
        if (record.lane === place.lane) moveAside(record);
        if (performance.now() >= deadline) throw late();
      }
    }
    throw crowded();
  };

  return {
    key,
    description,
    estimatedBytes: record.memoryBytes,
    get place() {
      return inline === undefined ? "host" : "inline";
    },
    run: (inputs, outputs, options) =>
      inline !== undefined && fitsInline(inlineSizeOf(inputs))
        ? runInline(inline, inputs, outputs, options)
        : runInHost(inputs, outputs, options),
    async release() {
      released = true;
      const place = inline;
      inline = undefined;
      if (place !== undefined) {
        place.leaving = true;
        if (place.runs === 0) await place.session.release();
      }
      await unload().catch(() => undefined);
    },
  };
}

/** Each time it is made room for, a model may work longer, so that a few are enough. */
const maxAttempts = 8;

function crowded() {
  return unavailable("The model had to make room for others again and again.", { retryAfterSeconds: 5 });
}

interface InlineSession {
  readonly session: OnnxSession;
  /** Undefined where rows of different requests must not meet. */
  readonly batcher: Batcher | undefined;
  /** Runs in the air: the session is released after the last of them. */
  runs: number;
  leaving: boolean;
}
