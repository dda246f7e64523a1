import type { Experiment } from "../../../clients/mlflow/index.ts";
import { conflict, notFound } from "../../../shared/errors.ts";
import { type Copying, type ExperimentPair, ifThere } from "./copying.ts";
import { freeName } from "./names.ts";

/** What is to become of one experiment of the source. */
export interface PlannedExperiment {
  readonly source: Experiment;
  /** Ids begin anew on every server: the time of its making keeps one experiment 1 from another. */
  readonly key: string;
  readonly to:
    | { readonly kind: "new"; readonly name: string }
    | { readonly kind: "existing"; readonly id: string };
  /** Made by an earlier transfer, or by an attempt of this one. */
  readonly isOurs: boolean;
}

type Plan = Pick<Copying, "source" | "target" | "ledger" | "request" | "signal">;

/**
 * Decides where each experiment goes, before anything is written.
 *
 * @throws notFound for one that the source does not have; conflict when names are taken and may not be.
 */
export async function planExperiments(plan: Plan): Promise<PlannedExperiment[]> {
  const planned: PlannedExperiment[] = [];
  const taken: string[] = [];
  for (const source of await chosenExperiments(plan)) {
    const decided = await decide(plan, source);
    if (decided === "taken") taken.push(source.name);
    else planned.push(decided);
  }
  if (taken.length > 0) throw nameConflict("experiments", taken);
  return planned;
}

export function nameConflict(what: string, names: readonly string[]) {
  const more = names.length > 10 ? ` and ${names.length - 10} more` : "";
  return conflict(
    `The target has ${what} of these names already: ${names.slice(0, 10).join(", ")}${more}. Choose onConflict "merge" or "rename", or leave them out.`,
  );
}

async function chosenExperiments({ source, request, signal }: Plan): Promise<Experiment[]> {
  const { experiments, includeDeleted } = request;
  const view_type = includeDeleted ? ("ALL" as const) : ("ACTIVE_ONLY" as const);
  const found: Experiment[] = [];
  const wanted = new Set(experiments === "all" ? [] : experiments);
  if (experiments !== "all" && wanted.size === 0) return [];
  for await (const experiment of source.experiments.search({ view_type }, { signal })) {
    const byName = wanted.delete(experiment.name);
    const byId = wanted.delete(experiment.experiment_id);
    if (experiments === "all" || byName || byId) found.push(experiment);
  }
  const [missing] = wanted;
  if (missing !== undefined) throw notFound(`The source has no experiment "${missing}", by name or by id.`);
  // Oldest first, so that they get their ids in the same order.
  return found.toSorted((a, b) => Number(a.experiment_id) - Number(b.experiment_id));
}

async function decide(plan: Plan, source: Experiment): Promise<PlannedExperiment | "taken"> {
  const { target, ledger, request, signal } = plan;
  const key = `${source.experiment_id}@${source.creation_time ?? ""}`;
  const item = await ledger.find("experiment", key);
  if (item?.target_id && (await ifThere(target.experiments.get(item.target_id, { signal })))) {
    return { source, key, to: { kind: "existing", id: item.target_id }, isOurs: true };
  }
  const sameName = await target.experiments.getByName(source.name, { signal });
  if (sameName === null) return { source, key, to: { kind: "new", name: source.name }, isOurs: true };
  const existing = { kind: "existing", id: sameName.experiment_id } as const;
  const isDefault = source.experiment_id === "0" && sameName.experiment_id === "0";
  // Begun when nobody had the name: it is the one that was being made.
  const wasBegun = item !== undefined && item.target_id === null;
  if (wasBegun) return { source, key, to: existing, isOurs: true };
  if (isDefault || request.onConflict === "merge") return { source, key, to: existing, isOurs: false };
  if (request.onConflict === "fail") return "taken";
  const name = await freeName(
    source.name,
    async (one) => (await target.experiments.getByName(one, { signal })) === null,
  );
  return { source, key, to: { kind: "new", name }, isOurs: true };
}

/** Makes the experiment, or opens the one that is there, ready to be written to. */
export async function openExperiment(copying: Omit<Copying, "experiments">, planned: PlannedExperiment) {
  const { target, ledger, signal, tally } = copying;
  const { source, key, to } = planned;
  const tags = source.tags.map(({ key, value }) => ({ key, value }));
  if (to.kind === "new") {
    await ledger.begin("experiment", key, "");
    const targetId = await target.experiments.create({ name: to.name, tags }, { signal });
    await ledger.settle("experiment", key, "", targetId, null);
    if (to.name !== source.name) tally.renamed("experiment", source.name, to.name);
    return { sourceId: source.experiment_id, targetId };
  }
  const existing = await target.experiments.get(to.id, { signal });
  if (existing.lifecycle_stage !== "active") await target.experiments.restore(to.id, { signal });
  for (const { key, value } of tags) {
    const there = existing.tags.find((tag) => tag.key === key);
    if (there === undefined || (planned.isOurs && there.value !== value)) {
      await target.experiments.setTag(to.id, key, value, { signal });
    }
  }
  await ledger.settle("experiment", key, "", to.id, null);
  return { sourceId: source.experiment_id, targetId: to.id };
}

/** A deleted experiment is deleted on the target too, once all that is in it is there. */
export async function closeExperiment(
  { target, ledger, signal, tally }: Copying,
  { source, key, isOurs }: PlannedExperiment,
  { targetId }: ExperimentPair,
): Promise<void> {
  const isDeleted = source.lifecycle_stage !== "active";
  if (isDeleted && isOurs) await target.experiments.delete(targetId, { signal });
  await ledger.settle("experiment", key, "", targetId, isDeleted ? deletedMark(source) : null);
  tally.count("experiments", "copied");
}

/** Of a deleted experiment that was copied as it still is: to look again, it would have to be restored for a while. */
export async function isDoneWith({ ledger }: Plan, { source, key }: PlannedExperiment): Promise<boolean> {
  if (source.lifecycle_stage === "active") return false;
  return (await ledger.find("experiment", key))?.fingerprint === deletedMark(source);
}

const deletedMark = (source: Experiment) => `deleted ${source.last_update_time ?? ""}`;
