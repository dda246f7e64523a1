import path from "node:path";
import type { BlobStore } from "../../../shared/blobs/index.ts";
import type { Clock } from "../../../shared/clock.ts";
import {
  conflict,
  insufficient,
  invalid,
  isKetlineError,
  type KetlineError,
  unavailable,
} from "../../../shared/errors.ts";
import type { Logger } from "../../../shared/telemetry/index.ts";
import { type KeyedModelParts, openKeyedModel } from "../bundles/keyed-model.ts";
import type { AskOptions } from "../hosts/hosts.ts";
import { createLanes, moveAside } from "../hosts/lanes.ts";
import { changedFileCode, createModelFiles } from "../repository/model-files.ts";
import type { ModelSource, ServableVersion } from "../repository/model-source.ts";
import { BoundedMap } from "./bounded-map.ts";
import { inTime } from "./in-time.ts";
import { createQuarantine, maxRefused } from "./quarantine.ts";
import {
  defaultInlineRule,
  type InlineRule,
  type LoadPlace,
  openServedModel,
  type ServedModel,
} from "./served-model.ts";

/** The model versions that are loaded: as many as fit, the others on demand. */
export interface Sessions {
  /**
   * Has `use` work with a loaded version, which stays loaded until `use` is done. Requests that arrive while it loads
   * wait for the same load, which goes on when they give up.
   *
   * @param timeoutMs how long to wait for the load
   * @throws invalid when the version cannot be served, with the reason; unavailable when it harmed its process lately,
   * or is not loaded in time
   */
  withModel<Result>(
    version: ServableVersion,
    timeoutMs: number,
    use: (model: ServedModel) => Promise<Result>,
  ): Promise<Result>;
  /** Drops a version from memory; requests in the air are answered first. @returns whether it was loaded */
  unload(version: ServableVersion): boolean;
  state(name: string, version: number): SessionState;
  /** Why no model can be loaded now, whichever it is. */
  readonly problem: string | undefined;
  /** Loaded versions and their estimated bytes. */
  readonly size: { readonly count: number; readonly bytes: number };
  close(): Promise<void>;
}

export interface SessionState {
  readonly loaded: boolean;
  /** Why it cannot be used now; undefined when it can. */
  readonly problem: string | undefined;
}

export interface SessionLimits {
  /** Estimated bytes of all sessions. */
  readonly maxBytes: number;
  readonly maxCount: number;
  /** Files of one version, external data included. */
  readonly maxModelBytes: number;
  readonly maxNodes: number;
  /** Files of all versions that are kept on the local disk. */
  readonly maxCacheBytes: number;
  readonly loadTimeoutMs: number;
  /** Processes that models run in. */
  readonly hosts: number;
  readonly inlineRule: InlineRule;
}

export const defaultSessionLimits: SessionLimits = {
  maxBytes: 1.5 * 1024 ** 3,
  maxCount: 500,
  maxModelBytes: 1024 ** 3,
  maxNodes: 100_000,
  maxCacheBytes: 4 * 1024 ** 3,
  loadTimeoutMs: 60_000,
  hosts: 2,
  inlineRule: defaultInlineRule,
};

export interface SessionsOptions {
  readonly blobs: BlobStore;
  readonly models: Pick<ModelSource, "artifactPrefix" | "manifest">;
  /** Told of a version whose files are not what was registered. */
  readonly onChangedFile?: ((version: ServableVersion, reason: string) => void) | undefined;
  /** On the local disk, for the files of models. */
  readonly directory: string;
  readonly clock: Clock;
  readonly logger: Pick<Logger, "error">;
  readonly limits: SessionLimits;
}

type WithFolder = <Result>(use: (directory: string, sizeBytes: number) => Promise<Result>) => Promise<Result>;

/** For running a model once for nobody. */
const warmUpBudgetMs = 5000;

interface Entry {
  readonly opening: Promise<ServedModel>;
  /** Set when it is loaded. */
  model: ServedModel | undefined;
  inUse: number;
  /** Out of the table: released when nobody uses it any more. */
  retired: boolean;
}

