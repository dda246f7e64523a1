import { z } from "zod";
import { pageOf, pageQuery } from "../../shared/http/index.ts";

/** The names of deployments, models and monitors stand in URLs and blob keys. */
export const MonitorName = z
  .string()
  .regex(
    /^[A-Za-z0-9][\w.-]{0,99}$/,
    "use 1 to 100 letters, digits, '.', '_' or '-', not starting with a sign",
  );
const positive = (what: string) =>
  z.number().positive().nullable().describe(`${what}; null: does not decide`);
const share = (what: string) => z.number().min(0).max(1).nullable().describe(`${what}; null: not watched`);
const VersionNumber = z.string().regex(/^[1-9]\d{0,9}$/, 'a version number as text, such as "3"');
const Reason = z.string().trim().min(1).max(2000);

/** From which effect on something is wrong. Effects below what chance explains at this number of rows never are. */
export const Thresholds = z.strictObject({
  jensenShannon: positive(
    "Jensen-Shannon distance, base 2, over ten bins or the most frequent levels",
  ).default(0.1),
  kolmogorovSmirnov: positive("Largest difference of the distribution functions").default(0.1),
  psi: positive("Population stability index over the same bins as Jensen-Shannon").default(0.2),
  wasserstein: positive("Wasserstein-1 distance in standard deviations of the reference").default(0.2),
  driftedShare: z
    .number()
    .gt(0)
    .max(1)
    .default(0.2)
    .describe("Share of the judged input columns that have to drift for the data to count as drifted"),
  missingShare: share("Growth of the share of rows without a value").default(0.05),
  outOfRangeShare: share("Share of values outside of the reference's range").default(0.01),
  unseenShare: share("Share of rows whose level the reference does not have").default(0.01),
  errorRate: share("Share of requests that failed through the deployment's own fault").default(0.05),
  latencyP95Ms: positive("95th percentile of the latency in milliseconds").default(null),
  invalidOutputRate: share("Share of answered requests with NaN or infinite outputs, or none").default(0.01),
  labelledError: positive("Share of wrong classes, or mean absolute error, of labelled predictions").default(
    null,
  ),
});
export type Thresholds = z.infer<typeof Thresholds>;

export const DatasetSlice = z.strictObject({
  dataset: z.string().min(1).max(256),
  version: z.string().min(1).max(128),
  timeColumn: z.string().min(1).max(256).optional().describe("Needed for fromMs and toMs"),
  fromMs: z.int().optional().describe("First moment of the slice"),
  toMs: z.int().optional().describe("First moment after the slice"),
});
export type DatasetSlice = z.infer<typeof DatasetSlice>;

