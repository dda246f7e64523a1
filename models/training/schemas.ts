import { z } from "zod";
import { pageOf, pageQuery } from "../../shared/http/index.ts";
import { JobSchema } from "../../shared/jobs/index.ts";
import { instantMs } from "./data/instants.ts";

const ColumnName = z.string().min(1).max(500);

/** The names of a graph's inputs; what callers write in their requests. */
export const FeatureName = z
  .string()
  .min(1)
  .max(200)
  .refine((name) => !/\p{Cc}/u.test(name), "must not have control characters")
  .refine(
    (name) => !/^(label|probabilities|prediction|ketline:.*)$/.test(name),
    "is taken by the model itself; give the feature another name",
  );

const timeParts = ["hour", "dayOfWeek", "dayOfMonth", "month", "year"] as const;

/** A column computed from another one when the data set is read. It is a plain numeric input of the model. */
const Derived = z.strictObject({
  name: FeatureName,
  from: ColumnName.describe("A column of times"),
  part: z.enum(timeParts).describe("In UTC; `dayOfWeek` counts from Monday, 1, to Sunday, 7"),
});

const Feature = z.strictObject({
  column: ColumnName.describe("A column of the data set, or a derived one"),
  name: FeatureName.optional().describe("What clients of the model call it; as the column when not given"),
  kind: z
    .enum(["numeric", "categorical"])
    .optional()
    .describe(
      "Text is categorical and everything else numeric when not given; numbers may be categorical too",
    ),
});

const Target = z
  .strictObject({
    column: ColumnName,
    greaterThan: z.number().optional().describe("1 where the column is greater, else 0"),
    equals: z.union([z.string(), z.number(), z.boolean()]).optional().describe("1 where it is this, else 0"),
  })
  .refine(
    ({ greaterThan, equals }) => greaterThan === undefined || equals === undefined,
    "has both greaterThan and equals; give one of them",
  );

const Instant = z
  .string()
  .max(40)
  .refine(
    (text) =>
      /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?Z?)?$/.test(text) &&
      !Number.isNaN(instantMs(text)),
    'a day or time in UTC, such as "2001-03-01" or "2001-03-01T12:00:00Z"',
  );
const Period = z
  .strictObject({ from: Instant, to: Instant.describe("Not included") })
  .refine(({ from, to }) => instantMs(from) < instantMs(to), "ends before it begins");

const seed = z
  .int()
  .min(0)
  .max(2 ** 31)
  .default(1);
const FixedPeriods = z.strictObject({ timeColumn: ColumnName, train: Period, holdout: Period });
const Fraction = z.strictObject({ holdoutFraction: z.number().gt(0).lt(1), seed });
const days = z.number().gt(0).max(36_500);
const NewestDays = z
  .strictObject({
    timeColumn: ColumnName,
    holdoutDays: days.describe("The newest days of the data, up to its last row"),
    trainDays: days.optional().describe("So many days before the holdout; all of them when not given"),
  })
  .describe(
    "Moves on with the data: the periods are fixed, and written down, when the training is submitted",
  );
const Split = z.union([FixedPeriods, Fraction]);
const RequestedSplit = z.union([FixedPeriods, NewestDays, Fraction], {
  error:
    "needs timeColumn, train {from, to} and holdout {from, to}, each a day or time with `from` before `to`; or timeColumn and holdoutDays, the newest days; or, for data without times, holdoutFraction",
});

const Condition = z
  .strictObject({
    column: ColumnName,
    in: z
      .array(z.union([z.string(), z.number(), z.boolean()]))
      .min(1)
      .max(10_000)
      .optional(),
    min: z.union([z.number(), Instant]).optional(),
    max: z.union([z.number(), Instant]).optional().describe("Included"),
  })
  .refine((condition) => Object.keys(condition).length > 1, "says nothing; give in, min or max");

const linear = {
  l2: z
    .number()
    .min(0)
    .max(1e12)
    .default(1)
    .describe("Ridge penalty; scikit-learn's `alpha` of Ridge and `1/C` of LogisticRegression"),
  minLevelRows: z
    .int()
    .min(1)
    .default(20)
    .describe("A category of fewer training rows gets no weight, as an unknown one"),
  maxLevels: z
    .int()
    .min(1)
    .max(2000)
    .default(500)
    .describe("Of one categorical feature; the most frequent stay"),
  impute: z.enum(["mean", "median"]).default("mean").describe("What stands in for a missing number"),
};
const classWeights = z
  .union([
    z.literal("none"),
    z.literal("balanced"),
    z.strictObject({ negative: z.number().positive(), positive: z.number().positive() }),
  ])
  .default("none")
  .describe("`balanced`: each class counts as much as the other, as in scikit-learn");

