import { invalid } from "../../../shared/errors.ts";

/** Where artifacts lie among the blobs: `mlflow-artifacts:/1/ab/artifacts/x` is the blob `artifacts/1/ab/artifacts/x`. */
const root = "artifacts";
const scheme = "mlflow-artifacts:";

/**
 * The blob key of an artifact path.
 *
 * @param path relative to the root of all artifacts, already decoded once; empty for the root itself
 * @throws invalid with MLflow's message for a path that could mean another place, however often it is decoded.
 */
export function artifactKey(path: string): string {
  const segments = safeSegments(path);
  return segments.length === 0 ? root : `${root}/${segments.join("/")}`;
}

/** @throws invalid. */
export function safeSegments(path: string): string[] {
  let decoded = path;
  for (let round = 0; ; round++) {
    const refused =
      round > 10 ||
      /[#\\\0]/.test(decoded) ||
      decoded.startsWith("/") ||
      /^[A-Za-z]:/.test(decoded) ||
      decoded.split("/").includes("..");
    if (refused) throw invalid("Invalid path", { field: "path" });
    const next = decode(decoded);
    if (next === decoded) break;
    decoded = next;
  }
  return path.split("/").filter((segment) => segment !== "" && segment !== ".");
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** @returns the artifact path of a `mlflow-artifacts:` URI, or undefined for another scheme. */
export function proxiedPath(uri: string): string | undefined {
  if (!uri.startsWith(scheme)) return undefined;
  const rest = uri.slice(scheme.length);
  // mlflow-artifacts://host:port/path names the server; it is this one.
  const path = rest.startsWith("//") ? rest.replace(/^\/\/[^/]*/, "") : rest;
  return path.replace(/^\/+/, "");
}

/** @throws invalid when it would leave the place. */
export function joinUri(uri: string, path: string): string {
  const segments = safeSegments(path);
  return segments.length === 0 ? uri : `${uri.replace(/\/$/, "")}/${segments.join("/")}`;
}

/** The blob key prefix of an artifact URI. @throws invalid when the files are not kept by Ketline. */
export function prefixOf(uri: string): string {
  const path = proxiedPath(uri);
  if (path === undefined) {
    throw invalid(
      `The artifacts at '${uri}' are not kept by this server: it serves those below mlflow-artifacts:/ only.`,
    );
  }
  return artifactKey(path);
}
