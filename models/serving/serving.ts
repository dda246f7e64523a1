import type { Capability } from "../../shared/capability.ts";
import type { Actor } from "../../shared/identity/index.ts";
import type { PredictionListener } from "./inference/prediction.ts";
import type { Deployment, DeploymentChange, DeploymentRevision } from "./schemas.ts";
import type { Traffic, TrafficRange } from "./traffic/ledger.ts";

/** What the rest of Ketline sees of serving. */
export interface Serving extends Capability {
  /**
   * Has `listener` told of every prediction, shadows included, after its answer was handed over.
   *
   * @returns a function that ends it
   */
  onPrediction(listener: PredictionListener): () => void;
  /**
   * What was counted of a deployment, shadows included, by revision, variant and version: exact, without sampling.
   * Of this instance up to now, of others up to their last writing, some seconds ago.
   */
  trafficOf(deployment: string, range: TrafficRange): Promise<readonly Traffic[]>;
  /** @throws not_found when there is none of that name, or when it was deleted. */
  getDeployment(name: string): Promise<Deployment>;
  listDeployments(page: PageRequest): Promise<Page<Deployment>>;
  /** Newest first. @throws not_found when there never was a deployment of that name. */
  listRevisions(name: string, page?: PageRequest): Promise<Page<DeploymentRevision>>;
  /**
   * Makes a new revision: the members of `change` replace those of the current one. Creates the deployment when there
   * is none; then `variants` must be among them.
   *
   * @throws precondition_failed when `expectedRevision` is not the current one (0: none yet); invalid when weights do
   * not sum to 100, names repeat, or a version or alias is not there.
   */
  changeDeployment(name: string, change: DeploymentChange, by: ChangeAuthor): Promise<Deployment>;
  /**
   * Makes a new revision with the content of an earlier one: of `toRevision`, or of the last healthy one. The revision
   * that is left is marked unhealthy, unless it is left for a newer one.
   *
   * @throws not_found when there is no such revision; conflict when there is nothing to go back to, or when
   * `toRevision` already is what is served.
   */
  rollback(name: string, by: ChangeAuthor & { readonly toRevision?: number }): Promise<Deployment>;
  /** Checks how versions to come would be rolled out. @throws invalid */
  checkRolloutPlan(plan: Readonly<Record<string, unknown>>): void;
  /**
   * Starts a rollout of a version, for what happens by itself. Asking again with the same `key` while it is active gives
   * the same rollout.
   *
   * @param request.plan as `POST /api/v1/deployments/{name}/rollouts` takes it, without its target
   * @returns its id
   * @throws invalid; not_found; conflict when another one is active; forbidden unless the actor is an operator
   */
  rollOut(request: RollOutRequest): Promise<string>;
  /** Where a rollout stands; null when there is none of that id. */
  rolloutStatus(
    deployment: string,
    id: string,
  ): Promise<{ readonly id: string; readonly state: string; readonly stateReason: string } | null>;
  /** Writes down what is known of a revision; rollbacks without a target pass over unhealthy ones. */
  markRevision(
    name: string,
    revision: number,
    health: DeploymentRevision["health"],
    by: ChangeAuthor,
  ): Promise<DeploymentRevision>;
}

export interface RollOutRequest {
  readonly deployment: string;
  readonly plan: Readonly<Record<string, unknown>>;
  readonly model: string;
  readonly version: number;
  /** Stands in the reason of the rollout. */
  readonly key: string;
  readonly reason: string;
  readonly actor: Actor;
}

export interface ChangeAuthor {
  readonly actor: Actor;
  /** Why, for those who read the history. */
  readonly reason: string;
  /** The revision that the change was made for; without it the change is applied to whatever is current. */
  readonly expectedRevision?: number;
}

export interface PageRequest {
  /** 100 by default, at most 1000. */
  readonly limit?: number;
  readonly cursor?: string;
}

export interface Page<Item> {
  readonly items: readonly Item[];
  /** Present when there is more. */
  readonly nextCursor?: string;
}
