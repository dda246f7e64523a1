import type { Clock } from "../../../shared/clock.ts";
import { isKetlineError, notFound } from "../../../shared/errors.ts";
import type { Logger } from "../../../shared/telemetry/index.ts";
import type { ModelSource, ServableVersion } from "../repository/model-source.ts";
import { BoundedMap } from "../runtime/bounded-map.ts";
import type { Deployment, Shadow, Variant } from "../schemas.ts";
import type { DeploymentStore } from "./store.ts";

/**
 * What is served, from memory. Deployments and what was read of the registry are kept until their counters move, which
 * are asked for at most every second, and only when there is a request: a change reaches an instance within that second,
 * and no request needs the database while nothing changes. When the database does not answer, the last known state goes
 * on being served.
 */
export interface Catalogue {
  /** Brings what is in memory up to date, if it is older than a second; undefined when there is nothing to wait for. */
  refresh(): Promise<void> | undefined;
  /** Forgets how old it is, so that a change made here is seen at once. */
  expire(): void;
  deployment(name: string): Deployment | undefined;
  deployments(): Iterable<Deployment>;
  /** @throws notFound */
  target(target: Variant | Shadow): Known<ServableVersion>;
  /** The version with the alias `champion`, else the newest ready one. @returns null for an unknown model */
  champion(model: string): Known<ServableVersion | null>;
  /** @throws notFound */
  version(model: string, version: number): Known<ServableVersion>;
}

/** At once what is in memory; a request that has to wait for nothing takes a fraction of the time. */
export type Known<Value> = Value | Promise<Value>;

/** Goes on with what is known, at once where it is. */
export function whenKnown<Value, Result>(known: Known<Value>, next: (value: Value) => Result): Known<Result> {
  return known instanceof Promise ? known.then(next) : next(known);
}

const maxAgeMs = 1000;
/** More than are loaded; asking the registry again costs little beside loading a model. */
const maxRemembered = 5000;

export interface CatalogueOptions {
  readonly store: DeploymentStore;
  readonly models: ModelSource;
  readonly clock: Clock;
  readonly logger: Logger;
}

export function createCatalogue({ store, models, clock, logger }: CatalogueOptions): Catalogue {
  const deployments = new Map<string, Deployment>();
  const versions = new BoundedMap<string, Known<ServableVersion | null>>(maxRemembered);
  let changeNumber = -1;
  let registryRevision = -1;
  let checkedMs = Number.NEGATIVE_INFINITY;
  let expiries = 0;
  let refreshing: Promise<void> | undefined;

  const readDeployments = async () => {
    const latest = await store.changeNumber();
    if (latest === changeNumber) return;
    for (const { deployment, deleted, changeNumber: number } of await store.changedSince(changeNumber)) {
      if (deleted) deployments.delete(deployment.name);
      else deployments.set(deployment.name, deployment);
      changeNumber = Math.max(changeNumber, number);
    }
    // Changes may have ended that touch no deployment, such as a judgement of a revision.
    changeNumber = Math.max(changeNumber, latest);
  };
  const readRegistry = async () => {
    const latest = await models.revision();
    if (latest !== registryRevision) versions.clear();
    registryRevision = latest;
  };
  const refreshNow = async () => {
    const nowMs = clock();
    const before = expiries;
    const known = changeNumber >= 0 && registryRevision >= 0;
    try {
      await Promise.all([readDeployments(), readRegistry()]);
    } catch (error) {
      if (!known) throw error;
      logger.warn({ err: error }, "deployments could not be read; the last known ones are served");
    }
    // A change that was made here meanwhile may not have been seen.
    if (expiries === before) checkedMs = nowMs;
  };
  /** One question to the registry at a time for the same thing; what fails is asked again. */
  const remembered = (
    key: string,
    ask: () => Promise<ServableVersion | null>,
  ): Known<ServableVersion | null> => {
    const known = versions.get(key);
    if (known !== undefined) return known;
    const asked = ask().then(servableOf);
    versions.set(key, asked);
    const keep = (found: ServableVersion | null) => {
      if (versions.get(key) !== asked) return;
      if (found === null) versions.delete(key);
      else versions.set(key, found);
    };
    asked.then(keep, () => keep(null));
    return asked;
  };
  const version = (model: string, number: number) =>
    found(
      remembered(`${model}\u0000v${number}`, () => models.getVersion(model, number)),
      () => `The model "${model}" has no version ${number}.`,
    );

  return {
    refresh() {
      const age = clock() - checkedMs;
      if (age >= 0 && age < maxAgeMs) return undefined;
      refreshing ??= refreshNow().finally(() => {
        refreshing = undefined;
      });
      return refreshing;
    },
    expire() {
      expiries++;
      checkedMs = Number.NEGATIVE_INFINITY;
    },
    deployment: (name) => deployments.get(name),
    deployments: () => deployments.values(),
    target(target) {
      if ("version" in target) return version(target.model, Number(target.version));
      const { model, alias } = target;
      return found(
        remembered(`${model}\u0000a${alias}`, () => models.getByAlias(model, alias)),
        () => `The model "${model}" has no alias "${alias}", or there is no such model.`,
      );
    },
    champion: (model) =>
      remembered(`${model}\u0000`, async () => {
        try {
          return (await models.getByAlias(model, "champion")) ?? (await models.getNewestReady(model));
        } catch (error) {
          // A name that no model can have is no model.
          if (isKetlineError(error, "invalid") || isKetlineError(error, "not_found")) return null;
          throw error;
        }
      }),
    version,
  };
}

/** @throws not_found saying `missing`, where there is none */
function found(answer: Known<ServableVersion | null>, missing: () => string): Known<ServableVersion> {
  return whenKnown(answer, (version) => {
    if (version === null) throw notFound(missing());
    return version;
  });
}

/** There may be tens of thousands of them, and a registry's own are ten times as large. */
function servableOf(found: ServableVersion | null): ServableVersion | null {
  if (found === null) return null;
  const { name, version, storageLocation } = found;
  return { name, version, storageLocation };
}
