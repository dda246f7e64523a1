import type { Clock } from "../../../shared/clock.ts";
import { conflict, invalid, notFound, preconditionFailed } from "../../../shared/errors.ts";
import { invalidBySchema } from "../../../shared/http/index.ts";
import type { AuditLog } from "../../../shared/identity/index.ts";
import type { Events } from "../../../shared/telemetry/index.ts";
import { endActiveRollout } from "../rollouts/progress.ts";
import {
  type Deployment,
  type DeploymentChange,
  DeploymentName,
  type DeploymentRevision,
  DeploymentSpec,
  type Shadow,
  type Variant,
} from "../schemas.ts";
import type { ChangeAuthor, Serving } from "../serving.ts";
import { defaultTimeoutMs, leftBehind, restoredRevision, rollbackTarget, specOf } from "./revisions.ts";
import type { DeploymentStore, DeploymentWriter, StoredDeployment } from "./store.ts";

/** Deployments and their history. */
export interface Deployments
  extends Pick<Serving, "getDeployment" | "listDeployments" | "listRevisions" | "markRevision"> {
  /** As `Serving` says; with `alongside` it is a step of a rollout. */
  changeDeployment(
    name: string,
    change: DeploymentChange,
    by: ChangeAuthor & WithAlongside,
  ): Promise<Deployment>;
  rollback(
    name: string,
    by: ChangeAuthor & WithAlongside & { readonly toRevision?: number },
  ): Promise<Deployment>;
  getRevision(name: string, revision: number): Promise<DeploymentRevision>;
  /** Ends a deployment; its history stays, and the name may be used again. @throws not_found; precondition_failed */
  deleteDeployment(name: string, by: ChangeAuthor): Promise<void>;
}

/** What a rollout writes in the same transaction as the revision that it makes. Any other change ends the rollout. */
export interface Alongside {
  /** The rollout that the revision is a step of. */
  readonly rollout: string | null;
  /** What it throws undoes the change. */
  write(change: DeploymentWriter, revision: DeploymentRevision): Promise<void>;
}

interface WithAlongside {
  readonly alongside?: Alongside;
}

export interface DeploymentsOptions {
  readonly store: DeploymentStore;
  readonly audit: AuditLog;
  readonly clock: Clock;
  readonly events: Pick<Events, "deploymentChanged">;
  /** Called when a deployment has changed. */
  readonly onChange: () => void;
  /** @throws when the version or alias is not there, or with `load` when it cannot be served */
  readonly checkTarget: (target: Variant | Shadow, load: boolean) => Promise<void>;
}

const maxRevisionsRead = 1000;

export function createDeployments({
  store,
  audit,
  clock,
  events,
  onChange,
  checkTarget,
}: DeploymentsOptions): Deployments {
  const record = async (
    { deployment, revision, change, reason }: DeploymentRevision,
    before: Deployment | null,
    after: Deployment | null,
    by: ChangeAuthor,
  ) => {
    onChange();
    events.deploymentChanged({ deployment, revision, change, actor: by.actor.id, reason });
    await audit.record({
      actor: by.actor,
      action: `deployment.${change}`,
      subject: `deployment/${deployment}`,
      before: before === null ? null : { revision: before.revision, ...specOf(before) },
      after: after === null ? null : { revision: after.revision, ...specOf(after) },
      reason: by.reason,
    });
  };
  const append = async (
    writer: DeploymentWriter,
    given: NewRevision,
    alongside?: Alongside,
  ): Promise<DeploymentRevision> => {
    const revision: DeploymentRevision = {
      ...given,
      rollout: alongside?.rollout ?? null,
      createdMs: clock(),
      health: "unjudged",
      healthReason: null,
    };
    await writer.append(revision);
    if (alongside === undefined) await endActiveRollout(writer.rollouts, revision);
    else await alongside.write(writer, revision);
    return revision;
  };
  const allRevisions = (reader: Pick<DeploymentStore, "revisions">, name: string) =>
    reader.revisions(name, Number.MAX_SAFE_INTEGER, maxRevisionsRead);

  return {
    getDeployment: async (name) => existing(await store.find(name), name),
    async listDeployments({ limit = 100, cursor } = {}) {
      const items = await store.list(cursor ?? "", limit + 1);
      return paged(items, limit, (last) => last.name);
    },
    async listRevisions(name, { limit = 100, cursor } = {}) {
      const below = cursor === undefined ? Number.MAX_SAFE_INTEGER : Number(cursor);
      if (!Number.isSafeInteger(below)) throw invalid(`cursor is "${cursor}"; take it from nextCursor.`);
      const items = await store.revisions(name, below, limit + 1);
      if (items.length === 0 && cursor === undefined) throw unknown(name);
      return paged(items, limit, (last) => String(last.revision));
    },
    getRevision: async (name, revision) => findRevision(store, name, revision),

    async changeDeployment(name, change, by) {
      checkName(name);
      await checkTargets(change, checkTarget);
      const { made, before, after } = await store.change(async (writer) => {
        const found = await writer.find(name);
        checkExpected(found, name, by.expectedRevision);
        const current = found === null || found.deleted ? null : found.deployment;
        const spec = merged(name, current, change);
        const revision: NewRevision = {
          deployment: name,
          revision: (found?.deployment.revision ?? 0) + 1,
          change: current === null ? "create" : "change",
          spec,
          ...authored(by),
          restores: null,
        };
        const made = await append(writer, revision, by.alongside);
        return { made, before: current, after: existing(await writer.find(name), name) };
      });
      await record(made, before, after, by);
      return after;
    },

    async rollback(name, by) {
      for (;;) {
        // What the registry has is read before the change begins: inside it the database is locked.
        const planned = rollbackTarget(await allRevisions(store, name), name, by.toRevision);
        await checkTargets(planned.spec, async (target) => {
          await checkTarget(target, false).catch((error: unknown) => {
            const reason = error instanceof Error ? error.message : String(error);
            throw conflict(`Revision ${planned.revision} of "${name}" cannot be restored: ${reason}`);
          });
        });
        const result = await store.change(async (writer) => {
          const found = await writer.find(name);
          checkExpected(found, name, by.expectedRevision);
          const before = existing(found, name);
          const revisions = await allRevisions(writer, name);
          const target = rollbackTarget(revisions, name, by.toRevision);
          if (target.revision !== planned.revision) return null;
          const left = restoredRevision(revisions, before.revision);
          const restores = target.restores ?? target.revision;
          // Going forward again says nothing against what is left.
          if (restores < left) {
            for (const number of leftBehind(revisions, left, before.revision, restores)) {
              await writer.setHealth(name, number, "unhealthy", by.reason);
            }
          }
          const revision: NewRevision = {
            deployment: name,
            revision: before.revision + 1,
            change: "rollback",
            spec: target.spec,
            ...authored(by),
            restores,
          };
          const made = await append(writer, revision, by.alongside);
          return { made, before, after: existing(await writer.find(name), name) };
        });
        if (result === null) continue;
        await record(result.made, result.before, result.after, by);
        return result.after;
      }
    },

    async markRevision(name, revision, health, by) {
      const before = await findRevision(store, name, revision);
      await store.change((writer) => writer.setHealth(name, revision, health, by.reason));
      await audit.record({
        actor: by.actor,
        action: "deployment.mark",
        subject: `deployment/${name}/revisions/${revision}`,
        before: { health: before.health },
        after: { health },
        reason: by.reason,
      });
      return findRevision(store, name, revision);
    },

    async deleteDeployment(name, by) {
      const { made, before } = await store.change(async (writer) => {
        const found = await writer.find(name);
        checkExpected(found, name, by.expectedRevision);
        const current = existing(found, name);
        const made = await append(writer, {
          deployment: name,
          revision: current.revision + 1,
          change: "delete",
          spec: specOf(current),
          ...authored(by),
          restores: null,
        });
        return { made, before: current };
      });
      await record(made, before, null, by);
    },
  };
}

