import { z } from "zod";
import { pageOf, pageQuery } from "../../../shared/http/index.ts";
import { TrainingRequest } from "../schemas.ts";

export const ScheduleName = z
  .string()
  .regex(
    /^[A-Za-z0-9][\w.-]{0,99}$/,
    "use 1 to 100 letters, digits, '.', '_' or '-', not starting with a sign",
  );
const Reason = z.string().trim().min(1).max(2000);

const Trigger = z.discriminatedUnion("on", [
  z.strictObject({ on: z.literal("dataset") }),
  z.strictObject({
    on: z.literal("alert"),
    monitor: z.string().min(1).max(100).describe("A monitor whose policy is `retrain`"),
  }),
]);

/** What a firing rolls out when its version took the alias. */
const Rollout = z.strictObject({
  deployment: z.string().min(1).max(128),
  plan: z
    .record(z.string(), z.unknown())
    .describe(
      "As for `POST /api/v1/deployments/{name}/rollouts`, without its target: that is the new version",
    ),
});

export const ScheduleSpec = z
  .strictObject({
    cron: z
      .string()
      .min(1)
      .max(200)
      .nullable()
      .default(null)
      .describe(
        "NCRONTAB: seconds, minutes, hours, day of month, month, day of week; day of month and day of week must both " +
          "hold. null: only triggers and people start it",
      ),
    timeZone: z
      .string()
      .min(1)
      .max(100)
      .default("UTC")
      .describe("Of the IANA database, e.g. `Europe/Berlin`"),
    jitterSeconds: z
      .int()
      .min(0)
      .max(3600)
      .default(0)
      .describe("Fires so much later at most, so that not all schedules begin at once"),
    triggers: z
      .array(Trigger)
      .max(20)
      .default([])
      .describe(
        "dataset: a new version of the data set has passed its tests. alert: a monitor's alert asks for retraining",
      ),
    overlap: z
      .enum(["skip", "queue", "replace"])
      .default("skip")
      .describe(
        "When it is due while a firing of it still runs: leave it out, let it wait, or cancel the one that runs",
      ),
    catchUp: z
      .enum(["none", "latest", "all"])
      .default("latest")
      .describe("For times that passed while no server ran: none, the last of them, or each (at most 100)"),
    whenUnchanged: z
      .enum(["skip", "train"])
      .default("skip")
      .describe("When it is due by time and its data set has no version that it has not trained on"),
    paused: z.boolean().default(false),
    training: TrainingRequest.describe(
      "What is trained, as for `POST /api/v1/training`; `version` is mostly `latest`",
    ),
    rollout: Rollout.nullable().default(null).describe("What follows when the new version took the alias"),
  })
  .refine(({ cron, triggers }) => cron !== null || triggers.length > 0, {
    path: ["cron"],
    error: "is null and there are no triggers, so that nothing would ever start it; give one of them",
  });
export type ScheduleSpec = z.infer<typeof ScheduleSpec>;

const Author = z.object({ id: z.string(), name: z.string() });

export const ScheduleSchema = z
  .object({
    name: z.string(),
    revision: z.int().describe("Grows with every change"),
    spec: ScheduleSpec,
    nextDueMs: z.int().nullable().describe("Without the jitter; null while it is paused or has no times"),
    runningFiring: z.string().nullable(),
    createdMs: z.int(),
    updatedMs: z.int(),
    updatedBy: Author.describe("It trains and promotes with the rights of who changed it last"),
  })
  .meta({ title: "Schedule" });
export type Schedule = z.infer<typeof ScheduleSchema>;

export const firingStates = [
  "waiting",
  "running",
  "rolling_out",
  "succeeded",
  "failed",
  "refused",
  "skipped",
  "replaced",
] as const;
export type FiringState = (typeof firingStates)[number];

export const Cause = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("time"), dueMs: z.int() }),
  z.object({ kind: z.literal("person"), by: Author, reason: z.string() }),
  z.object({ kind: z.literal("dataset"), version: z.string() }),
  z.object({ kind: z.literal("alert"), monitor: z.string(), alert: z.string(), message: z.string() }),
]);
export type Cause = z.infer<typeof Cause>;

export const FiringSchema = z
  .object({
    id: z.string(),
    schedule: z.string(),
    scheduleRevision: z.int(),
    state: z
      .enum(firingStates)
      .describe(
        "refused: the newest version of the data set did not pass its tests, so that nothing was trained. skipped and " +
          "replaced: by the schedule's own policies",
      ),
    cause: Cause.describe("Why it fired"),
    reason: z.string().nullable().describe("Why it ended as it did"),
    dataVersion: z.string().nullable().describe("What it was trained on"),
    trainingId: z
      .string()
      .nullable()
      .describe("Its training, which has the run, the metrics and the verdict"),
    runId: z.string().nullable(),
    model: z.object({ name: z.string(), version: z.int() }).nullable(),
    promoted: z.boolean().nullable(),
    verdict: z.string().nullable().describe("What the promotion gate said"),
    rollout: z
      .object({ deployment: z.string(), id: z.string(), state: z.string(), stateReason: z.string() })
      .nullable(),
    firedMs: z.int(),
    endedMs: z.int().nullable(),
  })
  .meta({ title: "Firing" });
export type Firing = z.infer<typeof FiringSchema>;

export const ScheduleParams = z.object({ name: ScheduleName });
export const FiringParams = z.object({ name: ScheduleName, id: z.string().min(1).max(100) });
export const PutScheduleQuery = z.object({ reason: Reason.optional() });
export const RunBody = z
  .strictObject({ reason: Reason.default("run by hand") })
  .default({ reason: "run by hand" });
export const PauseBody = z.strictObject({ reason: Reason });
export const SchedulesQuery = z.object(pageQuery);
export const FiringsQuery = z.object({ ...pageQuery, state: z.enum(firingStates).optional() });
export const SchedulePosition = z.object({ name: z.string() });
export const FiringPosition = z.object({ firedMs: z.number(), id: z.string() });
export const SchedulePage = pageOf(ScheduleSchema);
export const FiringPage = pageOf(FiringSchema);
