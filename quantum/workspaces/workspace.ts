import type { Profile } from "../simulator/tasks.ts";
import { type JobStatus, jobStatuses } from "./wire.ts";

/**
 * Where quantum jobs run: the simulators of this server, or a workspace of Azure Quantum. Times are milliseconds since
 * 1970 UTC.
 */
export interface QuantumWorkspace {
  readonly kind: "local" | "azure";
  /** For people: `local`, or the resource id. */
  readonly name: string;
  targets(signal: AbortSignal): Promise<readonly WorkspaceTarget[]>;
  /**
   * Uploads the input and submits the job under the caller's id. Submitting again with the same id changes nothing.
   *
   * @throws invalid or notFound when the workspace refuses it
   */
  submit(job: NewWorkspaceJob, signal: AbortSignal): Promise<WorkspaceJob>;
  /** @throws notFound */
  job(id: string, signal: AbortSignal): Promise<WorkspaceJob>;
  /** Newest first, at most 100. */
  jobs(filter: JobListFilter, signal: AbortSignal): Promise<readonly WorkspaceJob[]>;
  /** Asks it to stop; a job that ended stays as it is. @throws notFound */
  cancel(id: string, signal: AbortSignal): Promise<WorkspaceJob>;
  /**
   * Waits until the job ended or the time is up, whichever is first, and tells of every change of its status.
   *
   * @returns the job as it then is
   */
  follow(id: string, options: FollowOptions): Promise<WorkspaceJob>;
  /** What a job that succeeded wrote. @throws conflict before it has succeeded */
  results(id: string, signal: AbortSignal): Promise<WorkspaceResults>;
}

export interface WorkspaceTarget {
  readonly id: string;
  readonly providerId: string;
  readonly availability: "Available" | "Degraded" | "Unavailable";
  readonly averageQueueTimeSeconds: number;
  /** Null where the provider does not say. */
  readonly qubits: number | null;
  /** The QIR profile that programs must fit; null where the provider takes no QIR or does not say. */
  readonly profile: Profile | null;
  readonly noisy: boolean;
  readonly description: string | null;
  readonly statusPage: string | null;
}

export interface NewWorkspaceJob {
  readonly id: string;
  readonly name: string;
  readonly target: string;
  readonly providerId: string;
  readonly input: { readonly format: string; readonly contentType: string; readonly text: string };
  readonly outputFormat: string;
  readonly inputParams: Readonly<Record<string, unknown>>;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tags: readonly string[];
}

export interface WorkspaceJob {
  readonly id: string;
  readonly name: string;
  readonly target: string;
  readonly status: JobStatus;
  readonly createdMs: number | null;
  readonly startedMs: number | null;
  readonly endedMs: number | null;
  readonly error: { readonly code: string; readonly message: string } | null;
  /** What the provider billed; null where it does not say. */
  readonly cost: { readonly amount: number; readonly currency: string } | null;
  readonly usage: Readonly<Record<string, unknown>>;
}

export interface JobListFilter {
  readonly namePrefix?: string;
  readonly statuses?: readonly JobStatus[];
  readonly target?: string;
}

export interface FollowOptions {
  readonly signal: AbortSignal;
  /** How long to wait at most. */
  readonly forMs: number;
  readonly onStatus?: (job: WorkspaceJob) => void | Promise<void>;
  /** From 0 to 1, where the workspace tells. */
  readonly onProgress?: (done: number) => void;
}

export interface WorkspaceResults {
  /** E.g. `microsoft.quantum-results.v2`. */
  readonly format: string;
  readonly document: unknown;
}

/** Statuses that a job does not leave. `Completed` and `Succeeded` are two words for one thing. */
export function hasEnded(status: JobStatus): boolean {
  return hasSucceeded(status) || status === "Failed" || status === "Cancelled";
}

export function hasSucceeded(status: JobStatus): boolean {
  return status === "Completed" || status === "Succeeded";
}

/** A status as a service writes it; one that is not known counts as still under way. */
export function jobStatusOf(text: string): JobStatus {
  return jobStatuses.find((known) => known.toLowerCase() === text.toLowerCase()) ?? "Executing";
}
