import { z } from "zod";
import { pageOf } from "../../../shared/http/index.ts";
import { AliasTarget, Reason, VariantName, VersionTarget } from "../schemas.ts";

const minimumRequests = z
  .int()
  .min(1)
  .max(1_000_000_000)
  .default(100)
  .describe("With fewer the gate waits; a comparison needs as many of the champion too");
const most = z.number().min(0).max(1);
const ratio = z.number().min(1).max(1000);

/** A signal of the new variant with its limit. */
export const Gate = z
  .discriminatedUnion("signal", [
    z.strictObject({ signal: z.literal("error_rate"), max: most, minimumRequests }),
    z.strictObject({ signal: z.literal("error_rate_difference"), max: most, minimumRequests }),
    z.strictObject({ signal: z.literal("latency_p95_ratio"), max: ratio, minimumRequests }),
    z.strictObject({ signal: z.literal("latency_p99_ratio"), max: ratio, minimumRequests }),
    z.strictObject({ signal: z.literal("invalid_output_share"), max: most, minimumRequests }),
    z.strictObject({ signal: z.literal("agreement"), min: most, minimumRequests }),
  ])
  .describe(
    "error_rate: share of requests that failed, callers' mistakes left out. error_rate_difference: all failed requests, " +
      "callers' mistakes included, less the champion's share. latency_p95_ratio, latency_p99_ratio: against the " +
      "champion's. invalid_output_share: NaN and infinities among the numbers of the worst output. agreement: share of " +
      "rows with the champion's answer, of the worst output. Steps of 0 % judge error_rate, invalid_output_share and " +
      "agreement, on copies; the others judge all but agreement. A gate fails when its interval of 99 % lies beyond the " +
      "limit, passes when the value is within it, and waits in between. It goes by all requests of the step; of a variant " +
      "that follows an alias, by those that its version of now answered.",
  );
export type Gate = z.infer<typeof Gate>;
export type Signal = Gate["signal"];

const limits = "it is from 60000 (a minute) to 2592000000 (30 days), in milliseconds, or null for no limit";
const progressDeadlineMs = z.int(limits).min(60_000, limits).max(2_592_000_000, limits).nullable();

const Step = z.strictObject({
  weight: z.number().min(0).max(100).describe("Per cent of the requests for the new variant"),
  minutes: z.number().min(0).max(43_200).default(0).describe("How long to stay at least"),
  minimumRequests: z
    .int()
    .min(0)
    .max(1_000_000_000)
    .default(0)
    .describe("How many requests, or at 0 % copies, the new variant must have had before the next step"),
  shadowFraction: z
    .number()
    .gt(0)
    .max(1)
    .optional()
    .describe("At 0 %: the share of the requests that the new variant gets copies of; 1 when not given"),
  progressDeadlineMs: progressDeadlineMs
    .optional()
    .describe("For this step, in place of the rollout's; null: it waits as long as it takes"),
});
export type Step = z.infer<typeof Step>;

const Target = z.union(
  [
    z.strictObject({ variant: VariantName.describe("A variant or shadow that the deployment has") }),
    z.strictObject({ ...VersionTarget, name: VariantName.optional() }),
    z.strictObject({ ...AliasTarget, name: VariantName.optional() }),
  ],
  {
    error:
      "a target is either { variant } of the deployment, or a new one: { model, version } or { model, alias }, and a name if wanted",
  },
);

export const StartRolloutBody = z.strictObject({
  target: Target.describe(
    'A new variant is called "v" and its version, or as its alias, when it gets no name',
  ),
  steps: z
    .array(Step)
    .min(1)
    .max(20)
    .describe(
      "With rising weights; a last one of 100 %, which ends the rollout, is added if it is not there",
    ),
  gates: z
    .array(Gate)
    .max(10)
    .optional()
    .describe(
      "What each step must pass; an empty list leaves it to time. When not given: error_rate_difference and " +
        "invalid_output_share, of 0.01 each over 100 requests",
    ),
  onFailure: z
    .enum(["abort", "pause"])
    .default("abort")
    .describe("When a gate fails: go back to the revision before the rollout, or stay and wait for a person"),
  progressDeadlineMs: progressDeadlineMs
    .default(86_400_000)
    .describe(
      "How long a step may wait, beyond its minutes, for requests that it or its gates still need; time in which the " +
        "rollout is paused does not count. The default is a day: where traffic follows the hours, each of them has come " +
        "by once, and what is still missing then is not to be expected from waiting. null: as long as it takes",
    ),
  onDeadline: z
    .enum(["pause", "abort"])
    .default("pause")
    .describe(
      "When the wait is over: stay and wait for a person, since too few requests say nothing against the new variant, or " +
        "go back to the revision before the rollout",
    ),
  reason: Reason.default("rolled out through the API"),
});
export type StartRolloutBody = z.infer<typeof StartRolloutBody>;

