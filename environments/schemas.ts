import { z } from "zod";

/** The two kinds of environment, which are provisioned apart. */
export const EnvironmentKind = z.enum(["classical", "quantum"]);
export type EnvironmentKind = z.infer<typeof EnvironmentKind>;

export const ParameterDescription = z.object({
  name: z.string(),
  type: z.string().describe("string, int, bool, object, array, securestring or secureObject"),
  required: z.boolean(),
  description: z.string(),
  default: z.unknown().optional().describe("An ARM expression in brackets where Azure computes it"),
  allowed: z.array(z.unknown()).optional(),
  minimum: z.number().optional().describe("Of a number's value, or of a text's or list's length"),
  maximum: z.number().optional().describe("Of a number's value, or of a text's or list's length"),
});

export const TemplateDescription = z.object({
  kind: EnvironmentKind,
  title: z.string(),
  description: z.string(),
  sha256: z.string().describe("Of the ARM template, so that a reviewer knows which one was meant"),
  parameters: z.array(ParameterDescription),
});
export type TemplateDescription = z.infer<typeof TemplateDescription>;

export const EnvironmentRequest = z.object({
  kind: EnvironmentKind,
  parameters: z.record(z.string(), z.unknown()).describe("By name, as plain values"),
});

export const ValidationResult = z.object({
  valid: z.boolean(),
  problems: z.array(
    z.object({
      parameter: z.string().describe("Where: a name, or a path such as providers[0].providerId"),
      message: z.string(),
    }),
  ),
  parameters: z
    .record(z.string(), z.object({ value: z.unknown() }))
    .describe("What a deployment would be sent: the given values and constant defaults, in ARM's form"),
});
export type ValidationResult = z.infer<typeof ValidationResult>;

/** As much of the ARM template language as describes parameters. */
export interface ParameterDefinition {
  type?: string | undefined;
  $ref?: string | undefined;
  defaultValue?: unknown;
  allowedValues?: unknown[] | undefined;
  minLength?: number | undefined;
  maxLength?: number | undefined;
  minValue?: number | undefined;
  maxValue?: number | undefined;
  nullable?: boolean | undefined;
  metadata?: { description?: string | undefined } | undefined;
  items?: ParameterDefinition | undefined;
  properties?: Record<string, ParameterDefinition> | undefined;
  additionalProperties?: ParameterDefinition | boolean | undefined;
}

const Definition: z.ZodType<ParameterDefinition> = z.lazy(() =>
  z.object({
    type: z.string().optional(),
    $ref: z.string().optional(),
    defaultValue: z.unknown().optional(),
    allowedValues: z.array(z.unknown()).optional(),
    minLength: z.number().optional(),
    maxLength: z.number().optional(),
    minValue: z.number().optional(),
    maxValue: z.number().optional(),
    nullable: z.boolean().optional(),
    metadata: z.object({ description: z.string().optional() }).optional(),
    items: Definition.optional(),
    properties: z.record(z.string(), Definition).optional(),
    additionalProperties: z.union([z.boolean(), Definition]).optional(),
  }),
);

export const ArmTemplate = z.object({
  metadata: z.object({ name: z.string(), description: z.string() }),
  parameters: z.record(z.string(), Definition),
  definitions: z.record(z.string(), Definition).default({}),
});
export type ArmTemplate = z.infer<typeof ArmTemplate>;
