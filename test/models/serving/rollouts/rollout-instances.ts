import { createDeployments, type Deployments } from "../../../../models/serving/deployments/deployments.ts";
import { createDeploymentStore } from "../../../../models/serving/deployments/store.ts";
import { createRollouts, type Rollouts } from "../../../../models/serving/rollouts/rollouts.ts";
import type { StartRolloutBody } from "../../../../models/serving/rollouts/schemas.ts";
import { createRolloutStore } from "../../../../models/serving/rollouts/store.ts";
import { createLedger } from "../../../../models/serving/traffic/ledger.ts";
import { createLedgerStore } from "../../../../models/serving/traffic/store.ts";
import { emptyTally, type Tally } from "../../../../models/serving/traffic/tally.ts";
import type { Database } from "../../../../shared/database/index.ts";
import { notFound } from "../../../../shared/errors.ts";
import { systemActor } from "../../../../shared/identity/index.ts";
import { createLogger } from "../../../../shared/telemetry/index.ts";

/** What happens, once, at a moment that others cannot see: between what an instance read and what it does about it. */
export interface Meanwhile {
  readonly afterFinding?: () => Promise<unknown>;
  readonly afterCounting?: () => Promise<unknown>;
}

export interface Instance {
  readonly deployments: Deployments;
  readonly rollouts: Rollouts;
}

/** Instances of Ketline over one database, as far as rollouts go, with a clock that a test moves. */
export function rolloutInstances(database: Database) {
  let nowMs = 1_767_600_000_000;
  const logged: string[] = [];
  const audited: string[] = [];
  const changed: number[] = [];
  const store = createDeploymentStore(database);
  const rolloutStore = createRolloutStore(database);
  const ledgerStore = createLedgerStore(database, "test");
  const actor = systemActor("test");
  const by = { actor, reason: "by hand" };

  const instance = ({ afterFinding, afterCounting }: Meanwhile = {}): Instance => {
    const ground = {
      store,
      audit: {
        async record({ action }: { action: string }) {
          audited.push(action);
        },
      },
      clock: () => nowMs,
      checkStanding: async () => undefined,
      events: { deploymentChanged: ({ revision }: { revision: number }) => void changed.push(revision) },
      logger: createLogger(
        { logLevel: "error", codeVersion: "test" },
        { write: (line) => logged.push(line) },
      ),
    };
    const checkTarget = async () => undefined;
    const deployments = createDeployments({ ...ground, onChange: () => undefined, checkTarget });
    const rollouts = createRollouts({
      ...ground,
      rollouts: { ...rolloutStore, find: then(rolloutStore.find, afterFinding) },
      deployments,
      ledger: createLedger({
        store: { ...ledgerStore, read: then(ledgerStore.read, afterCounting) },
        clock: () => nowMs,
      }),
      versionOf: () => Promise.reject(notFound("There are no aliases here.")),
    });
    return { deployments, rollouts };
  };

  return {
    instance,
    /** Of errors. */
    logged,
    /** Actions, in order. */
    audited,
    /** Revisions that events told of, in order. */
    changed,
    actor,
    by,
    pass(ms: number) {
      nowMs += ms;
    },
    /** A deployment of one variant, "main", and the first step of a rollout of "v2". */
    async begin(name: string, body: Partial<StartRolloutBody> = {}) {
      const { deployments, rollouts } = instance();
      const variants = [{ name: "main", model: "m", version: "1", weight: 100 }];
      await deployments.changeDeployment(name, { variants }, by);
      const plan: StartRolloutBody = {
        target: { model: "m", version: "2" },
        steps: [10, 50].map((weight) => ({ weight, minutes: 1, minimumRequests: 0 })),
        gates: [],
        onFailure: "abort",
        progressDeadlineMs: 3_600_000,
        onDeadline: "pause",
        reason: "better",
        ...body,
      };
      return rollouts.start(name, plan, actor);
    },
    /** Counts requests of "v2". */
    async count(deployment: string, revision: number, tally: Partial<Tally>) {
      const about = { deployment, revision, variant: "v2", modelName: "m", modelVersion: "2", shadow: false };
      await ledgerStore.write({ windowMs: 0, ...about }, { ...emptyTally(), ...tally });
    },
  };
}

/** As `work`, and the first time, before its caller has the result, something else. */
function then<Args extends unknown[], Result>(
  work: (...args: Args) => Promise<Result>,
  meanwhile: (() => Promise<unknown>) | undefined,
): (...args: Args) => Promise<Result> {
  let left = meanwhile;
  return async (...args) => {
    const result = await work(...args);
    const now = left;
    left = undefined;
    await now?.();
    return result;
  };
}
