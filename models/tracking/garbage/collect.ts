import { type BlobStat, deleteBlobs } from "../../../shared/blobs/index.ts";
import { storeOf, type TrackingContext, transact } from "../context.ts";
import { findExperiment } from "../store/experiments.ts";
import type { GarbageRow } from "../store/tables.ts";
import { type ArtifactUses, followUses, pathsTo } from "./artifact-uses.ts";
import { type GarbageReport, type GarbageSpec, maxNames, type Named } from "./schemas.ts";
import {
  type Candidate,
  condemn,
  condemnExperiment,
  countGarbage,
  deleteLeftovers,
  forget,
  type OwnerKind,
  type Scope,
  selectCondemned,
  selectGarbage,
  selectGarbageExperiments,
  selectOwners,
} from "./store.ts";
import { keptAt, unnamedBlobs } from "./unnamed-blobs.ts";

const dayMs = 86_400_000;
/** How many runs or models leave the world in one transaction, and how many rows of theirs in each of those after it. */
const batchSize = 100;
const leftoversAtOnce = 5000;
const root = "artifacts";

export interface Collection {
  readonly spec: GarbageSpec;
  readonly signal: AbortSignal;
  progress(done: number, message: string): void;
  /** Whether who asked for it may still do so. @throws forbidden */
  actorNow(): Promise<unknown>;
}

/**
 * Removes for good what was deleted long enough ago: runs, logged models, experiments, and files that nothing names.
 *
 * A run's own row goes first, in one transaction with a row of garbage that names what is left of it: its metrics,
 * parameters, tags and files. So nobody ever sees or restores a run half of which is missing, and whoever collects
 * next, after a crash or beside us, finds what is still to be done. The row of garbage goes last.
 */
export function createCollector(
  context: TrackingContext,
  artifactUses: ArtifactUses,
  { spec, signal, progress, actorNow }: Collection,
) {
  const { blobs } = context;
  const nowMs = context.clock();
  const scope: Scope = {
    cutoffMs: nowMs - spec.olderThanDays * dayMs,
    experimentIds: spec.experimentIds?.map(Number),
  };
  const store = storeOf(context);
  const uses = followUses(artifactUses, keptAt);
  const search = { blobs, store, uses };
  const tally = createTally(spec.dryRun, scope.cutoffMs);
  /** Experiments that must stay, because something in them does. */
  const needed = new Set<number>();

  return {
    report: tally.report,

    async run(): Promise<void> {
      const leftOver = await finishEarlierOnes();
      const total = (await countGarbage(store, "run", scope)) + (await countGarbage(store, "model", scope));
      let done = 0;
      for (const kind of ["run", "model"] as const) {
        for await (const page of candidates(kind)) {
          await actorNow();
          await take(kind, page);
          done += page.length;
          progress(0.8 * Math.min(1, done / Math.max(1, total)), `${done} of ${total} runs and models`);
        }
      }
      await takeExperiments();
      await takeOrphans(leftOver);
    },
  };

  /** What a collector that was interrupted has left. @returns the places, for a dry run that leaves them there. */
  async function finishEarlierOnes(): Promise<ReadonlySet<string>> {
    const places = new Set<string>();
    let after: GarbageRow | undefined;
    for (;;) {
      const page = await selectCondemned(store, after, batchSize);
      for (const row of page) {
        const place = keptAt(row.artifact_uri);
        if (spec.dryRun && place !== undefined) {
          places.add(place);
          await takeFiles(place);
        }
        if (!spec.dryRun) await finish(row);
      }
      const last = page.at(-1);
      if (last === undefined) return places;
      after = last;
    }
  }

  async function* candidates(kind: OwnerKind): AsyncGenerator<Candidate[]> {
    for (let after = ""; ; ) {
      signal.throwIfAborted();
      const page = await selectGarbage(store, kind, scope, { after, limit: batchSize });
      const last = page.at(-1);
      if (last === undefined) return;
      yield page;
      after = last.id;
    }
  }

  async function take(kind: OwnerKind, page: readonly Candidate[]): Promise<void> {
    const inForce = await uses();
    const going: Candidate[] = [];
    for (const candidate of page) {
      if (inForce.needs({ id: candidate.id, prefix: keptAt(candidate.artifact_uri) })) {
        needed.add(candidate.experiment_id);
        tally.keep(kind);
      } else going.push(candidate);
    }
    if (spec.dryRun) {
      tally.take(kind, going);
      for (const { artifact_uri } of going) await takeFiles(keptAt(artifact_uri));
      return;
    }
    const ids = going.map(({ id }) => id);
    const taken =
      ids.length === 0 ? [] : await transact(context, (trx) => condemn(trx, kind, scope, ids, nowMs));
    tally.take(kind, taken);
    for (const { id, experiment_id, artifact_uri } of taken) {
      await finish({ kind, id, experiment_id, artifact_uri, condemned_ms: nowMs });
    }
  }

  /** Removes all that is left of a condemned row, and then what says so. Whatever happens in between, it can be repeated. */
  async function finish(row: GarbageRow): Promise<void> {
    // A run that was imported anew under its old id owns what is there.
    const isBack = row.kind !== "experiment" && (await selectOwners(store, [row.id], scope)).length > 0;
    if (!isBack) {
      for (let deleted = 1; deleted > 0; ) {
        signal.throwIfAborted();
        deleted = await transact(context, (trx) => deleteLeftovers(trx, row, leftoversAtOnce));
      }
      if (row.kind !== "experiment") await takeFiles(keptAt(row.artifact_uri));
    }
    await forget(store, row);
  }

  async function takeFiles(prefix: string | undefined): Promise<void> {
    // The root holds everybody's files.
    if (prefix === undefined || prefix === root) return;
    const asIfGone = spec.dryRun ? { asIfGone: scope } : {};
    for await (const page of unnamedBlobs(search, { prefix, ...asIfGone })) {
      signal.throwIfAborted();
      tally.takeFiles(spec.dryRun ? page : await deleteBlobs(blobs, page));
    }
  }

  async function takeExperiments(): Promise<void> {
    for (let after = 0; ; ) {
      signal.throwIfAborted();
      const page = await selectGarbageExperiments(store, scope, { after, limit: batchSize });
      const last = page.at(-1);
      if (last === undefined) return;
      for (const { experiment_id: id, name } of page) {
        const goes = spec.dryRun
          ? !needed.has(id)
          : await transact(context, (trx) => condemnExperiment(trx, id, scope.cutoffMs, nowMs));
        if (!goes) continue;
        tally.take("experiment", [{ id: String(id), name }]);
        if (spec.dryRun) continue;
        await finish({
          kind: "experiment",
          id: String(id),
          experiment_id: id,
          artifact_uri: "",
          condemned_ms: nowMs,
        });
      }
      after = last.experiment_id;
    }
  }

  /** @param counted places whose files a dry run has counted already */
  async function takeOrphans(counted: ReadonlySet<string>): Promise<void> {
    // A day at least: what was sent just now may be named in a moment.
    const modifiedBeforeMs = Math.min(scope.cutoffMs, nowMs - dayMs);
    for (const prefix of await orphanage()) {
      for await (const page of unnamedBlobs(search, { prefix, modifiedBeforeMs })) {
        signal.throwIfAborted();
        const found = page.filter(({ key }) => !pathsTo(key).some((at) => counted.has(at)));
        tally.takeOrphans(spec.dryRun ? found : await deleteBlobs(blobs, found));
        progress(0.9, `${tally.report().orphans.files} files that nothing names`);
      }
    }
  }

  /** Where to look: everywhere, or where the experiments keep their files. */
  async function orphanage(): Promise<string[]> {
    if (scope.experimentIds === undefined) return [root];
    const places = new Set<string>();
    for (const id of scope.experimentIds) {
      const experiment = await findExperiment(store, id);
      const place = experiment === undefined ? `${root}/${id}` : keptAt(experiment.artifact_location);
      if (place !== undefined && place !== root) places.add(place);
    }
    return [...places];
  }
}

