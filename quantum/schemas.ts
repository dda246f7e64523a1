import { z } from "zod";
import { pageOf, pageQuery } from "../shared/http/index.ts";
import { languages } from "./programs/program.ts";
import { circuitMethods, limits, profiles, qirProfiles } from "./simulator/tasks.ts";

// Programs

const SourceFile = z.object({
  name: z.string().min(1).max(200),
  text: z.string().max(limits.sourceCharacters),
});

const programShape = {
  language: z.enum(languages),
  source: z
    .string()
    .min(1)
    .max(limits.sourceCharacters)
    .optional()
    .describe("The program, where it is one file"),
  files: z
    .array(SourceFile)
    .min(1)
    .max(50)
    .optional()
    .describe("The program's files; of OpenQASM the first is run"),
  entry: z
    .string()
    .min(1)
    .max(2000)
    .optional()
    .describe("Q#: a callable (`Rotate`) or an expression (`Rotate(0.3)`) in place of the entry point"),
  arguments: z
    .union([z.array(z.unknown()).max(1000), z.record(z.string(), z.unknown())])
    .optional()
    .describe("Q#: a list for the callable `entry`; OpenQASM: values of the program's inputs by name"),
};

const Probability = z.number().min(0).max(1);
export const NoiseSchema = z
  .object({
    pX: Probability.default(0),
    pY: Probability.default(0),
    pZ: Probability.default(0),
    loss: Probability.default(0),
  })
  .describe("Probabilities of a Pauli error and of losing the qubit, after each gate and measurement");

const DiagnosticSchema = z.object({
  file: z.string().describe("`entry` for the entry expression, empty for the program as a whole"),
  line: z.int().describe("Counts from 1"),
  column: z.int().describe("Counts from 1"),
  endLine: z.int(),
  endColumn: z.int(),
  severity: z.enum(["error", "warning", "info", "hint"]),
  code: z.string(),
  message: z.string(),
});

export const CheckBody = z.strictObject({
  ...programShape,
  profile: z.enum(profiles).default("unrestricted").describe("What the target must be able to do"),
});
export const CheckSchema = z
  .object({
    ok: z.boolean().describe("Whether it compiles for the profile"),
    profile: z.enum(profiles),
    diagnostics: z.array(DiagnosticSchema),
    tests: z.array(z.string()).describe("The callables with `@Test()`"),
  })
  .meta({ title: "QuantumCheck" });

export const QirBody = z.strictObject({ ...programShape, profile: z.enum(qirProfiles).default("base") });
export const GatesSchema = z.object({
  oneQubit: z.int(),
  twoQubit: z.int(),
  wider: z.record(z.string(), z.int()).describe("Gates on three and more qubits, by the number of qubits"),
  measurements: z.int(),
  qubits: z.int(),
  exact: z.boolean().describe("False with branches: then gates are counted in the text, not as they happen"),
});
export const QirSchema = z
  .object({ profile: z.enum(qirProfiles), qir: z.string().describe("LLVM text"), gates: GatesSchema })
  .meta({ title: "QuantumQir" });

export const CircuitBody = z.strictObject({
  ...programShape,
  method: z
    .enum(circuitMethods)
    .default("static")
    .describe("`static` shows what may happen, `simulate` what did happen in one run"),
});
export const CircuitSchema = z
  .object({ text: z.string().describe("One line per qubit, time from left to right"), circuit: z.unknown() })
  .meta({ title: "QuantumCircuit" });

// Estimates

const Positive = z.number().positive();
const EstimateParameters = z
  .looseObject({
    qubitParams: z.looseObject({ name: z.string().max(100).optional() }).optional(),
    qecScheme: z.looseObject({ name: z.string().max(100).optional() }).optional(),
    errorBudget: z.union([z.number(), z.record(z.string(), z.number())]).optional(),
    estimateType: z.enum(["singlePoint", "frontier"]).optional(),
    constraints: z.looseObject({}).optional(),
  })
  .describe("As the resource estimator of the Quantum Development Kit takes them");
export const EstimateBody = z.strictObject({
  ...programShape,
  parameters: z.array(EstimateParameters).min(1).max(20).default([{}]),
});
export type EstimateBody = z.infer<typeof EstimateBody>;

// Minimisations

