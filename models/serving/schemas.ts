import { z } from "zod";

/** Part of URLs, so only what needs no escaping there. */
export const DeploymentName = z
  .string()
  .regex(
    /^[A-Za-z0-9][\w.-]{0,127}$/,
    "use 1 to 128 letters, digits, '.', '_' or '-', not starting with a sign",
  )
  .describe("The name under which clients ask for predictions");

export const VariantName = z
  .string()
  .regex(
    /^[A-Za-z0-9][\w.-]{0,63}$/,
    "use 1 to 64 letters, digits, '.', '_' or '-', not starting with a sign",
  );

const text = z
  .string()
  .min(1)
  .max(256)
  .regex(/^\P{Cc}*$/u, "has a control character");

/** What a variant stands for: a version of a model … */
export const VersionTarget = {
  model: text.describe("A registered model"),
  version: z
    .string()
    .regex(/^[1-9]\d{0,9}$/, 'a version number as text, such as "3"')
    .describe("A version of that model"),
};
/** … or an alias. */
export const AliasTarget = {
  model: text.describe("A registered model"),
  alias: text.describe("An alias of that model; the variant follows it when it moves"),
};
const byVersion = { name: VariantName, ...VersionTarget };
const byAlias = { name: VariantName, ...AliasTarget };
const weight = z.number().min(0).max(100).describe("Per cent of the requests");
const fraction = z.number().min(0).max(1).describe("Share of the requests that this variant gets a copy of");
const one = "needs name, model and either version or alias, and nothing else besides";

const Variant = z.union([z.strictObject({ ...byVersion, weight }), z.strictObject({ ...byAlias, weight })], {
  error: `a variant ${one} but weight`,
});
const Shadow = z.union(
  [z.strictObject({ ...byVersion, fraction }), z.strictObject({ ...byAlias, fraction })],
  { error: `a shadow ${one} but fraction` },
);

const Sticky = z
  .discriminatedUnion("by", [
    z.strictObject({ by: z.literal("header"), name: z.string().regex(/^[\w-]{1,128}$/) }),
    z.strictObject({ by: z.literal("cookie"), name: z.string().regex(/^[\w-]{1,128}$/) }),
    z.strictObject({ by: z.literal("field"), name: z.string().min(1).max(256) }),
  ])
  .describe(
    "Requests with the same value go to the same variant. A field is a parameter of the request, or the first row of an " +
      "input or column; a request without a value is routed at random.",
  );

const spec = {
  variants: z.array(Variant).min(1).max(20).describe("What answers; the weights sum to 100"),
  shadows: z.array(Shadow).max(5).describe("What gets copies after the answer has left"),
  sticky: Sticky.nullable(),
  timeoutMs: z.int().min(10).max(120_000).describe("After this a request fails with 504"),
  batching: z
    .boolean()
    .describe(
      "Whether requests that wait at the same moment may share a run, where a model answers row by row. It changes the " +
        "last digits of sums.",
    ),
};

/** What a deployment serves, and how its requests are routed. */
export const DeploymentSpec = z.strictObject(spec);
export type DeploymentSpec = z.infer<typeof DeploymentSpec>;
export type Variant = z.infer<typeof Variant>;
export type Shadow = z.infer<typeof Shadow>;
export type Sticky = z.infer<typeof Sticky>;

/** Members that are given replace those of the current revision; the others stay as they are. */
export const DeploymentChange = z.strictObject(spec).partial();
export type DeploymentChange = z.infer<typeof DeploymentChange>;

export const Reason = z
  .string()
  // PostgreSQL keeps no NUL in a text.
  .overwrite((reason) => reason.replaceAll("\u0000", ""))
  .trim()
  .min(1)
  .max(2000)
  .describe("Why, for those who read the history");

