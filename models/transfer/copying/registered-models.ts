import type { ModelVersion, RegisteredModel } from "../../../clients/mlflow/index.ts";
import { notFound } from "../../../shared/errors.ts";
import { type Copying, fingerprintOf, isRefusal } from "./copying.ts";
import { nameConflict } from "./experiments.ts";
import { freeName } from "./names.ts";
import { versionSource } from "./version-sources.ts";

/** What is to become of one registered model of the source. */
export interface PlannedModel {
  readonly source: RegisteredModel;
  readonly name: string;
  readonly isNew: boolean;
  /** Made by an earlier transfer, or by an attempt of this one. */
  readonly isOurs: boolean;
}

type Plan = Pick<Copying, "source" | "target" | "ledger" | "request" | "signal" | "tally">;
const promptTag = "mlflow.prompt.is_prompt";

/**
 * Decides under which name each registered model goes, before anything is written.
 *
 * @throws notFound for one that the source does not have; conflict when names are taken and may not be.
 */
export async function planModels(plan: Plan): Promise<PlannedModel[]> {
  const planned: PlannedModel[] = [];
  const taken: string[] = [];
  for (const source of await chosenModels(plan)) {
    const decided = await decide(plan, source);
    if (decided === "taken") taken.push(source.name);
    else planned.push(decided);
  }
  if (taken.length > 0) throw nameConflict("registered models", taken);
  return planned;
}

async function chosenModels({ source, request, signal, tally }: Plan): Promise<RegisteredModel[]> {
  const { registeredModels } = request;
  const found: RegisteredModel[] = [];
  if (registeredModels === "all") {
    for await (const model of source.registeredModels.search({}, { signal })) found.push(model);
  } else {
    for (const name of new Set(registeredModels)) {
      const model = await source.registeredModels.get(name, { signal });
      if (model === null) throw notFound(`The source has no registered model "${name}".`);
      found.push(model);
    }
  }
  return found.filter(({ name, tags }) => {
    const isPrompt = tags.some(({ key, value }) => key === promptTag && value.toLowerCase() === "true");
    if (isPrompt) tally.skip("registeredModels", "prompt", name, "Prompts are not copied.");
    return !isPrompt;
  });
}

async function decide(plan: Plan, source: RegisteredModel): Promise<PlannedModel | "taken"> {
  const { target, ledger, request, signal } = plan;
  const item = await ledger.find("model", source.name);
  const name = item?.target_id ?? source.name;
  const existing = await target.registeredModels.get(name, { signal });
  if (existing === null) return { source, name, isNew: true, isOurs: true };
  // Begun when nobody had the name: it is the one that was being made.
  if (item !== undefined) return { source, name, isNew: false, isOurs: item.fingerprint !== "merged" };
  if (request.onConflict === "merge") return { source, name, isNew: false, isOurs: false };
  if (request.onConflict === "fail") return "taken";
  const free = await freeName(
    name,
    async (one) => (await target.registeredModels.get(one, { signal })) === null,
  );
  return { source, name: free, isNew: true, isOurs: true };
}

/** Copies a model with its versions, their stages, and its aliases. */
export async function copyModel(copying: Copying, planned: PlannedModel): Promise<void> {
  const { source, target, ledger, tally } = copying;
  const { name, isOurs } = planned;
  const model = planned.source;
  const tags = model.tags.map(({ key, value }) => ({ key, value }));
  if (planned.isNew) {
    if (name === model.name) await ledger.begin("model", model.name, "");
    else await ledger.settle("model", model.name, "", name, null);
    await target.registeredModels.create({ name, description: model.description, tags }, copying);
    if (name !== model.name) tally.renamed("registered model", model.name, name);
  }
  await ledger.settle("model", model.name, "", name, isOurs ? "ours" : "merged");
  const copy = await target.registeredModels.get(name, copying);
  if (copy === null) throw notFound(`The registered model "${name}" was removed from the target meanwhile.`);
  if (isOurs && copy.description !== model.description) {
    await target.registeredModels.update(name, { description: model.description }, copying);
  }
  for (const { key, value } of tags) {
    const there = copy.tags.find((tag) => tag.key === key);
    if (there === undefined || (isOurs && there.value !== value)) {
      await target.registeredModels.setTag(name, key, value, copying);
    }
  }
  const versions: ModelVersion[] = [];
  const filter = `name = ${quoted(model.name)}`;
  for await (const version of source.modelVersions.search({ filter }, copying)) versions.push(version);
  for (const version of versions.toSorted((a, b) => Number(a.version) - Number(b.version))) {
    await copyVersion(copying, name, version);
  }
  for (const { alias, version } of model.aliases) await copyAlias(copying, planned, copy, alias, version);
  tally.count("registeredModels", "copied");
}