export function createSessions(options: SessionsOptions): Sessions {
  const { blobs, models, directory, clock, logger, limits } = options;
  const folder = path.resolve(directory);
  const quarantine = createQuarantine(clock);
  const files = createModelFiles({
    blobs,
    directory: folder,
    maxVersionBytes: limits.maxModelBytes,
    maxBytes: limits.maxCacheBytes,
  });
  const lanes = createLanes({
    count: limits.hosts,
    directory: folder,
    memoryBytes: limits.maxBytes,
    onLost(request, error) {
      moveAside(lanes.record(request.key));
      if (request.kind !== "warm") quarantine.strike(request.key, error);
    },
    onStartFailure: (reason) => logger.error(reason),
  });
  const budgetBytes = budgetOf(limits);
  /** In the order of use, the least recently used first. */
  const entries = new Map<string, Entry>();
  /** Of the versions that were loaded last, or could not be: the key that each had. */
  const keys = new BoundedMap<string, string>(limits.maxCount + maxRefused);
  let bytes = 0;
  /** The key that was used last. */
  let newest: string | undefined;

  const retire = (key: string, entry: Entry) => {
    if (entries.get(key) === entry) entries.delete(key);
    entry.retired = true;
    bytes -= entry.model?.estimatedBytes ?? 0;
    if (entry.inUse === 0) void entry.model?.release();
  };
  const makeRoom = (newest: Entry, neededBytes = 0) => {
    for (const [key, entry] of entries) {
      if (bytes + neededBytes <= budgetBytes && entries.size <= limits.maxCount) return;
      if (entry !== newest && entry.model !== undefined) retire(key, entry);
    }
  };
  const openEntry = (key: string, load: (entry: Entry) => Promise<ServedModel>): Entry => {
    const { promise, resolve, reject } = Promise.withResolvers<ServedModel>();
    const entry: Entry = { opening: promise, model: undefined, inUse: 0, retired: false };
    entries.set(key, entry);
    entry.opening.then(
      (model) => {
        entry.model = model;
        bytes += model.estimatedBytes;
        if (entry.retired) retire(key, entry);
        else makeRoom(entry);
      },
      () => {
        if (entries.get(key) === entry) entries.delete(key);
      },
    );
    Promise.resolve()
      .then(() => load(entry))
      .then(resolve, reject);
    return entry;
  };
  const withEntry = async <Result>(
    key: string,
    version: ServableVersion,
    timeoutMs: number,
    load: (entry: Entry) => Promise<ServedModel>,
    use: (model: ServedModel) => Promise<Result>,
  ): Promise<Result> => {
    quarantine.check(key);
    let entry = entries.get(key);
    if (entry === undefined) entry = openEntry(key, load);
    else if (key !== newest) {
      entries.delete(key);
      entries.set(key, entry);
    }
    newest = key;
    entry.inUse++;
    try {
      const late = () => stillLoading(version, timeoutMs);
      return await use(entry.model ?? (await inTime(entry.opening, timeoutMs, late)));
    } finally {
      entry.inUse--;
      if (entry.retired && entry.inUse === 0) void entry.model?.release();
    }
  };
  const openSingle = (key: string, version: ServableVersion, folder: WithFolder) => (entry: Entry) =>
    openServedModel({
      key,
      lanes,
      load: (at: LoadPlace) => loadInto(at, entry, key, version, folder),
      inlineRule: limits.inlineRule,
    });
  const openVersion = (key: string, version: ServableVersion) => async (entry: Entry) => {
    const place = await placeOf(key, version);
    const ownFolder: WithFolder = (use) => files.withFolder(place.prefix, place.registered, use);
    const { bundles } = place;
    if (bundles === null) return openSingle(key, version, ownFolder)(entry);
    const withSub: KeyedModelParts["withModel"] = (model, timeoutMs, use) => {
      const folder: WithFolder =
        model === undefined ? ownFolder : (use) => files.withSubModel(place.prefix, model, use);
      const subKey = model === undefined ? `${key}#own` : `${key}#${model.file}:${model.offset}`;
      return withEntry(subKey, version, timeoutMs, openSingle(subKey, version, folder), use);
    };
    const fallback = await withSub(undefined, limits.loadTimeoutMs, async ({ description }) => description);
    return openKeyedModel({
      key,
      bundles,
      fallback,
      withModel: withSub,
      release() {
        for (const [subKey, sub] of entries) if (subKey.startsWith(`${key}#`)) retire(subKey, sub);
      },
    });
  };
  /** Where a version's files lie, and whether it has models by key. */
  const placeOf = async (key: string, version: ServableVersion) => {
    try {
      quarantine.check(key);
      const prefix = await models.artifactPrefix(version.name, version.version);
      const registered = await models.manifest(version.name, version.version);
      return { prefix, registered, bundles: await files.bundlesOf(prefix, registered) };
    } catch (error) {
      throw failureOf(key, version, error);
    }
  };
  const failureOf = (key: string, version: ServableVersion, error: unknown): unknown => {
    const failure = cannotServe(version, error);
    if (isChangedFile(failure)) options.onChangedFile?.(version, String(failure));
    const isFinal = isKetlineError(failure, "invalid") || isKetlineError(failure, "insufficient");
    if (isFinal) quarantine.refuse(key, failure);
    return failure;
  };
  const loadInto = async (
    at: LoadPlace,
    entry: Entry,
    key: string,
    version: ServableVersion,
    withFolder: WithFolder,
  ) => {
    quarantine.check(key);
    const { hosts, host, onlyKnownCost, shareMs } = at;
    const limit: AskOptions = {
      timeoutMs: 2 * limits.loadTimeoutMs,
      budgetMs: limits.loadTimeoutMs,
      shareMs,
    };
    try {
      return await withFolder(async (modelDirectory, sizeBytes) => {
        // Reading a large file takes a while by itself.
        if (onlyKnownCost && sizeBytes > limits.inlineRule.maxFileBytes) return undefined;
        const record = lanes.record(key);
        const neededBytes = Math.max(record.memoryBytes, sizeBytes);
        if (neededBytes > budgetBytes) throw takesTooMuch(neededBytes, limits.maxBytes);
        if (entry.model === undefined) makeRoom(entry, neededBytes);
        const request = {
          kind: "load",
          key,
          directory: modelDirectory,
          limits: inspection(limits),
          onlyKnownCost,
        } as const;
        const answer = await hosts.ask(host, request, limit);
        if (answer.kind === "apart") return undefined;
        if (answer.kind !== "loaded") throw unavailable("The model's process did not load it.");
        if (!at.warmUp) return answer;
        const { generation } = host;
        const warm = { kind: "warm", key, directory: modelDirectory } as const;
        await hosts.ask(host, warm, { ...limit, budgetMs: warmUpBudgetMs }).catch(() => undefined);
        if (host.generation === generation && host.running) return answer;
        record.staysCold = true;
        const again = await hosts.ask(host, request, limit);
        return again.kind === "loaded" ? again : undefined;
      });
    } catch (error) {
      throw failureOf(key, version, error);
    }
  };

  return {
    withModel(version, timeoutMs, use) {
      const key = keyOf(version);
      if (!entries.has(key)) keys.set(`${version.name}/${version.version}`, key);
      return withEntry(key, version, timeoutMs, openVersion(key, version), use);
    },
    unload(version) {
      const key = keyOf(version);
      const entry = entries.get(key);
      if (entry?.model === undefined) return false;
      retire(key, entry);
      return true;
    },
    state(name, version) {
      const key = keys.get(`${name}/${version}`) ?? "";
      return { loaded: entries.get(key)?.model !== undefined, problem: quarantine.problem(key) };
    },
    get problem() {
      return lanes.problem;
    },
    get size() {
      return { count: entries.size, bytes };
    },
    async close() {
      const models = [...entries.values()].flatMap(({ model }) => (model === undefined ? [] : [model]));
      entries.clear();
      await lanes.close();
      await Promise.allSettled(models.map((model) => model.release()));
    },
  };
}