/** The whole of what is wanted; members left out take their defaults. */
export const PutDeploymentBody = z.strictObject({
  variants: spec.variants,
  shadows: spec.shadows.default([]),
  sticky: spec.sticky.default(null),
  timeoutMs: spec.timeoutMs.default(10_000),
  batching: spec.batching.default(true),
  reason: Reason.default("set through the API"),
});
export const PatchDeploymentBody = DeploymentChange.extend({
  reason: Reason.default("changed through the API"),
});
export const RollbackBody = z.strictObject({
  toRevision: z.int().min(1).optional().describe("The last healthy one before the current when not given"),
  reason: Reason.default("rolled back through the API"),
});
export const DeleteQuery = z.object({ reason: Reason.default("deleted through the API") });
export const HealthBody = z.strictObject({
  health: z.enum(["unjudged", "healthy", "unhealthy"]),
  reason: Reason,
});

const Author = z.object({ id: z.string(), name: z.string() });

export const Deployment = z.object({
  name: z.string(),
  revision: z.int().describe("Also the ETag; send it as If-Match to lose nobody's change"),
  ...spec,
  createdMs: z.int(),
  updatedMs: z.int(),
  updatedBy: Author,
  reason: z.string().describe("Of the current revision"),
});
export type Deployment = Readonly<z.infer<typeof Deployment>>;

export const DeploymentRevision = z.object({
  deployment: z.string(),
  revision: z.int(),
  change: z.enum(["create", "change", "rollback", "delete"]),
  spec: DeploymentSpec,
  author: Author,
  reason: z.string(),
  createdMs: z.int(),
  restores: z.int().nullable().describe("The revision whose content a rollback brought back"),
  rollout: z
    .string()
    .nullable()
    .describe("The rollout that it is a step of; a rollback without a target goes back behind all its steps"),
  health: z
    .enum(["unjudged", "healthy", "unhealthy"])
    .describe("Unhealthy ones are passed over by a rollback without a target"),
  healthReason: z.string().nullable(),
});
export type DeploymentRevision = Readonly<z.infer<typeof DeploymentRevision>>;

export const PageQuery = z.object({
  limit: z.coerce.number().int().min(1).max(1000).default(100),
  cursor: z.string().max(512).optional(),
});
export const DeploymentPage = z.object({ items: z.array(Deployment), nextCursor: z.string().optional() });
export const RevisionPage = z.object({
  items: z.array(DeploymentRevision),
  nextCursor: z.string().optional(),
});

const Estimate = z
  .object({ value: z.number().nullable(), low: z.number().nullable(), high: z.number().nullable() })
  .describe("With its interval of 95 %; null where there is too little to say");

export const ComparisonQuery = z.object({
  revision: z.coerce.number().int().min(1).optional().describe("The current one when not given"),
  sinceMs: z.coerce
    .number()
    .int()
    .min(0)
    .default(0)
    .describe("Milliseconds since 1970; whole windows of 5 minutes"),
});
export const Comparison = z.object({
  deployment: z.string(),
  revision: z.int(),
  baseline: z.string().describe("The variant with the largest weight"),
  variants: z.array(
    z.object({
      variant: z.string(),
      shadow: z.boolean(),
      versions: z.array(z.string()).describe("Which model versions answered, as model/version"),
      requests: z.int(),
      rows: z.int(),
      errors: z.record(z.string(), z.int()).describe("By kind"),
      errorRate: Estimate,
      latencyMs: z.object({
        p50: z.number().nullable(),
        p90: z.number().nullable(),
        p95: z.number().nullable(),
        p99: z.number().nullable(),
      }),
      outputs: z.array(
        z.object({
          name: z.string(),
          count: z.int(),
          mean: z.number().nullable(),
          standardDeviation: z.number().nullable(),
          min: z.number().nullable(),
          max: z.number().nullable(),
          nonFinite: z.int(),
          labels: z.record(z.string(), z.int()),
          otherLabels: z.int(),
        }),
      ),
      comparedWith: z
        .object({
          variant: z.string(),
          errorRateDifference: Estimate,
          meanDifferences: z.array(z.object({ name: z.string(), difference: Estimate })),
        })
        .nullable(),
      agreement: z
        .array(z.object({ name: z.string(), rows: z.int(), rate: Estimate, meanDifference: Estimate }))
        .describe("Of a shadow with what the caller got for the same rows"),
    }),
  ),
});
export type Comparison = z.infer<typeof Comparison>;
