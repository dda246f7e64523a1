import type { Capability } from "../../shared/capability.ts";
import type { Actor } from "../../shared/identity/index.ts";

/** MLflow's registered models, their versions and aliases, and Ketline's history of them. */ import type { Manifest } from "./files/manifest.ts";

export interface Registry extends Capability {
  /** Makes the registered model when there is none of that name. */
  ensureModel(name: string, actor: Actor): Promise<void>;
  /**
   * Registers the next version, READY at once. Numbers are never reused within a model.
   *
   * @throws notFound for an unknown model, run or source; invalid for a source on somebody's local disk.
   */
  createVersion(version: NewVersion): Promise<ModelVersion>;
  /** @throws notFound. */
  getVersion(name: string, version: number): Promise<ModelVersion>;
  /** @returns null when there is no such model or alias. */
  getByAlias(name: string, alias: string): Promise<ModelVersion | null>;
  /** The highest READY version. @returns null when there is no such model or version. */
  getNewestReady(name: string): Promise<ModelVersion | null>;
  /** In the order of their names. */
  listModels(page?: { readonly limit?: number; readonly cursor?: string }): Promise<ModelPage>;
  /** Newest first. @throws notFound for an unknown model. */
  listVersions(name: string): Promise<readonly ModelVersion[]>;
  /** The versions that were made of these runs, in the order of their names and numbers. */
  versionsOfRuns(runIds: readonly string[]): Promise<readonly RunVersion[]>;
  /**
   * Points an alias at a version.
   *
   * @throws notFound for an unknown model or version; invalid for a bad alias; preconditionFailed when the alias does
   *   not stand where `change.expectedVersion` says.
   */
  setAlias(name: string, alias: string, version: number, change: AliasChange): Promise<void>;
  /** @returns whether there was one. */
  deleteAlias(name: string, alias: string, change: AliasChange): Promise<boolean>;
  /** Where a version's files lie: a blob key prefix without a trailing slash. @throws notFound, invalid. */
  artifactPrefix(name: string, version: number): Promise<string>;
  /** What these files were at registration; null where Ketline does not keep them, or none is there. @throws notFound. */
  manifest(name: string, version: number): Promise<Manifest | null>;
  /**
   * What a version names stays as it is from its registration on.
   *
   * @param key a blob's; for a deletion also that of a folder
   * @throws conflict naming a version whose files a write at this key, or a deletion of all below it, would touch
   */
  refuseFrozen(key: string, change: "write" | "delete"): Promise<void>;
  /**
   * Grows with every change of the registry, in the order in which changes became visible. Cheap: one row. A reader
   * that sees the same number again may keep what it read.
   */
  revision(): Promise<number>;
}

export interface NewVersion {
  readonly name: string;
  /** `runs:/<run>/<path>`, `models:/m-<id>`, `models:/<name>/<version>`, `mlflow-artifacts:/…` or a remote URI. */
  readonly source: string;
  readonly runId?: string;
  readonly tags?: Readonly<Record<string, string>>;
  readonly description?: string;
  readonly actor: Actor;
}

export interface ModelVersion {
  readonly name: string;
  readonly version: number;
  readonly createdMs: number;
  readonly updatedMs: number;
  readonly description: string;
  /** `None`, `Staging`, `Production` or `Archived`. */
  readonly stage: string;
  /** As it was given at registration. */
  readonly source: string;
  /** Where the files are, resolved at registration. */
  readonly storageLocation: string;
  readonly runId: string | null;
  readonly modelId: string | null;
  readonly status: "READY";
  readonly tags: Readonly<Record<string, string>>;
  readonly aliases: readonly string[];
}

export interface RunVersion {
  readonly name: string;
  readonly version: number;
  readonly runId: string;
}

export interface ModelSummary {
  readonly name: string;
  readonly createdMs: number;
  readonly updatedMs: number;
  readonly description: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly aliases: Readonly<Record<string, number>>;
  /** 0 when the model has no version. */
  readonly newestVersion: number;
}

export interface ModelPage {
  readonly items: readonly ModelSummary[];
  readonly nextCursor?: string;
}

/** Who changes an alias, and why. */
export interface AliasChange {
  readonly actor: Actor;
  readonly reason?: string;
  /** Change it only if the alias stands here now; null: only if there is no such alias. */
  readonly expectedVersion?: number | null;
}