type NewRevision = Omit<DeploymentRevision, "createdMs" | "rollout" | "health" | "healthReason">;

function authored({ actor, reason }: ChangeAuthor): Pick<DeploymentRevision, "author" | "reason"> {
  return { author: { id: actor.id, name: actor.name }, reason: reason.replaceAll("\u0000", "") };
}

function checkName(name: string): void {
  const parsed = DeploymentName.safeParse(name);
  if (!parsed.success) throw invalidBySchema(parsed.error, name, "name");
}

async function checkTargets(
  { variants = [], shadows = [] }: DeploymentChange,
  check: DeploymentsOptions["checkTarget"],
): Promise<void> {
  for (const target of [...variants, ...shadows]) await check(target, true);
}

/** @param expected 0: there must be none yet */
function checkExpected(found: StoredDeployment | null, name: string, expected: number | undefined): void {
  const current = found === null || found.deleted ? 0 : found.deployment.revision;
  if (expected === undefined || expected === current) return;
  const now = current === 0 ? "there is no such deployment" : `it is at revision ${current}`;
  const madeFor = expected === 0 ? `to create "${name}"` : `for revision ${expected} of "${name}"`;
  throw preconditionFailed(
    `The change was made ${madeFor}, but ${now}; read it again and repeat the change with its revision in If-Match.`,
    { members: { currentRevision: current } },
  );
}

function merged(name: string, current: Deployment | null, change: DeploymentChange): DeploymentSpec {
  const base =
    current === null
      ? { shadows: [], sticky: null, timeoutMs: defaultTimeoutMs, batching: true }
      : specOf(current);
  const given = Object.entries(change).filter(([, value]) => value !== undefined);
  const wanted = { ...base, ...Object.fromEntries(given) };
  const parsed = DeploymentSpec.safeParse(wanted);
  if (!parsed.success) throw invalidBySchema(parsed.error, wanted, `deployment "${name}"`);
  const spec = parsed.data;
  const total = spec.variants.reduce((sum, { weight }) => sum + weight, 0);
  if (Math.abs(total - 100) > 1e-6) {
    throw invalid(`The weights of the variants sum to ${total}; they must sum to 100.`, {
      field: "variants",
    });
  }
  const names = new Set<string>();
  for (const { name: variant } of [...spec.variants, ...spec.shadows]) {
    if (names.has(variant)) {
      throw invalid(`Two variants or shadows are called "${variant}"; each needs a name of its own.`, {
        field: "variants",
      });
    }
    names.add(variant);
  }
  return spec;
}

function existing(found: StoredDeployment | null, name: string): Deployment {
  if (found === null || found.deleted) throw unknown(name);
  return found.deployment;
}

function unknown(name: string) {
  return notFound(`There is no deployment "${name}".`);
}

async function findRevision(
  store: DeploymentStore,
  name: string,
  revision: number,
): Promise<DeploymentRevision> {
  const [found] = await store.revisions(name, revision + 1, 1);
  if (found?.revision === revision) return found;
  throw notFound(`Deployment "${name}" has no revision ${revision}.`);
}

function paged<Item>(items: readonly Item[], limit: number, cursorOf: (last: Item) => string) {
  const page = items.slice(0, limit);
  const last = page.at(-1);
  return items.length > limit && last !== undefined
    ? { items: page, nextCursor: cursorOf(last) }
    : { items: page };
}
