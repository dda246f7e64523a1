import type { ArmTemplate, ParameterDefinition, ValidationResult } from "./schemas.ts";

type Problem = ValidationResult["problems"][number];

/**
 * Checks values against the parameters of an ARM template, offline, by the rules that Azure Resource Manager applies
 * before it deploys: presence, type, allowed values, lengths, ranges, and the shapes of user-defined types.
 * ("Parameters in ARM templates" and "Type definitions in ARM templates" in Azure's documentation.)
 *
 * @param given plain values by name
 * @returns every problem, not only the first; no values of secure parameters appear in messages
 */
export function validateParameters(
  template: ArmTemplate,
  given: Readonly<Record<string, unknown>>,
): ValidationResult {
  const problems: Problem[] = [];
  const parameters: Record<string, { value: unknown }> = {};
  const known = Object.keys(template.parameters);
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(template.parameters, name)) {
      problems.push({
        parameter: name,
        message: `There is no such parameter; there are ${known.join(", ")}.`,
      });
    }
  }
  for (const [name, raw] of Object.entries(template.parameters)) {
    const definition = resolve(raw, template);
    const value = Object.hasOwn(given, name) ? given[name] : undefined;
    if (value === undefined || value === null) {
      if (isRequired(definition))
        problems.push({ parameter: name, message: `It is required. ${describe(definition)}` });
      else if (isConstant(definition.defaultValue)) parameters[name] = { value: definition.defaultValue };
      continue;
    }
    const found = check(name, value, definition, template);
    problems.push(...found);
    if (found.length === 0) parameters[name] = { value };
  }
  return { valid: problems.length === 0, problems, parameters };
}

export function isRequired(definition: ParameterDefinition): boolean {
  return definition.defaultValue === undefined && definition.nullable !== true;
}

/** Follows `$ref` to a type definition of the same template; what stands beside the reference wins. */
export function resolve(definition: ParameterDefinition, template: ArmTemplate): ParameterDefinition {
  const name = definition.$ref?.replace("#/definitions/", "");
  const target = name === undefined ? undefined : template.definitions[name];
  if (target === undefined) return definition;
  const { $ref: _, ...own } = definition;
  return { ...resolve(target, template), ...own };
}

function check(path: string, value: unknown, raw: ParameterDefinition, template: ArmTemplate): Problem[] {
  const definition = resolve(raw, template);
  const type = definition.type?.toLowerCase() ?? "any";
  const shown = type.startsWith("secure") ? "The value" : `${JSON.stringify(value)?.slice(0, 80)}`;
  const problem = (message: string): Problem[] => [{ parameter: path, message: `${shown} ${message}` }];
  if (!hasType(value, type)) return problem(`is not of the type ${definition.type}.`);
  if (definition.allowedValues !== undefined && !definition.allowedValues.includes(value)) {
    return problem(
      `is not one of ${definition.allowedValues.map((allowed) => JSON.stringify(allowed)).join(", ")}.`,
    );
  }
  if (typeof value === "number") {
    const { minValue = -Infinity, maxValue = Infinity } = definition;
    return value < minValue || value > maxValue ? problem(`is not within ${range(minValue, maxValue)}.`) : [];
  }
  if (typeof value === "string" || Array.isArray(value)) {
    const { minLength = 0, maxLength = Infinity } = definition;
    if (value.length < minLength || value.length > maxLength) {
      return problem(`has the length ${value.length}, which is not within ${range(minLength, maxLength)}.`);
    }
  }
  const { items } = definition;
  if (Array.isArray(value) && items !== undefined) {
    return value.flatMap((item, index) => check(`${path}[${index}]`, item, items, template));
  }
  return isObject(value) ? checkProperties(path, value, definition, template) : [];
}

function checkProperties(
  path: string,
  value: Record<string, unknown>,
  definition: ParameterDefinition,
  template: ArmTemplate,
): Problem[] {
  const { properties, additionalProperties } = definition;
  const problems: Problem[] = [];
  for (const [name, raw] of Object.entries(properties ?? {})) {
    const property = resolve(raw, template);
    const at = `${path}.${name}`;
    const own = Object.hasOwn(value, name) ? value[name] : undefined;
    if (own !== undefined) problems.push(...check(at, own, property, template));
    else if (isRequired(property))
      problems.push({ parameter: at, message: `It is required. ${describe(property)}` });
  }
  for (const [name, item] of Object.entries(value)) {
    if (properties !== undefined && Object.hasOwn(properties, name)) continue;
    if (typeof additionalProperties === "object") {
      problems.push(...check(`${path}.${name}`, item, additionalProperties, template));
    } else if (properties !== undefined && additionalProperties !== true) {
      const names = Object.keys(properties).join(", ");
      problems.push({
        parameter: `${path}.${name}`,
        message: `There is no such property; there are ${names}.`,
      });
    }
  }
  return problems;
}

function hasType(value: unknown, type: string): boolean {
  switch (type) {
    case "string":
    case "securestring":
      return typeof value === "string";
    case "int":
      return Number.isSafeInteger(value);
    case "bool":
      return typeof value === "boolean";
    case "array":
      return Array.isArray(value);
    case "object":
    case "secureobject":
      return isObject(value);
    default:
      return true;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A default that is a value of its own, not an expression that Azure evaluates, such as `[resourceGroup().location]`. */
function isConstant(value: unknown): boolean {
  return (
    value !== undefined && !(typeof value === "string" && value.startsWith("[") && !value.startsWith("[["))
  );
}

function describe(definition: ParameterDefinition): string {
  return definition.metadata?.description?.replace(/^(Required|Optional|Conditional)\. /, "") ?? "";
}

function range(minimum: number, maximum: number): string {
  if (maximum === Infinity) return `${minimum} or more`;
  return minimum === -Infinity ? `${maximum} or less` : `${minimum} to ${maximum}`;
}
