/** What the server has acknowledged, and so must never forget. */
export interface Ledger {
  readonly runs: Map<string, AcknowledgedRun>;
  /** Path to SHA-256. */
  readonly artifacts: Map<string, string>;
  /** `<name>/<version>`, registered: their profiles may come later. */
  readonly datasets: Set<string>;
  /** Model name to the versions that were created, and the alias `champion` as it was moved last. */
  readonly models: Map<string, AcknowledgedModel>;
  /** Deployment name to the revisions that were made. */
  readonly deployments: Map<string, Set<number>>;
  acknowledged: number;
}

export interface AcknowledgedRun {
  /** Key to every value logged, in the order of the steps. */
  readonly metrics: Map<string, number[]>;
  readonly params: Map<string, string>;
  readonly tags: Map<string, string>;
}

export interface AcknowledgedModel {
  readonly versions: Set<string>;
  /** Undefined while a move is not answered: either is right then. */
  champion: string | undefined;
}

export function emptyLedger(): Ledger {
  return {
    runs: new Map(),
    artifacts: new Map(),
    datasets: new Set(),
    models: new Map(),
    deployments: new Map(),
    acknowledged: 0,
  };
}