const share = z.number().gt(0).max(1);
const boosting = {
  loss: z
    .enum(["squared", "quantile", "huber", "poisson"])
    .optional()
    .describe("Of a regression, `squared` when not given; a binary task has the logistic loss"),
  quantile: z.number().gt(0).lt(1).default(0.5).describe("Which one the loss `quantile` predicts"),
  huberDelta: z
    .number()
    .positive()
    .max(1e300)
    .optional()
    .describe(
      "Errors beyond it count linearly; 1.345 robust standard deviations of the target when not given",
    ),
  trees: z.int().min(1).max(5000).default(100),
  learningRate: z.number().gt(0).max(1).default(0.1),
  growth: z.enum(["leaf", "depth"]).default("leaf").describe("Best leaf first, or level by level"),
  maxLeaves: z.int().min(2).max(1024).default(31),
  maxDepth: z.int().min(1).max(60).optional().describe("No limit when not given"),
  minLeafRows: z.int().min(1).max(1e9).default(20),
  minLeafHessian: z.number().min(0).max(1e12).default(1e-3),
  minGain: z.number().min(0).max(1e12).default(0),
  l1: z.number().min(0).max(1e12).default(0),
  l2: z.number().min(0).max(1e12).default(0),
  rowFraction: share.default(1).describe("Of the rows, drawn for each tree"),
  columnFraction: share.default(1).describe("Of the features, drawn for each tree"),
  minLevelRows: z
    .int()
    .min(1)
    .default(10)
    .describe("A category of fewer training rows counts as an unknown one"),
  monotone: z
    .record(z.string().min(1).max(200), z.enum(["increasing", "decreasing"]))
    .default({})
    .describe("By the name of a numeric feature: predictions never go against it"),
  earlyStopping: z
    .strictObject({
      rounds: z.int().min(1).max(1000).default(10),
      fraction: z.number().gt(0).max(0.5).default(0.1),
    })
    .optional()
    .describe(
      "Keeps this share of the training rows aside and ends when their loss has not fallen for so many rounds",
    ),
  seed,
};
const Algorithm = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("linear"), ...linear }),
  z.strictObject({ kind: z.literal("logistic"), ...linear, classWeights }),
  z.strictObject({ kind: z.literal("boosting"), ...boosting, classWeights }),
]);
export type Algorithm = z.infer<typeof Algorithm>;
export type LinearAlgorithm = Exclude<Algorithm, { kind: "boosting" }>;
export type BoostingAlgorithm = Extract<Algorithm, { kind: "boosting" }>;

/** What is wrong with an algorithm for a task; undefined when nothing is. */
function algorithmFault(task: string, algorithm: Algorithm): string | undefined {
  if (algorithm.kind !== "boosting") {
    const right = algorithm.kind === "logistic" ? "binary" : "regression";
    return task === right
      ? undefined
      : `${algorithm.kind} is for the task ${right}; it is boosting or ${task === "binary" ? "logistic" : "linear"} for the task ${task}`;
  }
  if (task === "binary" && algorithm.loss !== undefined) {
    return `loss is for a regression; the task binary has the logistic loss, and "${algorithm.loss}" does not apply`;
  }
  if (task === "regression" && algorithm.classWeights !== "none")
    return "classWeights is for the task binary";
  return undefined;
}

const promotionPolicies = ["never", "if-better", "always"] as const;

const Promotion = z.strictObject({
  policy: z
    .enum(promotionPolicies)
    .default("if-better")
    .describe("A first version is promoted unless the policy is `never`"),
  alias: z.string().min(1).max(100).default("champion"),
  minDelta: z
    .number()
    .min(0)
    .default(0)
    .describe(
      "By so much the mean loss (log loss or squared error) must fall; the whole 95 % interval must lie beyond",
    ),
});
export type Promotion = z.infer<typeof Promotion>;