function createTally(dryRun: boolean, deletedBeforeMs: number) {
  const counts = { run: 0, model: 0, experiment: 0 };
  const kept = { run: 0, model: 0 };
  const names: Record<keyof typeof counts, Named[]> = { run: [], model: [], experiment: [] };
  const artifacts = { files: 0, bytes: 0 };
  const orphans = { files: 0, bytes: 0 };
  const orphanNames: string[] = [];
  const add = (amount: { files: number; bytes: number }, found: readonly BlobStat[]) => {
    amount.files += found.length;
    for (const { sizeBytes } of found) amount.bytes += sizeBytes;
  };
  return {
    keep(kind: OwnerKind) {
      kept[kind]++;
    },
    take(kind: keyof typeof counts, taken: readonly Named[]) {
      counts[kind] += taken.length;
      const room = maxNames - names[kind].length;
      names[kind].push(...taken.slice(0, room).map(({ id, name }) => ({ id, name })));
    },
    takeFiles: (found: readonly BlobStat[]) => add(artifacts, found),
    takeOrphans(found: readonly BlobStat[]) {
      add(orphans, found);
      const room = maxNames - orphanNames.length;
      orphanNames.push(...found.slice(0, room).map(({ key }) => key.slice(root.length + 1)));
    },
    report: (): GarbageReport => ({
      dryRun,
      deletedBeforeMs,
      runs: counts.run,
      loggedModels: counts.model,
      experiments: counts.experiment,
      artifacts: { ...artifacts },
      orphans: { ...orphans },
      kept: { runs: kept.run, loggedModels: kept.model },
      names: {
        runs: names.run,
        loggedModels: names.model,
        experiments: names.experiment,
        orphans: orphanNames,
      },
    }),
  };
}
