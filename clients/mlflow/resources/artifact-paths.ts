import { MlflowError } from "../errors.ts";

/**
 * The path below a server's artifact proxy that an artifact URI means: `1/ab/artifacts` for
 * `mlflow-artifacts:/1/ab/artifacts`.
 *
 * @param base the server's URL
 * @throws MlflowError `NOT_PROXIED` for another scheme, or the proxy of another host
 */
export function proxiedPath(uri: string, base: string): string {
  const match = /^mlflow-artifacts:(?:\/\/([^/]*))?\/*(.*)$/s.exec(uri);
  const [, host = "", path = ""] = match ?? [];
  if (match === null || (host !== "" && host !== new URL(base).host)) {
    throw new MlflowError(
      "NOT_PROXIED",
      0,
      "artifacts",
      `The server at ${base} does not serve the files at "${uri}": only those below mlflow-artifacts:/ go through it.`,
    );
  }
  return segmentsOf(path).join("/");
}

/** Where a file of a listing lies: what a server lists must not lead out of the directory that was listed. */
export function joinPath(...parts: readonly string[]): string {
  return parts.flatMap(segmentsOf).join("/");
}

/** @throws MlflowError for `..` and NUL. */
function segmentsOf(path: string): string[] {
  const segments = path.split("/").filter((segment) => segment !== "" && segment !== ".");
  if (segments.includes("..") || path.includes("\0")) {
    throw new MlflowError(
      "INVALID_PARAMETER_VALUE",
      0,
      "artifacts",
      `The artifact path "${path}" leaves its root.`,
    );
  }
  return segments;
}

export function encodedPath(path: string): string {
  return path.split("/").map(encodeURIComponent).join("/");
}