const trainingOf = <Of extends z.ZodType>(split: Of) =>
  z
    .strictObject({
      dataset: z.string().min(1).max(100),
      version: z
        .string()
        .regex(/^(latest|[0-9a-f]{8,64})$/, "the version's SHA-256, its first 8 digits or more, or `latest`")
        .default("latest"),
      task: z.enum(["regression", "binary"]),
      target: Target,
      features: z.array(Feature).min(1).max(500),
      derive: z.array(Derived).max(100).default([]),
      split,
      where: z.array(Condition).max(50).default([]).describe("Only rows that meet all of these"),
      sample: z
        .strictObject({ fraction: z.number().gt(0).max(1), seed })
        .optional()
        .describe("Only this share of the rows, of training and holdout; the same ones each time"),
      algorithm: Algorithm.optional().describe(
        "`logistic` for binary and `linear` for regression by default",
      ),
      rowKey: z
        .array(ColumnName)
        .min(1)
        .max(500)
        .optional()
        .describe(
          "Columns by whose values rows are drawn at random, for a split or a sample: rows that agree in them stay " +
            "together. All columns of the data set when not given",
        ),
      minimumRows: z
        .strictObject({
          train: z.int().min(2).default(30),
          holdout: z.int().min(2).default(30),
        })
        .default({ train: 30, holdout: 30 })
        .describe("Fewer rows are refused: nothing can be learnt from them, or said of the model"),
      slices: z
        .array(ColumnName)
        .max(20)
        .default([])
        .describe("Columns, given or derived, by whose values the holdout is evaluated too"),
      experiment: z
        .string()
        .min(1)
        .max(200)
        .optional()
        .describe("The model's name, or the data set's, when not given"),
      runName: z.string().min(1).max(200).optional(),
      tags: z.record(z.string().min(1).max(200), z.string().max(5000)).default({}),
      registeredModel: z
        .string()
        .min(1)
        .max(200)
        .optional()
        .describe("Registers the model as a version of this one"),
      promotion: Promotion.default(Promotion.parse({})),
      partitionBy: z
        .array(ColumnName)
        .min(1)
        .max(8)
        .optional()
        .describe(
          "Columns of texts, whole numbers or truth values: one model for each combination of their values",
        ),
      minRows: z
        .int()
        .min(4)
        .max(1e9)
        .optional()
        .describe("With partitionBy: a key of fewer rows gets no model of its own; 500 when not given"),
      fallback: z
        .enum(["global", "parent"])
        .optional()
        .describe(
          "With partitionBy: what answers for keys without a model. `global`, when not given: one model of all rows. " +
            "`parent`: a model of the first columns of the key, where there is one, else the global one",
        ),
    })
    .superRefine(({ partitionBy, minRows, fallback }, context) => {
      if (partitionBy !== undefined) return;
      for (const [path, value] of Object.entries({ minRows, fallback })) {
        if (value !== undefined)
          context.addIssue({ code: "custom", path: [path], message: "says nothing without partitionBy" });
      }
    })
    .superRefine(({ task, algorithm }, context) => {
      const fault = algorithm === undefined ? undefined : algorithmFault(task, algorithm);
      if (fault !== undefined) context.addIssue({ code: "custom", path: ["algorithm"], message: fault });
    })
    .refine(({ task, target }) => task === "binary" || (target.greaterThan ?? target.equals) === undefined, {
      path: ["target"],
      error: "greaterThan and equals make a target of two classes; the task is regression",
    });
/** What is asked for. */
export const TrainingRequest = trainingOf(RequestedSplit);
export type TrainingRequest = z.infer<typeof TrainingRequest>;

/** What is trained: as it was asked for, with its periods fixed. */
export const TrainingSpec = trainingOf(Split);
export type TrainingSpec = z.infer<typeof TrainingSpec>;

/** What decides which rows of a data set are read. Stored with a model, so that it can be asked what it has seen. */
export const RowChoice = z.object({
  split: TrainingSpec.shape.split,
  where: TrainingSpec.shape.where,
  sample: TrainingSpec.shape.sample,
  rowKey: TrainingSpec.shape.rowKey,
});
export type RowChoice = z.infer<typeof RowChoice>;
export type Target = TrainingSpec["target"];
export type Split = TrainingSpec["split"];
export type Condition = z.infer<typeof Condition>;
export type Derived = z.infer<typeof Derived>;

const optionalNumber = z.number().nullable();
const BinaryMetricsSchema = z.object({
  rows: z.int(),
  positives: z.int(),
  logLoss: z.number(),
  auc: optionalNumber,
  averagePrecision: optionalNumber,
  brier: z.number(),
  accuracy: z.number(),
  precision: optionalNumber,
  recall: optionalNumber,
  f1: optionalNumber,
});
const RegressionMetricsSchema = z.object({
  rows: z.int(),
  rmse: z.number(),
  mae: z.number(),
  r2: optionalNumber,
  bias: z.number(),
  quantileLoss: z.number(),
});