export const MonitorSpec = z.strictObject({
  target: z
    .union([
      z.strictObject({ deployment: z.string().min(1).max(128) }),
      z.strictObject({ model: z.string().min(1).max(256), version: VersionNumber.optional() }),
    ])
    .describe("A deployment, or a registered model however it is asked"),
  reference: z
    .discriminatedUnion("kind", [
      z.strictObject({ kind: z.literal("training") }),
      z.strictObject({ kind: z.literal("dataset"), ...DatasetSlice.shape }),
    ])
    .default({ kind: "training" })
    .describe("What windows are held against: the profile that training left with the version, or a dataset"),
  columns: z
    .array(z.string().min(1).max(500))
    .min(1)
    .max(1000)
    .nullable()
    .default(null)
    .describe("null: all"),
  windowHours: z
    .int()
    .min(1)
    .max(24 * 31)
    .default(24)
    .describe("How much time one verdict is about"),
  everyHours: z
    .int()
    .min(1)
    .max(24 * 31)
    .default(24)
    .describe("How often a verdict is made"),
  minimumRows: z.int().min(1).max(1e9).default(300).describe("Below these a verdict is inconclusive"),
  thresholds: Thresholds.default(Thresholds.parse({})),
  alert: z
    .strictObject({
      badWindows: z.int().min(1).max(100).default(2),
      ofWindows: z.int().min(1).max(100).default(3).describe("Fires when so many of these last ones are bad"),
      clearWindows: z
        .int()
        .min(1)
        .max(100)
        .default(3)
        .describe("Ends after so many below .8 of the threshold"),
      coolDownHours: z
        .int()
        .min(0)
        .max(24 * 31)
        .default(24)
        .describe("After firing, not again for so long"),
    })
    .refine((alert) => alert.badWindows <= alert.ofWindows, {
      path: ["badWindows"],
      error: "badWindows is at most ofWindows",
    })
    .default({ badWindows: 2, ofWindows: 3, clearWindows: 3, coolDownHours: 24 }),
  policy: z
    .enum(["notify", "retrain", "rollback"])
    .default("notify")
    .describe(
      "What follows an alert. Drift retrains at most, it never rolls back: the old version would see the same data. " +
        "Rollback is for errors, latency and invalid outputs of a new version within its bake time.",
    ),
  bakeMinutes: z
    .int()
    .min(1)
    .max(7 * 24 * 60)
    .default(60),
  minimumRequests: z
    .int()
    .min(1)
    .max(1e6)
    .default(50)
    .describe("Below these a new version is not rolled back"),
  dryRun: z.boolean().default(false).describe("Write down what would be done, and do not do it"),
  enabled: z.boolean().default(true),
  capture: z
    .strictObject({
      sampleRate: z.number().min(0).max(1).default(1).describe("Share of requests; errors are always kept"),
      drop: z.array(z.string().max(500)).max(1000).default([]).describe("Fields that are not written down"),
      hash: z
        .array(z.string().max(500))
        .max(1000)
        .default([])
        .describe("Fields of which only a keyed hash is kept"),
    })
    .default({ sampleRate: 1, drop: [], hash: [] }),
});
export type MonitorSpec = z.infer<typeof MonitorSpec>;

export const PutMonitorBody = MonitorSpec.extend({ reason: Reason.default("set through the API") });
export const DeleteQuery = z.object({ reason: Reason.default("deleted through the API") });

const Author = z.object({ id: z.string(), name: z.string() });
export const Monitor = MonitorSpec.extend({
  name: z.string(),
  revision: z.int().describe("Also the ETag; send it as If-Match to lose nobody's change"),
  createdMs: z.int(),
  updatedMs: z.int(),
  updatedBy: Author,
});
export type Monitor = z.infer<typeof Monitor>;

export const MonitorRevision = z.object({
  monitor: z.string(),
  revision: z.int(),
  change: z.enum(["create", "change", "delete"]),
  spec: MonitorSpec.nullable(),
  author: Author,
  reason: z.string(),
  createdMs: z.int(),
});
export type MonitorRevision = z.infer<typeof MonitorRevision>;

export const verdicts = ["ok", "drift", "inconclusive", "no_data"] as const;
export const Verdict = z.enum(verdicts);
export type Verdict = z.infer<typeof Verdict>;

const Metric = z.object({
  metric: z.enum(["jensen_shannon", "kolmogorov_smirnov", "psi", "wasserstein"]),
  value: z.number(),
  threshold: z.number().nullable().describe("null: shown, but decides nothing"),
  floor: z.number().nullable().describe("99 of 100 windows without drift stay below; null where not needed"),
  exceeds: z.boolean().describe("At least the threshold, and above the floor"),
  bins: z.int().optional().describe("Part of what the number means: other bins, another number"),
  base: z.literal(2).optional().describe("Of the logarithm"),
  unit: z.enum(["sd", "raw"]).optional().describe("raw: the reference is constant"),
});
export type Metric = z.infer<typeof Metric>;

const QualityFinding = z.object({
  check: z.enum(["missing", "infinite", "out_of_range", "unseen", "type", "absent", "empty"]),
  share: z.number().describe("Of the window's rows"),
  referenceShare: z.number(),
  message: z.string(),
});
export type QualityFinding = z.infer<typeof QualityFinding>;

