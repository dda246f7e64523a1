/** Who answered a request, or was about to. */
export interface ServedBy {
  readonly modelName: string;
  readonly modelVersion: string;
  readonly deployment: string | null;
  readonly revision: number | null;
  readonly variant: string | null;
}

/** Tells callers who it was, of an answer as of an error. */
export function servedByHeaders(servedBy: ServedBy): Record<string, string> {
  const { modelName, modelVersion, deployment, revision, variant } = servedBy;
  const headers: Record<string, string> = {
    "ketline-model": headerText(modelName),
    "ketline-model-version": modelVersion,
  };
  if (deployment !== null) headers["ketline-deployment"] = headerText(deployment);
  if (revision !== null) headers["ketline-revision"] = String(revision);
  if (variant !== null) headers["ketline-variant"] = headerText(variant);
  return headers;
}

/** Header values are Latin-1 without control characters; a name that is more goes out percent-encoded. */
function headerText(name: string): string {
  return /^[\x20-\x7e]*$/.test(name) ? name : encodeURIComponent(name);
}