const BaselineSchema = z.object({
  name: z
    .string()
    .describe("`mean` or `share of 1s` of the training rows, their `last value`, or a quantile"),
  value: z.number().describe("What it predicts, whatever the row"),
  loss: z.number().describe("Its mean loss on the holdout"),
});
const BaselinesSchema = z.object({
  metric: z.enum(["logLoss", "squaredError", "quantileLoss"]),
  model: z.number().describe("The mean loss of the model on the holdout"),
  baselines: z.array(BaselineSchema),
  beaten: z.boolean().describe("Whether the model's loss is below that of each baseline"),
});
export type Baselines = z.infer<typeof BaselinesSchema>;

const ComparisonSchema = z.object({
  metric: z.enum(["logLoss", "squaredError", "quantileLoss"]),
  rows: z.int(),
  champion: z.number().describe("Its mean loss on the holdout"),
  challenger: z.number(),
  delta: z.number().describe("Champion minus challenger: above 0 the new version is better"),
  low: z.number().describe("The 95 % interval of delta"),
  high: z.number(),
  method: z.string(),
  seenByChampion: z
    .int()
    .nullable()
    .describe("Rows of the holdout that the champion was trained on; null where that is not known"),
});
export type Comparison = z.infer<typeof ComparisonSchema>;

/** Whether the new version took the alias, and why. */
const DecisionSchema = z.object({
  promoted: z.boolean(),
  reason: z.string(),
  alias: z.string(),
  policy: z.enum(promotionPolicies),
  champion: z.int().nullable().describe("The version that held the alias; null when there was none"),
  comparison: ComparisonSchema.nullable().describe(
    "Both models on the same rows of the holdout; null when they could not be compared",
  ),
});
export type Decision = z.infer<typeof DecisionSchema>;

const KeyCounts = z.object({
  total: z.int(),
  trained: z.int(),
  fallback: z.int().describe("Keys with too few rows for a model of their own"),
  failed: z.int().describe("Keys whose rows cannot be learnt from, or whose task failed"),
  rowsWithoutKey: z.int().describe("Rows without a value in a key column of whole numbers or truth values"),
  worse: z
    .int()
    .nullable()
    .describe("Trained keys whose loss is above the champion's on the same rows; null when it was not asked"),
});

const TrainingResult = z.object({
  dataset: z.string(),
  version: z.string(),
  experimentId: z.string(),
  runId: z.string(),
  rows: z.object({
    train: z.int(),
    holdout: z.int(),
    withoutTarget: z.int().describe("Left out of both"),
  }),
  metrics: z.union([BinaryMetricsSchema, RegressionMetricsSchema]).describe("On the holdout"),
  baselines: BaselinesSchema.describe("What predicts without looking at a row, judged on the same holdout"),
  model: z.object({ name: z.string(), version: z.int() }).nullable(),
  decision: DecisionSchema.nullable().describe("null when no model is registered"),
  keys: KeyCounts.optional().describe("With partitionBy"),
});
export type TrainingResult = z.infer<typeof TrainingResult>;

export const TrainingSchema = z
  .object({
    id: z.string().describe("The id of its job"),
    dataset: z.string(),
    version: z.string(),
    registeredModel: z.string().nullable(),
    runId: z.string().nullable(),
    modelVersion: z.int().nullable(),
    createdBy: z.string(),
    createdMs: z.int(),
    job: JobSchema.extend({ result: TrainingResult.nullable() }),
  })
  .meta({ title: "Training" });
export type Training = z.infer<typeof TrainingSchema>;

export const TrainingPage = pageOf(TrainingSchema);
export const TrainingsQuery = z.object({
  ...pageQuery,
  model: z.string().min(1).max(200).optional().describe("Only trainings of this registered model"),
});
export const TrainingPosition = z.object({ createdMs: z.int(), id: z.string() });
export const TrainingParams = z.object({ id: z.string().min(1).max(100) });
export const RunParams = z.object({ run: z.string().min(1).max(100).describe("The id of an MLflow run") });
export const SubmitQuery = z.object({
  idempotencyKey: z.string().min(1).max(200).optional().describe("The same key again gives the first job"),
});