export const ActBody = z.strictObject({ reason: Reason });
export const AdvanceBody = z.strictObject({
  reason: Reason,
  fromStep: z
    .int()
    .min(1)
    .optional()
    .describe("The step that was seen; when the rollout is elsewhere by now, nothing happens (409)"),
  complete: z.boolean().default(false).describe("Go to 100 % at once, not to the next step"),
});
export type AdvanceBody = z.infer<typeof AdvanceBody>;

const Verdict = z.object({
  signal: z.enum([
    "error_rate",
    "error_rate_difference",
    "latency_p95_ratio",
    "latency_p99_ratio",
    "invalid_output_share",
    "agreement",
  ]),
  verdict: z.enum(["pass", "wait", "fail"]),
  limit: z.number(),
  value: z.number().nullable(),
  low: z.number().nullable().describe("Lower end of the interval of 99 %"),
  high: z.number().nullable().describe("Upper end; null where it has none"),
  requests: z.int().describe("Of the new variant, or copies"),
  championRequests: z.int().nullable().describe("Null where nothing is compared with the champion's"),
  sentence: z.string(),
});
export type Verdict = z.infer<typeof Verdict>;

const StepReport = z.object({
  weight: z.number(),
  minutes: z.number(),
  minimumRequests: z.int(),
  shadowFraction: z.number().nullable(),
  progressDeadlineMs: z
    .int()
    .nullable()
    .describe("How long it may wait for requests beyond its minutes; null: as long as it takes"),
  state: z
    .enum(["ahead", "current", "passed", "failed", "left"])
    .describe("Left: ended by something else than its gates and its time"),
  revision: z.int().nullable().describe("The deployment's revision that the step made"),
  startedMs: z.int().nullable(),
  endedMs: z.int().nullable(),
  requests: z.int().nullable().describe("That the new variant had in this step, or copies"),
  verdicts: z
    .array(Verdict)
    .describe("As of now for the current step, as they were at the end for earlier ones"),
});
export type StepReport = z.infer<typeof StepReport>;

const NewVariant = z.union([
  z.strictObject({ name: VariantName, ...VersionTarget }),
  z.strictObject({ name: VariantName, ...AliasTarget }),
]);
export type NewVariant = z.infer<typeof NewVariant>;

const Author = z.object({ id: z.string(), name: z.string() });

export const RolloutState = z.enum(["running", "paused", "completed", "aborted", "superseded"]);
export type RolloutState = z.infer<typeof RolloutState>;

export const Rollout = z.object({
  id: z.string(),
  deployment: z.string(),
  state: RolloutState.describe(
    "Aborted: what was served before is served again. Superseded: somebody changed the deployment meanwhile, and that " +
      "change stands.",
  ),
  stateReason: z.string(),
  target: NewVariant.describe("The new variant"),
  champion: z.string().describe("The variant that it is compared with: the heaviest other one at the start"),
  gates: z.array(Gate),
  onFailure: z.enum(["abort", "pause"]),
  onDeadline: z.enum(["pause", "abort"]),
  steps: z.array(StepReport),
  step: z.int().describe("Number of the current step, from 1; of the last one when it has ended"),
  baseRevision: z.int().describe("Before the rollout; an abort restores it"),
  revision: z.int().describe("The last one that the rollout made"),
  startedMs: z.int(),
  endedMs: z.int().nullable(),
  startedBy: Author,
  reason: z.string(),
});
export type Rollout = Readonly<z.infer<typeof Rollout>>;

const RolloutEvent = z.object({
  number: z.int(),
  atMs: z.int(),
  kind: z.enum(["started", "stepped", "paused", "resumed", "completed", "aborted", "superseded"]),
  step: z.int(),
  revision: z.int().nullable().describe("The deployment's revision that it made, or that ended it"),
  by: Author,
  reason: z.string(),
});
export type RolloutEvent = Readonly<z.infer<typeof RolloutEvent>>;

export const RolloutDetail = Rollout.extend({
  deadlineMs: z
    .int()
    .nullable()
    .describe(
      "When the current step stops waiting for requests; null unless the rollout is running, and for a step without limit",
    ),
  events: z.array(RolloutEvent).describe("Newest first, at most 200"),
});
export type RolloutDetail = Readonly<z.infer<typeof RolloutDetail>>;

export const RolloutPage = pageOf(Rollout);
