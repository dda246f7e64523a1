import { randomInt } from "node:crypto";
import path from "node:path";
import { invalid } from "../../shared/errors.ts";
import type { KeyValue } from "./store/experiments.ts";

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

/** The tag that carries a run's name; the two change together. */
export const runNameTag = "mlflow.runName";

/** @param path of the tag in messages: `tags[3]`, or nothing. @throws invalid. @returns it with its value cut to size */
export function checkTag({ key, value }: KeyValue, path: string): KeyValue {
  checkKey(key, path === "" ? "key" : `${path}.key`);
  return { key, value: truncate(value, limits.tagValue) };
}

const runIdPattern = /^[A-Za-z0-9][\w-]{0,255}$/;

/** @throws invalid. */
export function checkRunId(runId: string): void {
  if (!runIdPattern.test(runId))
    throw invalid(`Invalid value ${JSON.stringify(runId)} for parameter 'run_id' supplied.`);
}

/** @throws invalid. @returns the number behind an experiment's id */
export function experimentNumber(id: string): number {
  const number = /^\d{1,15}$/.test(id) ? Number(id) : Number.NaN;
  if (Number.isNaN(number)) {
    throw invalid(`Invalid experiment ID '${id}'. Experiment ID must be a valid integer.`);
  }
  return number;
}

/** @throws invalid. */
export function checkExperimentName(name: string): void {
  if (name === "") throw invalid("Invalid experiment name: ''");
  checkLength(name, limits.experimentName, "name");
}

/** @throws invalid. */
export function checkLoggedModelName(name: string): void {
  if (name === "" || /[/:.%"']/.test(name)) {
    throw invalid(
      `Invalid model name (${name}) provided. Model name must be a non-empty string and cannot contain the following characters: ('/', ':', '.', '%', '"', "'")`,
    );
  }
  checkLength(name, limits.experimentName, "name");
}

export function invalidValue(field: string, value: unknown, problem: string) {
  return invalid(`Invalid value ${JSON.stringify(value)} for parameter '${field}' supplied: ${problem}`, {
    field,
  });
}

const adjectives =
  "able agile amber ample brave bright brisk calm clear clever crisp eager fair fleet fond gentle glad golden grand handsome honest jolly keen kind lively lucid mellow merry mild neat nimble noble placid polite proud quiet rapid serene sharp silent smooth sober spry stately steady sunny swift tidy upbeat vivid warm wise witty".split(
    " ",
  );
const nouns =
  "auk badger bat bear beaver bee bison boar carp colt crane crow deer dove duck eagle eel elk falcon fawn finch fish fly fowl fox frog gnat goat goose grouse gull hare hawk hen heron horse jay kite koi lamb lark loon lynx mare mink mole moose moth mouse newt otter owl ox pike pony quail ram rat raven robin seal shad shark sheep shrew skunk slug snail sow squid stag stork swan toad trout vole wasp whale wolf worm wren yak zebra".split(
    " ",
  );

/** A name for what the caller did not name, such as `brisk-heron-417`. */
export function randomName(): string {
  return `${adjectives[randomInt(adjectives.length)]}-${nouns[randomInt(nouns.length)]}-${randomInt(1000)}`;
}
