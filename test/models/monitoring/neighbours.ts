import type { MonitoringOptions } from "../../../models/monitoring/create-monitoring.ts";
import type {
  ChangeAuthor,
  Deployment,
  DeploymentRevision,
  Prediction,
  PredictionListener,
} from "../../../models/serving/index.ts";
import { createLedger } from "../../../models/serving/traffic/ledger.ts";
import { createLedgerStore } from "../../../models/serving/traffic/store.ts";
import type { Clock } from "../../../shared/clock.ts";
import type { Database } from "../../../shared/database/index.ts";
import { notFound, preconditionFailed } from "../../../shared/errors.ts";

type Spec = DeploymentRevision["spec"];

/** What monitoring sees of serving, without models: revisions as they are told, predictions as they are given. */
export interface ServingStandIn
  extends Pick<
    NonNullable<MonitoringOptions["serving"]>,
    | "onPrediction"
    | "getDeployment"
    | "listDeployments"
    | "listRevisions"
    | "rollback"
    | "markRevision"
    | "trafficOf"
  > {
  predict(prediction: Prediction): void;
  /** The next revision: these versions of the model "late" answer. */
  deploy(name: string, ...versions: string[]): DeploymentRevision;
  readonly rollbacks: { readonly name: string; readonly by: ChangeAuthor }[];
}

const noTimings = { routeMs: 0, loadMs: 0, decodeMs: 0, waitMs: 0, runMs: 0 };
const author = { id: "someone", name: "Someone" };

export function servingStandIn({ clock, database }: { clock: Clock; database: Database }): ServingStandIn {
  const ledger = createLedger({ store: createLedgerStore(database, "stand-in"), clock });
  const listeners = new Set<PredictionListener>();
  const deployments = new Map<string, DeploymentRevision[]>();
  const rollbacks: ServingStandIn["rollbacks"] = [];
  const revisionsOf = (name: string): DeploymentRevision[] => {
    const revisions = deployments.get(name);
    if (revisions === undefined) throw notFound(`There is no deployment "${name}".`);
    return revisions;
  };
  const add = (name: string, spec: Spec, change: DeploymentRevision["change"]): DeploymentRevision => {
    const revisions = deployments.get(name) ?? [];
    deployments.set(name, revisions);
    const revision: DeploymentRevision = {
      deployment: name,
      revision: revisions.length + 1,
      change,
      spec,
      author,
      reason: "a test",
      createdMs: clock(),
      restores: null,
      rollout: null,
      health: "unjudged",
      healthReason: null,
    };
    revisions.unshift(revision);
    return revision;
  };
  const deploymentOf = (name: string): Deployment => {
    const revisions = revisionsOf(name);
    const current = revisions[0]!;
    const { revision, spec, createdMs, reason } = current;
    return { name, revision, ...spec, createdMs, updatedMs: createdMs, updatedBy: author, reason };
  };
  return {
    rollbacks,
    trafficOf: ledger.trafficOf,
    onPrediction(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    predict(prediction) {
      ledger.add({ prediction, timings: noTimings, executions: 1, answered: null });
      for (const listener of listeners) listener(prediction);
    },
    deploy(name, ...versions) {
      const variants = versions.map((version, i) => ({
        name: `v${i}`,
        model: "late",
        version,
        weight: 100 / versions.length,
      }));
      const spec: Spec = { variants, shadows: [], sticky: null, timeoutMs: 10_000, batching: true };
      return add(name, spec, deployments.has(name) ? "change" : "create");
    },
    getDeployment: async (name) => deploymentOf(name),
    listDeployments: async () => ({ items: [...deployments.keys()].map(deploymentOf) }),
    listRevisions: async (name, page) => ({ items: revisionsOf(name).slice(0, page?.limit ?? 100) }),
    async rollback(name, by) {
      const [current, previous] = revisionsOf(name);
      if (by.expectedRevision !== undefined && by.expectedRevision !== current!.revision) {
        throw preconditionFailed(`It has revision ${current!.revision}.`);
      }
      rollbacks.push({ name, by });
      add(name, previous!.spec, "rollback");
      return deploymentOf(name);
    },
    async markRevision(name, number, health, { reason }) {
      const revisions = revisionsOf(name);
      const index = revisions.findIndex((each) => each.revision === number);
      revisions[index] = { ...revisions[index]!, health, healthReason: reason };
      return revisions[index];
    },
  };
}

/** Version numbers exist up to this; their files lie under `models/<name>/<version>`. */
export function registryStandIn(versions: number): MonitoringOptions["registry"] {
  const check = (name: string, version: number) => {
    if (name !== "late" || version > versions) throw notFound(`There is no version ${version} of "${name}".`);
  };
  return {
    async artifactPrefix(name, version) {
      check(name, version);
      return `models/${name}/${version}`;
    },
    async getVersion(name, version) {
      check(name, version);
      return {} as Awaited<ReturnType<MonitoringOptions["registry"]["getVersion"]>>;
    },
    async listVersions(name) {
      check(name, 1);
      return [];
    },
  };
}