function stillLoading({ name, version }: ServableVersion, timeoutMs: number): KetlineError {
  return unavailable(`Version ${version} of "${name}" is still being loaded after ${timeoutMs} ms.`, {
    retryAfterSeconds: 1,
  });
}

/** A model that was deleted and made again under the same name has other files. */
function keyOf(version: ServableVersion): string {
  return `${version.name}/${version.version}@${version.storageLocation}`;
}

function inspection({ maxModelBytes, maxNodes, inlineRule }: SessionLimits) {
  return { maxFileBytes: maxModelBytes, maxNodes, maxInlineBytes: inlineRule.maxFileBytes };
}

/** A run takes memory too: of much, a quarter is left for it. */
function budgetOf({ maxBytes }: SessionLimits): number {
  return maxBytes >= 512 * 1024 ** 2 ? 0.75 * maxBytes : maxBytes;
}

function takesTooMuch(neededBytes: number, maxBytes: number): KetlineError {
  const mebibytes = (bytes: number) => Math.ceil(bytes / 1024 ** 2);
  return insufficient(
    `It takes ${mebibytes(neededBytes)} MiB of memory; loaded models may take ${mebibytes(maxBytes)} MiB together, ` +
      "some of it for their runs (KETLINE_MODEL_MEMORY_MIB).",
  );
}

/** What is wrong with a version is no server error: the same request cannot succeed until the version changes. */
function isChangedFile(error: unknown): boolean {
  return isKetlineError(error, "conflict") && error.details.code === changedFileCode;
}

function cannotServe(version: ServableVersion, error: unknown): unknown {
  if (!isKetlineError(error)) return error;
  if (isChangedFile(error)) {
    const because = `Version ${version.version} of "${version.name}" is not served: ${error.message}`;
    return conflict(because, { ...error.details, cause: error });
  }
  const isFault = ["invalid", "too_large", "unsupported", "not_found", "timeout", "insufficient"].includes(
    error.kind,
  );
  if (!isFault) return error satisfies KetlineError;
  const label = `Version ${version.version} of "${version.name}"`;
  const because = `${label} cannot be served: ${error.message}`;
  return error.kind === "insufficient"
    ? insufficient(because, { cause: error })
    : invalid(because, { cause: error });
}
