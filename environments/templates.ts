import { createHash } from "node:crypto";
import classical from "../infra/classical/main.json" with { type: "json" };
import quantum from "../infra/quantum/main.json" with { type: "json" };
import { isRequired, resolve } from "./parameters.ts";
import {
  ArmTemplate,
  type EnvironmentKind,
  type ParameterDefinition,
  type TemplateDescription,
} from "./schemas.ts";

/** The ARM templates of this release, as built from `infra/` by the Bicep compiler. */
const sources: Readonly<Record<EnvironmentKind, unknown>> = { classical, quantum };

export function templateOf(kind: EnvironmentKind): ArmTemplate {
  return ArmTemplate.parse(sources[kind]);
}

export function describeTemplate(kind: EnvironmentKind): TemplateDescription {
  const template = templateOf(kind);
  return {
    kind,
    title: template.metadata.name,
    description: template.metadata.description,
    sha256: createHash("sha256").update(JSON.stringify(sources[kind])).digest("hex"),
    parameters: Object.entries(template.parameters).map(([name, raw]) =>
      describeParameter(name, resolve(raw, template)),
    ),
  };
}

function describeParameter(
  name: string,
  definition: ParameterDefinition,
): TemplateDescription["parameters"][number] {
  const minimum = definition.minValue ?? definition.minLength;
  const maximum = definition.maxValue ?? definition.maxLength;
  return {
    name,
    type: definition.type ?? "any",
    required: isRequired(definition),
    description: definition.metadata?.description ?? "",
    ...(definition.defaultValue === undefined ? {} : { default: definition.defaultValue }),
    ...(definition.allowedValues === undefined ? {} : { allowed: definition.allowedValues }),
    ...(minimum === undefined ? {} : { minimum }),
    ...(maximum === undefined ? {} : { maximum }),
  };
}
