import { invalid } from "../../../shared/errors.ts";
import { prefixOf } from "../../tracking/index.ts";
import { type RegistryContext, storeOf } from "../context.ts";
import { requireModel } from "../models.ts";
import type { VersionRow } from "../store/tables.ts";
import { findAlias, selectVersions } from "../store/versions.ts";

/** Where a new version's files come from, resolved once and for all. */
export interface ResolvedSource {
  /** As given, with `models:/<name>@<alias>` written as the version that it means now. */
  readonly source: string;
  /** Where the files are. */
  readonly storageLocation: string;
  readonly runId: string;
  readonly loggedModelId: string;
}

/** What MLflow's client gives for a prompt, which has no files. */
const promptSources = ["dummy-source", "prompt-template"];

/**
 * Finds the place behind a source, so that reading a version later needs nothing but the version.
 *
 * @throws invalid for a path on a local disk (it would be the server's), a path with `..`, or a run or model that is not
 *   the one in the source; notFound for an unknown one.
 */
export async function resolveSource(
  context: RegistryContext,
  request: {
    readonly source: string;
    readonly runId: string;
    readonly loggedModelId: string;
    readonly isPrompt: boolean;
  },
): Promise<ResolvedSource> {
  const { source, runId, loggedModelId } = request;
  const plain = { source, runId, loggedModelId };
  if (request.isPrompt && promptSources.includes(source)) return { ...plain, storageLocation: source };
  refuseRelative(source);
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(source)?.[1]?.toLowerCase();
  switch (scheme) {
    case undefined:
    case "file":
      throw invalid(
        `Invalid model version source: '${source}'. To use a local path as a model version source, it would have to lie ` +
          "within the run's artifacts, which this server keeps elsewhere. Log the model to a run first, and register runs:/<run id>/<path>.",
        { field: "source" },
      );
    case "runs":
      return { ...plain, ...(await fromRun(context, source, runId)) };
    case "models":
      return fromModel(context, plain);
    case "mlflow-artifacts":
      prefixOf(source);
      return { ...plain, storageLocation: source, ...(await fromLoggedModel(context, plain)) };
    default:
      return { ...plain, storageLocation: source };
  }
}

async function fromRun(context: RegistryContext, source: string, runId: string) {
  const sourceRunId = /^runs:\/([^/]+)/.exec(source)?.[1];
  if (sourceRunId === undefined || (runId !== "" && runId !== sourceRunId))
    throw notContained(source, "run_id");
  return { runId: sourceRunId, storageLocation: await context.tracking.resolveArtifactUri(source) };
}

/** A version that is made of a logged model's own files belongs to the run that made the model. */
async function fromLoggedModel(
  context: RegistryContext,
  { runId, loggedModelId }: { readonly runId: string; readonly loggedModelId: string },
) {
  if (loggedModelId === "" || runId !== "") return {};
  const model = await context.tracking.getLoggedModel(loggedModelId);
  return { runId: model.sourceRunId ?? "" };
}

async function fromModel(
  context: RegistryContext,
  request: { readonly source: string; readonly runId: string; readonly loggedModelId: string },
): Promise<ResolvedSource> {
  const { source } = request;
  const sourceModelId = /^models:\/(m-[0-9a-f]{32})(?=\/|$)/.exec(source)?.[1];
  if (sourceModelId !== undefined) {
    if (request.loggedModelId !== "" && request.loggedModelId !== sourceModelId)
      throw notContained(source, "model_id");
    const model = await context.tracking.getLoggedModel(sourceModelId);
    return {
      source,
      storageLocation: await context.tracking.resolveArtifactUri(source),
      runId: request.runId || (model.sourceRunId ?? ""),
      loggedModelId: sourceModelId,
    };
  }
  const { name, version } = await versionBehind(context, source);
  return {
    source: `models:/${name}/${version.version}`,
    storageLocation: version.storage_location,
    runId: request.runId || version.run_id,
    loggedModelId: request.loggedModelId || version.logged_model_id,
  };
}

/** `models:/name/1`, `models:/name/latest`, `models:/name/Production`, `models:/name@alias`. */
async function versionBehind(
  context: RegistryContext,
  source: string,
): Promise<{ readonly name: string; readonly version: VersionRow }> {
  const match = /^models:\/([^/@]+)(?:\/([^/]+)|@([^/]+))$/.exec(source);
  const name = decoded(match?.[1] ?? "");
  if (name === "") {
    throw invalid(
      `Invalid model version source: '${source}'. models:/<name>/<version>, models:/<name>@<alias> and models:/m-<id> are understood.`,
    );
  }
  const store = storeOf(context);
  const { model_uid } = await requireModel(store, name);
  const versions = await selectVersions(store, model_uid);
  const [, , word = "", alias] = match ?? [];
  const number = alias === undefined ? Number(word) : await findAlias(store, model_uid, alias);
  const version =
    alias === undefined && word.toLowerCase() === "latest"
      ? versions[0]
      : versions.find((one) =>
          alias === undefined && !/^\d+$/.test(word)
            ? one.stage.toLowerCase() === word.toLowerCase()
            : one.version === number,
        );
  if (version === undefined)
    throw invalid(`Invalid model version source: '${source}'. There is no such version.`);
  return { name, version };
}

/** @throws invalid for `..` or NUL, however often the source is encoded. */
function refuseRelative(source: string): void {
  for (let at = source, round = 0; ; round++) {
    const refused =
      round > 10 || at.includes("\0") || /(^|[/\\])\.\.?([/\\]|$)/.test(at.replace(/^[a-z][\w+.-]*:/i, ""));
    if (refused) {
      throw invalid(
        `Invalid model version source: '${source}'. If supplying a source as an http, https, local file path, ftp, ` +
          "objectstore, or mlflow-artifacts uri, an absolute path must be provided without relative path references present. Please provide an absolute path.",
        { field: "source" },
      );
    }
    const next = decoded(at);
    if (next === at) return;
    at = next;
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function notContained(source: string, field: "run_id" | "model_id") {
  return invalid(
    `Invalid model version source: '${source}'. The ${field} request parameter must identify the resource that contains the source.`,
    { field },
  );
}
