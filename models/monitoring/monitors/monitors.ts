import type { Logger } from "pino";
import type { Clock } from "../../../shared/clock.ts";
import { conflict, notFound, preconditionFailed } from "../../../shared/errors.ts";
import type { Actor, AuditLog } from "../../../shared/identity/index.ts";
import type { Registry } from "../../registry/index.ts";
import type { Prediction, Serving } from "../../serving/index.ts";
import type { CaptureRules } from "../capture/capture.ts";
import type { Monitor, MonitorRevision, MonitorSpec } from "../schemas.ts";
import { type MonitorStore, monitorOf, revisionOf } from "./store.ts";

export interface MonitorOptions {
  readonly store: MonitorStore;
  readonly clock: Clock;
  readonly audit: AuditLog;
  readonly serving: Pick<Serving, "getDeployment">;
  readonly registry: Pick<Registry, "getVersion" | "listVersions">;
  readonly logger: Logger;
}

/** Changes made by another instance take this long to be heard of. */
const rereadAfterMs = 30_000;

export interface MonitorChange {
  readonly actor: Actor;
  readonly reason: string;
  /** Of the revision that the change was made for; 0 for none yet. */
  readonly expectedRevision?: number | undefined;
}

export interface Monitors {
  /** @throws notFound. */
  get(name: string): Promise<Monitor>;
  list(after: string, limit: number): Promise<readonly Monitor[]>;
  all(): Promise<readonly Monitor[]>;
  /** Newest first, of a deleted monitor too. @throws notFound when there never was one. */
  revisions(name: string, before: number, limit: number): Promise<readonly MonitorRevision[]>;
  /** Makes or replaces a monitor. @throws notFound for an unknown target, preconditionFailed, conflict. */
  put(name: string, spec: MonitorSpec, change: MonitorChange): Promise<Monitor>;
  remove(name: string, change: MonitorChange): Promise<void>;
  /**
   * What is captured of a prediction. From memory, read anew in the background every half minute; until it was read for
   * the first time nothing is captured, as some field might have to be left out.
   */
  rulesOf(prediction: Prediction): CaptureRules | null;
}

export function createMonitors(options: MonitorOptions): Monitors {
  const { store, clock, audit, logger } = options;
  let watched: readonly Monitor[] | undefined;
  let known = new Map<string, CaptureRules | null>();
  let readMs = Number.NEGATIVE_INFINITY;

  const find = async (name: string): Promise<Monitor> => {
    const row = await store.get(name);
    if (row === undefined) throw notFound(`There is no monitor "${name}".`);
    return monitorOf(row);
  };

  const refresh = async (): Promise<void> => {
    readMs = clock();
    watched = (await store.all()).map(monitorOf).filter((monitor) => monitor.enabled);
    known = new Map();
  };

  const refreshInBackground = (): void => {
    refresh().catch((error: unknown) => {
      logger.warn({ err: error }, "the monitors could not be read; capture goes by what was read before");
    });
  };
  refreshInBackground();

  /** The number of the next revision; the numbers of a deleted monitor of that name are not used again. */
  const nextRevision = async (name: string, current: number, change: MonitorChange): Promise<number> => {
    if (change.expectedRevision !== undefined && change.expectedRevision !== current) {
      throw preconditionFailed(
        `The monitor "${name}" has revision ${current}, not ${change.expectedRevision}.`,
      );
    }
    return (await store.lastRevision(name)) + 1;
  };

  const lost = (name: string) =>
    conflict(`Somebody else changed the monitor "${name}" just now; read it again.`);

  return {
    get: find,
    list: async (after, limit) => (await store.list(after, limit)).map(monitorOf),
    all: async () => (await store.all()).map(monitorOf),

    async revisions(name, before, limit) {
      const rows = await store.revisions(name, before, limit);
      if (rows.length === 0 && (await store.lastRevision(name)) === 0) {
        throw notFound(`There is no monitor "${name}".`);
      }
      return rows.map(revisionOf);
    },

    async put(name, spec, change) {
      await checkTarget(options, spec.target);
      const stored = await store.get(name);
      const before = stored === undefined ? undefined : monitorOf(stored);
      const revision = await nextRevision(name, before?.revision ?? 0, change);
      const nowMs = clock();
      const author = JSON.stringify({ id: change.actor.id, name: change.actor.name });
      const row = {
        name,
        revision,
        spec: JSON.stringify(spec),
        created_ms: before?.createdMs ?? nowMs,
        updated_ms: nowMs,
        updated_by: author,
      };
      const kind = before === undefined ? "create" : "change";
      const written = await store.write(row, {
        monitor: name,
        revision,
        change: kind,
        spec: row.spec,
        author,
        reason: change.reason,
        created_ms: nowMs,
      });
      if (!written) throw lost(name);
      await audit.record({
        actor: change.actor,
        action: `monitor.${kind}`,
        subject: `monitor/${name}`,
        ...(stored === undefined ? {} : { before: JSON.parse(stored.spec) }),
        after: spec,
        reason: change.reason,
      });
      await refresh();
      return monitorOf(row);
    },

    async remove(name, change) {
      const before = await find(name);
      const revision = await nextRevision(name, before.revision, change);
      const removed = await store.remove({
        monitor: name,
        revision,
        change: "delete",
        spec: null,
        author: JSON.stringify({ id: change.actor.id, name: change.actor.name }),
        reason: change.reason,
        created_ms: clock(),
      });
      if (!removed) throw lost(name);
      await audit.record({
        actor: change.actor,
        action: "monitor.delete",
        subject: `monitor/${name}`,
        before,
        reason: change.reason,
      });
      await refresh();
    },

    rulesOf(prediction) {
      if (clock() - readMs >= rereadAfterMs) refreshInBackground();
      if (watched === undefined) return null;
      const key = `${prediction.deployment}/${prediction.modelName}/${prediction.modelVersion}`;
      let rules = known.get(key);
      if (rules === undefined) {
        rules = rulesFor(watched, prediction);
        known.set(key, rules);
      }
      return rules;
    },
  };
}

/** Without a monitor all predictions of deployments are kept, so that one that is made later has a past. */
const unwatched: CaptureRules = { sampleRate: 1, drop: [], hash: [] };

/** Several monitors of one target: the largest sample any of them asks for, without the fields that one of them drops. */
function rulesFor(monitors: readonly Monitor[], prediction: Prediction): CaptureRules | null {
  const own = monitors.filter(({ target }) =>
    "deployment" in target
      ? target.deployment === prediction.deployment
      : target.model === prediction.modelName &&
        (target.version === undefined || target.version === prediction.modelVersion),
  );
  if (own.length === 0) return prediction.deployment === null ? null : unwatched;
  return {
    sampleRate: Math.max(...own.map((monitor) => monitor.capture.sampleRate)),
    drop: own.flatMap((monitor) => monitor.capture.drop),
    hash: own.flatMap((monitor) => monitor.capture.hash),
  };
}

async function checkTarget(
  { serving, registry }: MonitorOptions,
  target: MonitorSpec["target"],
): Promise<void> {
  if ("deployment" in target) await serving.getDeployment(target.deployment);
  else if (target.version === undefined) await registry.listVersions(target.model);
  else await registry.getVersion(target.model, Number(target.version));
}
