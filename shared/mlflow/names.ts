import path from "node:path";
import { invalid } from "../errors.ts";
import { limits } from "./bounds.ts";

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

export function lengthOf(value: string): number {
  let length = 0;
  for (const _ of value) length++;
  return length;
}

export function invalidValue(field: string, value: unknown, problem: string) {
  return invalid(
    `Invalid value ${JSON.stringify(value)?.slice(0, 1000)} for parameter '${field}' supplied: ${problem}`,
    {
      field,
    },
  );
}