/** MLflow's filters have no escapes: a name may hold one kind of quotation mark. */
const quoted = (name: string) => (name.includes("'") ? `"${name}"` : `'${name}'`);

async function copyVersion(copying: Copying, name: string, version: ModelVersion): Promise<void> {
  const { target, ledger, tally, signal } = copying;
  const id = `${version.name}/${version.version}`;
  const tags = version.tags.map(({ key, value }) => ({ key, value }));
  const fingerprint = fingerprintOf([version.description, version.current_stage, tags]);
  try {
    signal.throwIfAborted();
    const item = await ledger.find("version", id);
    const there = item?.target_id ? await target.modelVersions.get(name, item.target_id, copying) : null;
    if (there !== null && item?.fingerprint === fingerprint) return tally.count("versions", "unchanged");
    const copy = there ?? (await makeVersion(copying, name, version, item !== undefined));
    if (copy.description !== version.description) {
      await target.modelVersions.update(name, copy.version, { description: version.description }, copying);
    }
    for (const { key, value } of tags) {
      if (copy.tags.some((tag) => tag.key === key && tag.value === value)) continue;
      await target.modelVersions.setTag(name, copy.version, key, value, copying);
    }
    if (copy.current_stage !== version.current_stage) {
      await target.modelVersions.transitionStage(name, copy.version, version.current_stage, copying);
    }
    await ledger.settle("version", id, name, copy.version, fingerprint);
    tally.count("versions", "copied");
  } catch (error) {
    if (!isRefusal(error)) throw error;
    tally.skip("versions", "model version", id, error.message);
  }
}

async function makeVersion(copying: Copying, name: string, version: ModelVersion, wasBegun: boolean) {
  const { target, ledger, tally } = copying;
  const id = `${version.name}/${version.version}`;
  const origin = await versionSource(copying, version);
  let copy = wasBegun ? await begunVersion(copying, name, origin.source) : undefined;
  if (copy === undefined) {
    await ledger.begin("version", id, name);
    copy = await target.modelVersions.create(
      {
        name,
        ...origin,
        description: version.description,
        tags: version.tags.map(({ key, value }) => ({ key, value })),
        ...(version.run_link === "" ? {} : { run_link: version.run_link }),
      },
      copying,
    );
    if (copy.version !== version.version) tally.renamed("model version", id, `${name}/${copy.version}`);
  }
  await ledger.settle("version", id, name, copy.version, null);
  return copy;
}

/** A version that was begun by an attempt which ended before it could write down its number. */
async function begunVersion({ target, ledger, signal }: Copying, name: string, source: string) {
  const known = new Set(Array.from(await ledger.below("version", name), ([, item]) => item.target_id));
  for await (const version of target.modelVersions.search({ filter: `name = ${quoted(name)}` }, { signal })) {
    if (version.source === source && !known.has(version.version)) return version;
  }
  return undefined;
}

async function copyAlias(
  { target, ledger, tally, signal }: Copying,
  { source, name }: PlannedModel,
  copy: RegisteredModel,
  alias: string,
  sourceVersion: string,
): Promise<void> {
  const id = `${source.name}@${alias}`;
  const version = (await ledger.find("version", `${source.name}/${sourceVersion}`))?.target_id;
  if (version === undefined || version === null) {
    return tally.skip("aliases", "alias", id, `Version ${sourceVersion}, where it stands, was not copied.`);
  }
  const stands = copy.aliases.find((one) => one.alias === alias)?.version;
  const item = await ledger.find("alias", id);
  if (stands === version) {
    tally.count("aliases", "unchanged");
  } else if (stands !== undefined && item?.target_id !== stands) {
    // Moving it would change what is served by it, against what somebody decided on the target.
    return tally.skip(
      "aliases",
      "alias",
      id,
      `On the target it stands at version ${stands}, where others put it.`,
    );
  } else {
    await target.registeredModels.setAlias(name, alias, version, { signal });
    tally.count("aliases", "copied");
  }
  await ledger.settle("alias", id, name, version, null);
}