const Iterations = z.int().min(1).max(500);
export const MinimisationBody = z.strictObject({
  source: programShape.source,
  files: programShape.files,
  entry: z
    .string()
    .max(500)
    .regex(/^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$/, "must be the name of a callable")
    .describe("A Q# callable `(parameters : Double[], shots : Int) : Double`"),
  initial: z
    .array(z.number().min(-1e6).max(1e6))
    .min(1)
    .max(50)
    .describe("Where to begin, in radians for angles"),
  shots: z.int().min(1).max(limits.shots).default(1000).describe("Handed to the callable"),
  method: z
    .discriminatedUnion("kind", [
      z.strictObject({
        kind: z.literal("parameterShift"),
        iterations: Iterations.default(20),
        learningRate: Positive.max(100).default(0.5),
      }),
      z.strictObject({
        kind: z.literal("spsa"),
        iterations: Iterations.default(50),
        step: Positive.max(100).default(0.5),
        perturbation: Positive.max(10).default(0.2),
        seed: z.int().default(1).describe("Of the directions; the simulator itself takes none"),
      }),
    ])
    .default({ kind: "parameterShift", iterations: 20, learningRate: 0.5 })
    .describe("`parameterShift` where each parameter turns one Pauli rotation, `spsa` for anything else"),
});
export type MinimisationBody = z.infer<typeof MinimisationBody>;

// Jobs

const ExpectedSchema = z
  .strictObject({
    probabilities: z
      .record(z.string().min(1).max(10_000), Probability)
      .optional()
      .describe("Probability by outcome; outcomes may be written `01`, `[0, 1]`, `(Zero, One)` or `|01⟩`"),
    uniform: z
      .array(z.string().min(1).max(10_000))
      .min(1)
      .max(65_536)
      .optional()
      .describe("Equally likely outcomes"),
    alpha: z.number().min(1e-9).max(0.5).default(0.01).describe("Chance of calling a right program wrong"),
    comparisons: z
      .int()
      .min(1)
      .max(1_000_000)
      .default(1)
      .describe("Repeats times distributions judged together"),
    allowedDistance: Probability.default(0).describe(
      "Noisy targets: total variation distance that the noise may add to the sampling error",
    ),
    detectDistance: Positive.max(1).optional().describe("A distance that must not go unnoticed"),
  })
  .refine(({ probabilities, uniform }) => (probabilities === undefined) !== (uniform === undefined), {
    error: "give either probabilities or uniform",
  });

const PolicySchema = z
  .strictObject({
    testsPass: z.boolean().default(true).describe("Every unit test of the program passes on the simulator"),
    testRepeats: z.int().min(1).max(limits.testRepeats).default(1),
    fitsProfile: z.boolean().default(true).describe("The program compiles for the target's profile"),
    maxPhysicalQubits: z.int().min(1).optional().describe("Of the resource estimate"),
    maxRuntimeSeconds: Positive.optional().describe("Of the resource estimate"),
    maxPrice: z.strictObject({ amount: z.number().min(0), unit: z.string().min(1).max(10) }).optional(),
    maxQueueSeconds: z.number().min(0).optional().describe("Average queue time that the target reports"),
  })
  .describe("Gates that must pass before the job is submitted");

export const SubmitBody = z.strictObject({
  ...programShape,
  name: z.string().max(200).default(""),
  shots: z.int().min(1).max(limits.shots).default(1000),
  target: z.string().min(1).max(200).default("ketline.simulator"),
  profile: z.enum(qirProfiles).optional().describe("QIR profile to compile for; the target's own by default"),
  noise: NoiseSchema.optional().describe("For `ketline.simulator.noisy`, in place of its own"),
  seed: z.never({ error: "the simulator takes no seed; run enough shots and declare `expected`" }).optional(),
  tags: z.array(z.string().min(1).max(100)).max(50).default([]),
  estimation: EstimateParameters.default({}),
  expected: ExpectedSchema.optional(),
  policy: PolicySchema.default(() => PolicySchema.parse({})),
  log: z
    .union([
      z.strictObject({ runId: z.string().min(1).max(100) }),
      z.strictObject({ experiment: z.string().min(1).max(256) }),
    ])
    .optional()
    .describe("The MLflow run to log to, or the experiment in which to make one"),
  idempotencyKey: z.string().min(1).max(200).optional(),
});
export type SubmitBody = z.infer<typeof SubmitBody>;
export type Policy = SubmitBody["policy"];

export const quantumStatuses = [
  "queued",
  "preparing",
  "submitted",
  "executing",
  "succeeded",
  "failed",
  "cancelled",
  "refused",
] as const;
export type QuantumStatus = (typeof quantumStatuses)[number];

export const steps = [
  "compile",
  "test",
  "estimate",
  "price",
  "gates",
  "submit",
  "run",
  "judge",
  "log",
] as const;
export type StepName = (typeof steps)[number];

const StepSchema = z.object({
  step: z.enum(steps),
  status: z.enum(["passed", "failed", "skipped"]),
  message: z.string(),
  startedMs: z.int(),
  endedMs: z.int(),
});

const PriceSchema = z.object({
  amount: z.number().nullable().describe("An estimate; null where only the run shows it"),
  unit: z.string(),
  rule: z.string(),
  asOf: z.string(),
});

