import path from "node:path";
import { invalid } from "../errors.ts";

/** What MLflow takes (mlflow/utils/validation.py). Lengths are in characters. */
export const limits = {
  key: 250,
  paramValue: 6000,
  tagValue: 8000,
  experimentName: 500,
  experimentTagValue: 20_000,
  registryTagValue: 100_000,
  aliasName: 255,
  metricsPerBatch: 1000,
  paramsPerBatch: 100,
  tagsPerBatch: 100,
  entitiesPerBatch: 1000,
  dataset: { name: 500, digest: 36, source: 65_535, schema: 1_048_575, profile: 16_777_215 },
  inputTag: { key: 255, value: 500 },
} as const;

const keyPattern = /^[/\p{L}\p{N}_.\- :]*$/u;
const badCharacters =
  "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), colon(:) and slashes (/).";

/**
 * Checks the name of a metric, parameter or tag.
 *
 * @param field of the request, for the message: `key`, `metrics[3].name`
 * @throws invalid.
 */
export function checkKey(key: string, field: string, what = field): void {
  if (!keyPattern.test(key)) throw invalidValue(field, key, badCharacters);
  checkPathLike(key, field);
  checkLength(key, limits.key, what);
}

/** @throws invalid for a name that would be another one if it were a path: `a//b`, `/x`, `../x`, `.`. */
export function checkPathLike(name: string, field: string): void {
  const normal = path.posix.normalize(name);
  const resolved = normal.length > 1 && normal.endsWith("/") ? normal.slice(0, -1) : normal;
  if (resolved !== name || resolved === "." || resolved.startsWith("..") || resolved.startsWith("/")) {
    throw invalidValue(
      field,
      name,
      "Names may be treated as files in certain cases, and must not resolve to other names when treated as such. " +
        `This name would resolve to '${resolved}'`,
    );
  }
}

/** @throws invalid. */
export function checkLength(value: string, limit: number, what: string): void {
  if (value.length > limit && lengthOf(value) > limit)
    throw invalid(`'${what}' exceeds the maximum length of ${limit} characters`);
}

/** MLflow cuts long values of parameters and tags by default. */
export function truncate(value: string, limit: number): string {
  // By code points, so that no half of a character stays behind.
  return value.length > limit && lengthOf(value) > limit ? [...value].slice(0, limit).join("") : value;
}

function lengthOf(value: string): number {
  let length = 0;
  for (const _ of value) length++;
  return length;
}

export function invalidValue(field: string, value: unknown, problem: string) {
  return invalid(`Invalid value ${JSON.stringify(value)} for parameter '${field}' supplied: ${problem}`, {
    field,
  });
}
