import { MlflowError, type ModelVersion } from "../../../clients/mlflow/index.ts";
import { type Copying, targetRunOf } from "./copying.ts";

export interface VersionOrigin {
  readonly source: string;
  readonly run_id?: string;
  readonly model_id?: string;
}

/**
 * Where a version's files are on the target. Sources that name things of the source server are rewritten to their
 * copies; addresses that mean the same everywhere (`s3://…`) stay.
 *
 * @throws MlflowError `NOT_PROXIED` for one that has no copy
 */
export async function versionSource(copying: Copying, version: ModelVersion): Promise<VersionOrigin> {
  const { source } = version;
  const runId = version.run_id === "" ? undefined : await targetRunOf(copying, version.run_id);
  const modelId = version.model_id === undefined ? undefined : await targetModelOf(copying, version.model_id);
  const known = {
    ...(runId === undefined ? {} : { run_id: runId }),
    ...(modelId === undefined ? {} : { model_id: modelId }),
  };
  const run = /^runs:\/+([^/]+)(.*)$/s.exec(source);
  if (run?.[1] !== undefined) {
    const target = await targetRunOf(copying, run[1]);
    if (target === undefined) throw uncopied(`the run ${run[1]} is not copied: choose its experiment too`);
    return { ...known, run_id: target, source: `runs:/${target}${run[2]}` };
  }
  const model = /^models:\/+(m-[0-9a-f]{32})(.*)$/s.exec(source);
  if (model?.[1] !== undefined) {
    const target = await targetModelOf(copying, model[1]);
    if (target === undefined) throw uncopied(`the logged model ${model[1]} is not copied`);
    return { ...known, model_id: target, source: `models:/${target}${model[2]}` };
  }
  const other = /^models:\/+([^/@]+)\/(\d+)$/.exec(source);
  if (other !== null) {
    const item = await copying.ledger.find("version", `${other[1]}/${other[2]}`);
    const name = (await copying.ledger.find("model", other[1] ?? ""))?.target_id;
    if (!item?.target_id || !name)
      throw uncopied(`version ${other[2]} of ${other[1]} is not copied before it`);
    return { ...known, source: `models:/${name}/${item.target_id}` };
  }
  if (source.startsWith("mlflow-artifacts:")) {
    return { ...known, source: await artifactCopy(copying, version, runId, modelId) };
  }
  if (/^(file:|\/|[A-Za-z]:\\|\.)/.test(source)) throw uncopied(`"${source}" lies on the source's own disk`);
  return { ...known, source };
}

/** The same file below the root of the run's or the model's copy. */
async function artifactCopy(
  { source, target, signal }: Copying,
  version: ModelVersion,
  runId: string | undefined,
  modelId: string | undefined,
): Promise<string> {
  const roots: [from: string, to: string][] = [];
  if (version.model_id !== undefined && modelId !== undefined) {
    const from = await source.loggedModels.get(version.model_id, { signal });
    const to = await target.loggedModels.get(modelId, { signal });
    roots.push([from.info.artifact_uri, to.info.artifact_uri]);
  }
  if (runId !== undefined) {
    const from = await source.runs.get(version.run_id, { signal });
    const to = await target.runs.get(runId, { signal });
    roots.push([from.info.artifact_uri, to.info.artifact_uri]);
  }
  const root = roots.find(([from]) => version.source === from || version.source.startsWith(`${from}/`));
  if (root === undefined) throw uncopied(`the files at "${version.source}" belong to no run that is copied`);
  return root[1] + version.source.slice(root[0].length);
}

async function targetModelOf({ ledger }: Copying, modelId: string): Promise<string | undefined> {
  return (await ledger.find("logged-model", modelId))?.target_id ?? undefined;
}

function uncopied(why: string): MlflowError {
  return new MlflowError(
    "NOT_PROXIED",
    0,
    "model-versions",
    `Its source cannot be named on the target: ${why}.`,
  );
}