const EstimateSummarySchema = z.object({
  physicalQubits: z.number(),
  runtimeNs: z.number(),
  logicalQubits: z.number(),
  codeDistance: z.number().nullable(),
  tStates: z.number().nullable(),
  rqops: z.number().nullable().describe("Reliable quantum operations per second"),
  errorBudget: z.number().nullable(),
});

const VerdictSchema = z.object({
  verdict: z.enum(["consistent", "deviates", "inconclusive"]),
  reasons: z.array(z.string()),
  alpha: z.number(),
  shots: z.int(),
  chiSquare: z
    .object({
      statistic: z.number(),
      degreesOfFreedom: z.int(),
      pValue: z.number(),
      bins: z.int(),
    })
    .nullable(),
  impossible: z.array(z.object({ outcome: z.string(), count: z.int() })),
  totalVariation: z.object({ distance: z.number(), bound: z.number() }),
  shotsNeeded: z.int().nullable(),
});

const CountSchema = z.object({ outcome: z.string(), count: z.int() });

/** What is known of a job so far; every part is null until its step is done. */
export const OutcomeSchema = z.object({
  steps: z.array(StepSchema),
  gates: GatesSchema.nullable(),
  tests: z
    .array(
      z.object({
        name: z.string(),
        passed: z.boolean(),
        repeats: z.int(),
        failedRepeats: z.int(),
        failure: DiagnosticSchema.nullable(),
      }),
    )
    .nullable(),
  estimate: EstimateSummarySchema.nullable(),
  price: PriceSchema.nullable(),
  policy: z.array(z.object({ gate: z.string(), passed: z.boolean(), message: z.string() })).nullable(),
  workspaceJob: z
    .object({
      id: z.string(),
      status: z.string(),
      startedMs: z.int().nullable(),
      endedMs: z.int().nullable(),
      cost: z.object({ amount: z.number(), currency: z.string() }).nullable(),
      usage: z.record(z.string(), z.unknown()),
    })
    .nullable(),
  histogram: z
    .object({
      shots: z.int(),
      top: z.array(CountSchema).describe("The most frequent outcomes, most frequent first"),
      otherOutcomes: z.int(),
      otherShots: z.int(),
    })
    .nullable(),
  verdict: VerdictSchema.nullable(),
  runId: z.string().nullable().describe("The MLflow run that it was logged to"),
});
export type Outcome = z.infer<typeof OutcomeSchema>;
export type Step = Outcome["steps"][number];

export const QuantumJobSchema = z
  .object({
    id: z.string().describe("Also the id of its job under /api/v1/jobs"),
    name: z.string(),
    status: z.enum(quantumStatuses).describe("`refused`: a gate of the policy did not pass"),
    target: z.string(),
    workspace: z.string().describe("`local`, or the resource id of the Azure Quantum workspace"),
    language: z.enum(languages),
    shots: z.int(),
    tags: z.array(z.string()),
    error: z.string().nullable(),
    createdBy: z.string(),
    createdMs: z.int(),
    updatedMs: z.int(),
    endedMs: z.int().nullable(),
    ...OutcomeSchema.shape,
  })
  .meta({ title: "QuantumJob" });
export type QuantumJob = z.infer<typeof QuantumJobSchema>;

export const QuantumJobPage = pageOf(QuantumJobSchema);
export const QuantumJobParams = z.object({ id: z.string().min(1).max(100) });
export const QuantumJobsQuery = z.object({
  ...pageQuery,
  status: z.enum(quantumStatuses).optional(),
  target: z.string().max(200).optional(),
});
export const QuantumJobPosition = z.object({ createdMs: z.int(), id: z.string() });
export const CancelBody = z.object({ reason: z.string().min(1).max(500).optional() }).optional();

export const HistogramQuery = z.object({
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(100_000)
    .default(1000)
    .describe("Outcomes, the most frequent first"),
});
export const HistogramSchema = z
  .object({
    shots: z.int(),
    outcomes: z.array(CountSchema.extend({ probability: z.number(), expected: z.number().nullable() })),
    otherOutcomes: z.int(),
    otherShots: z.int(),
  })
  .meta({ title: "QuantumHistogram" });

export const TargetsSchema = z.object({
  items: z.array(
    z.object({
      id: z.string(),
      providerId: z.string(),
      workspace: z.string(),
      availability: z.enum(["Available", "Degraded", "Unavailable"]),
      averageQueueTimeSeconds: z.number(),
      qubits: z.number().nullable(),
      profile: z.enum(profiles).nullable(),
      noisy: z.boolean(),
      description: z.string().nullable(),
      statusPage: z.string().nullable(),
    }),
  ),
  unreachable: z
    .array(z.object({ workspace: z.string(), message: z.string() }))
    .describe("Workspaces that did not answer"),
});
