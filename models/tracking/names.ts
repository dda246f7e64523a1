import { randomInt } from "node:crypto";
import { invalid } from "../../shared/errors.ts";
import { checkKey, checkLength, limits, truncate } from "../../shared/mlflow/index.ts";
import type { KeyValue } from "./store/experiments.ts";

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