export const ColumnResult = z.object({
  column: z.string(),
  role: z.enum(["input", "output"]),
  kind: z.enum(["numeric", "discrete", "categorical"]),
  verdict: Verdict,
  reason: z.string(),
  rows: z.int().describe("With a usable value"),
  metrics: z.array(Metric),
  severity: z.number().nullable().describe("The largest effect as a multiple of its threshold"),
  test: z.enum(["kolmogorov_smirnov", "chi_square", "fisher"]).nullable(),
  p: z.number().nullable().describe("Shown, and decides nothing: every large window is significant"),
  adjustedP: z.number().nullable().describe("By Benjamini and Hochberg over the columns"),
  shift: z
    .object({ referenceMean: z.number(), windowMean: z.number(), inSd: z.number().nullable() })
    .nullable()
    .describe("Which way the mean moved"),
  quality: z.array(QualityFinding).describe("Violations"),
  unseenLevels: z.array(z.object({ value: z.string(), count: z.int() })).optional(),
});
export type ColumnResult = z.infer<typeof ColumnResult>;

export const DriftReport = z.object({
  verdict: Verdict,
  reason: z.string(),
  rows: z.int(),
  judgedColumns: z.int(),
  driftedColumns: z.array(z.string()),
  driftedShare: z.number().nullable().describe("Of the judged input columns"),
  predictionVerdict: Verdict.describe("Of the output columns"),
  violations: z.int().describe("Of data quality, over all columns"),
  columns: z.array(ColumnResult),
});
export type DriftReport = z.infer<typeof DriftReport>;

export const signalNames = [
  "data_drift",
  "prediction_drift",
  "data_quality",
  "error_rate",
  "latency_p95",
  "invalid_output_rate",
  "labelled_error",
] as const;
export const SignalName = z.enum(signalNames);
export type SignalName = z.infer<typeof SignalName>;

export const Observation = z.object({
  signal: SignalName,
  value: z.number().nullable().describe("null: not known for this window"),
  threshold: z.number(),
  outcome: z.enum(["bad", "between", "clear", "missing"]).describe("clear: below .8 of the threshold"),
});
export type Observation = z.infer<typeof Observation>;

const Traffic = z.object({
  requests: z.int(),
  errors: z.int().describe("Through the deployment's own fault"),
  rejected: z.int().describe("Through the caller's fault"),
  invalidOutputs: z.int(),
  latencyP50Ms: z.number().nullable(),
  latencyP95Ms: z.number().nullable(),
});
export type Traffic = z.infer<typeof Traffic>;

const Labelled = z.object({
  labels: z.int(),
  predictions: z.int().describe("Captured in the window"),
  coverage: z.number(),
  metric: z.enum(["error_rate", "mean_absolute_error"]).nullable(),
  value: z.number().nullable(),
  medianLagMs: z.number().nullable().describe("From the prediction to what was observed"),
});
export type Labelled = z.infer<typeof Labelled>;

export const MonitorResult = z.object({
  monitor: z.string(),
  monitorRevision: z.int(),
  series: z.string().describe("`capture`, or `dataset:<name>` for windows of a dataset"),
  windowStartMs: z.int(),
  windowEndMs: z.int(),
  evaluatedMs: z.int(),
  resultVersion: z.int().describe("Counts up when the same window is judged again and comes out otherwise"),
  model: z.string().nullable(),
  modelVersion: z.string().nullable(),
  otherVersions: z.array(z.string()).describe("Seen in the window too, and not judged: the most used one is"),
  reference: z.string().describe("Where the reference profile came from"),
  captured: z.object({ requests: z.int(), duplicates: z.int(), errors: z.int(), hours: z.int() }).nullable(),
  drift: DriftReport,
  traffic: Traffic.nullable(),
  labelled: Labelled.nullable(),
  signals: z.array(Observation),
});
export type MonitorResult = z.infer<typeof MonitorResult>;

export const AlertState = z.enum(["pending", "firing", "resolving", "ok"]);
export type AlertState = z.infer<typeof AlertState>;

export const SignalState = z.object({
  monitor: z.string(),
  series: z.string(),
  signal: SignalName,
  state: AlertState,
  recent: z.array(z.enum(["bad", "between", "clear"])).describe("Newest last"),
  value: z.number().nullable(),
  threshold: z.number(),
  windowEndMs: z.int().nullable().describe("Of the newest window that had a value"),
  mutedUntilMs: z.int().nullable(),
});
export type SignalState = z.infer<typeof SignalState>;

