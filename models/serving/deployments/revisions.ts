import { conflict, notFound } from "../../../shared/errors.ts";
import type { Deployment, DeploymentRevision, DeploymentSpec } from "../schemas.ts";

export const defaultTimeoutMs = 10_000;

/** The part of a deployment that a revision keeps. */
export function specOf(deployment: Deployment | DeploymentSpec): DeploymentSpec {
  const { variants, shadows, sticky, timeoutMs, batching } = deployment;
  return { variants, shadows, sticky, timeoutMs, batching };
}

/**
 * The revision that a rollback brings back. Without a wish it is the newest one before the current that serves something
 * else and was not found unhealthy; where some were found healthy, the newest of those. A rollback counts as the revision
 * that it restored, so that rolling back twice goes back twice; the steps of a rollout count as one change.
 *
 * @param revisions newest first, the current one at the front
 * @throws not_found when there is no such revision; conflict when there is nothing to go back to, or nothing to change
 */
export function rollbackTarget(
  revisions: readonly DeploymentRevision[],
  name: string,
  wanted: number | undefined,
): DeploymentRevision {
  const [current] = revisions;
  if (current === undefined || current.change === "delete")
    throw notFound(`There is no deployment "${name}".`);
  if (wanted !== undefined) {
    const target = revisions.find(({ revision }) => revision === wanted);
    if (target === undefined) throw notFound(`Deployment "${name}" has no revision ${wanted}.`);
    if (target.revision === current.revision || sameSpec(target, current)) {
      throw conflict(`Deployment "${name}" already serves what revision ${wanted} says.`);
    }
    return target;
  }
  const before = restoredRevision(revisions, current.revision);
  const rollout = rolloutOf(revisions, before);
  const candidates = revisions.filter(
    (revision) =>
      revision.revision < before &&
      revision.change !== "delete" &&
      (rollout === null || revision.rollout !== rollout) &&
      revision.health !== "unhealthy" &&
      !sameSpec(revision, current),
  );
  const target = candidates.find(({ health }) => health === "healthy") ?? candidates[0];
  if (target === undefined) {
    throw conflict(
      `Deployment "${name}" has no earlier revision to go back to: all before revision ${before} serve the same or were found unhealthy. Name one with toRevision.`,
    );
  }
  return target;
}

/** The revision whose content this one has: itself, unless it is a rollback. */
export function restoredRevision(revisions: readonly DeploymentRevision[], revision: number): number {
  return revisions.find((candidate) => candidate.revision === revision)?.restores ?? revision;
}

/**
 * The revisions that a rollback speaks against: the current one, what it had restored, and with a step of a rollout its
 * other steps that are left behind, which serve the same new version.
 *
 * @param left the revision whose content is left
 * @param restores the revision whose content comes back
 */
export function leftBehind(
  revisions: readonly DeploymentRevision[],
  left: number,
  current: number,
  restores: number,
): readonly number[] {
  const rollout = rolloutOf(revisions, left);
  return revisions
    .filter(
      (candidate) =>
        candidate.revision === left ||
        candidate.revision === current ||
        (rollout !== null && candidate.rollout === rollout && candidate.revision > restores),
    )
    .map(({ revision }) => revision);
}

function rolloutOf(revisions: readonly DeploymentRevision[], revision: number): string | null {
  return revisions.find((candidate) => candidate.revision === revision)?.rollout ?? null;
}

export function sameSpec(a: Pick<DeploymentRevision, "spec">, b: Pick<DeploymentRevision, "spec">): boolean {
  return JSON.stringify(specOf(a.spec)) === JSON.stringify(specOf(b.spec));
}
