import { invalid } from "../../shared/errors.ts";
import { checkKey, checkLength, checkPathLike, limits } from "../../shared/mlflow/index.ts";
import { type Stage, stages } from "./store/tables.ts";

/** @throws invalid. */
export function checkModelName(name: string, field = "name"): void {
  if (name.trim() === "") throw invalid(`Missing value for required parameter '${field}'.`, { field });
  if (/[/:]/.test(name))
    throw invalid(`Invalid model name '${name}'. Names cannot contain '/' or ':'.`, { field });
  checkPathLike(name, field);
  checkLength(name, limits.modelName, field);
}

/** @throws invalid for a name that an alias cannot have. */
export function checkAlias(alias: string): void {
  if (alias === "") throw invalid("Registered model alias name cannot be empty.");
  if (!/^[\p{L}\p{N}_-]*$/u.test(alias)) {
    throw invalid(
      `Invalid alias name: '${alias}'. Names may only contain alphanumerics, underscores (_), and dashes (-).`,
    );
  }
  checkLength(alias, limits.aliasName, "Registered model alias name");
}

/** @throws invalid for a name that means a version by itself. */
export function checkNewAlias(alias: string): void {
  checkAlias(alias);
  if (alias.toLowerCase() === "latest") throw invalid("'latest' alias name (case insensitive) is reserved.");
  if (/^v\d+$/i.test(alias)) throw invalid(`Version alias name '${alias}' is reserved.`);
}

/** @throws invalid. */
export function versionNumber(version: string): number {
  const number = /^\+?\d{1,9}$/.test(version.trim()) ? Number(version) : Number.NaN;
  if (Number.isNaN(number)) throw invalid(`Parameter 'version' must be an integer, got '${version}'.`);
  return number;
}

/** @throws invalid. */
export function stageOf(stage: string): Stage {
  const found = stages.find((known) => known.toLowerCase() === stage.toLowerCase());
  if (found !== undefined) return found;
  throw invalid(`Invalid Model Version stage: ${stage}. Value must be one of ${stages.join(", ")}.`);
}

/** @throws invalid. */
export function checkTag({ key, value }: { readonly key: string; readonly value: string }): void {
  checkKey(key, "key");
  checkLength(value, limits.registryTagValue, "value");
}