export const Alert = z.object({
  id: z.string(),
  monitor: z.string(),
  series: z.string(),
  signal: SignalName,
  state: z.enum(["firing", "resolving", "resolved"]),
  message: z.string(),
  value: z.number(),
  threshold: z.number(),
  windowEndMs: z.int().describe("Of the window that raised it"),
  firedMs: z.int(),
  resolvedMs: z.int().nullable(),
  acknowledgedBy: z.string().nullable(),
  acknowledgedMs: z.int().nullable(),
  mutedUntilMs: z.int().nullable(),
  action: z
    .object({
      kind: z.enum(["notify", "retrain", "rollback"]),
      state: z.enum(["pending", "done", "skipped", "failed"]),
      detail: z.string(),
    })
    .describe("What the policy made of it"),
});
export type Alert = z.infer<typeof Alert>;

export const EvaluateBody = z
  .strictObject({
    windowEndMs: z.int().min(0).optional().describe("The end of a captured window; now when not given"),
    window: DatasetSlice.optional().describe("Judge this slice of a dataset in place of what was captured"),
  })
  .refine((body) => body.window === undefined || body.windowEndMs === undefined, {
    error: "give windowEndMs or window, not both",
  });
export const EvaluateSpec = z.object({
  monitor: MonitorName,
  windowEndMs: z.int().optional(),
  window: DatasetSlice.optional(),
});
export type EvaluateSpec = z.infer<typeof EvaluateSpec>;

export const NameParams = z.object({ name: MonitorName });
export const AlertParams = z.object({ id: z.string().min(1).max(100) });
export const PageQuery = z.object(pageQuery);
export const WindowParams = z.object({
  name: MonitorName,
  windowEndMs: z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER),
});
export const VersionsQuery = z.object({ series: z.string().max(300).default("capture") });
export const ResultsQuery = z.object({ ...pageQuery, series: z.string().max(300).optional() });
export const LatestQuery = z.object({ series: z.string().max(300).optional() });
export const ChartQuery = z.object({
  series: z.string().max(300).optional().describe("`capture` when there is such a series"),
  windows: z.coerce.number().int().min(1).max(366).default(60),
});
export const AlertsQuery = z.object({
  ...pageQuery,
  monitor: MonitorName.optional(),
  state: z.enum(["firing", "resolving", "resolved"]).optional(),
});
export const MuteBody = z.strictObject({
  untilMs: z
    .int()
    .describe("Until then this signal of this monitor raises no alert; a past moment ends a mute"),
  reason: Reason,
});
export const AcknowledgeBody = z.strictObject({ reason: Reason.optional() }).optional();

export const LabelsBody = z.strictObject({
  labels: z
    .array(
      z.strictObject({
        requestId: z.string().min(1).max(128),
        rowIndex: z.int().min(0).default(0),
        value: z.union([z.number(), z.string().max(1000), z.boolean()]),
        observedAt: z.union([z.int(), z.iso.datetime({ offset: true })]).describe("Milliseconds or ISO 8601"),
      }),
    )
    .min(1)
    .max(10_000),
});
export type LabelInput = z.infer<typeof LabelsBody>["labels"][number];
export const LabelsReply = z.object({ stored: z.int().describe("New ones and those that changed") });

export const MonitorPage = pageOf(Monitor);
export const RevisionPage = pageOf(MonitorRevision);
export const ResultPage = pageOf(MonitorResult);
export const AlertPage = pageOf(Alert);
export const ResultVersions = z.object({ items: z.array(MonitorResult) });
export const SignalList = z.object({ items: z.array(SignalState) });

export const CaptureStatus = z.object({
  deployment: z.string(),
  sampleRate: z.number(),
  seen: z.int().describe("Predictions that this instance was told of, since it started"),
  skipped: z.int().describe("Not in the sample"),
  captured: z.int().describe("Written"),
  buffered: z.int().describe("On their way"),
  dropped: z.int().describe("Too large, or no room in memory"),
  failed: z.int().describe("Given up after the store failed repeatedly"),
});
export type CaptureStatus = z.infer<typeof CaptureStatus>;
