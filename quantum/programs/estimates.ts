import { z } from "zod";
import type { JobKind } from "../../shared/jobs/index.ts";
import { EstimateBody } from "../schemas.ts";
import type { Simulator } from "../simulator/simulator.ts";
import { programOf } from "./program.ts";

/** What fault-tolerant hardware would need for a program. */
export interface EstimateSummary {
  readonly physicalQubits: number;
  readonly runtimeNs: number;
  readonly logicalQubits: number;
  readonly codeDistance: number | null;
  readonly tStates: number | null;
  readonly rqops: number | null;
  readonly errorBudget: number | null;
}

/** One answer of the estimator: a summary with the estimator's own counts, or why there is none. */
export type EstimateAnswer =
  | {
      readonly status: "success";
      readonly summary: EstimateSummary;
      /** Trade-offs of qubits and time, where `estimateType` is `frontier`. */
      readonly frontier: readonly EstimateSummary[];
      readonly logicalCounts: unknown;
      readonly breakdown: unknown;
      readonly tfactory: unknown;
    }
  | { readonly status: "failed"; readonly code: string; readonly message: string };

const nullish = (schema: z.ZodType<number>) => schema.nullish().transform((value) => value ?? null);
const Counts = z.looseObject({
  physicalQubits: z.number(),
  runtime: z.number(),
  rqops: nullish(z.number()),
  breakdown: z.looseObject({
    algorithmicLogicalQubits: z.number(),
    numTstates: nullish(z.number()),
  }),
});
const Entry = z.looseObject({
  physicalCounts: Counts,
  logicalQubit: z.looseObject({ codeDistance: nullish(z.number()) }).nullish(),
  tfactory: z.unknown().optional(),
});
const Answer = z.looseObject({
  jobParams: z.looseObject({ errorBudget: z.unknown().optional() }),
  logicalCounts: z.unknown().optional(),
});

/** Reads one element of what the estimator returns. */
export function readEstimate(raw: unknown): EstimateAnswer {
  const failed = z.looseObject({ code: z.string(), message: z.string() }).safeParse(raw);
  if (failed.success) return { status: "failed", code: failed.data.code, message: failed.data.message };
  const answer = Answer.parse(raw);
  const budget = answer.jobParams.errorBudget;
  const errorBudget = typeof budget === "number" ? budget : null;
  const frontier = z.looseObject({ frontierEntries: z.array(Entry).min(1) }).safeParse(raw);
  const entries = frontier.success ? frontier.data.frontierEntries : [Entry.parse(raw)];
  const [first] = entries;
  if (first === undefined)
    return { status: "failed", code: "Ketline.Estimates.Empty", message: "No estimate came back." };
  return {
    status: "success",
    summary: summaryOf(first, errorBudget),
    frontier: frontier.success ? entries.map((entry) => summaryOf(entry, errorBudget)) : [],
    logicalCounts: answer.logicalCounts,
    breakdown: first.physicalCounts.breakdown,
    tfactory: first.tfactory ?? null,
  };
}

function summaryOf(
  { physicalCounts, logicalQubit }: z.infer<typeof Entry>,
  errorBudget: number | null,
): EstimateSummary {
  const { physicalQubits, runtime, rqops, breakdown } = physicalCounts;
  return {
    physicalQubits,
    runtimeNs: runtime,
    logicalQubits: breakdown.algorithmicLogicalQubits,
    codeDistance: logicalQubit?.codeDistance ?? null,
    tStates: breakdown.numTstates,
    rqops,
    errorBudget,
  };
}

export interface EstimateResult {
  readonly estimates: readonly EstimateAnswer[];
}

/** The job behind `POST /api/v1/quantum/estimates`: one answer for each of the parameters. */
export function estimateKind(simulator: Simulator): JobKind<EstimateBody, EstimateResult> {
  return {
    kind: "quantum.estimate",
    spec: EstimateBody,
    role: "contributor",
    unneeded: async (ids) => ids,
    async run({ spec, signal, log }) {
      const estimates = (await simulator.estimate(programOf(spec), spec.parameters, { signal })).map(
        readEstimate,
      );
      for (const [index, estimate] of estimates.entries()) {
        log(
          estimate.status === "failed"
            ? `${index + 1}: ${estimate.message}`
            : `${index + 1}: ${estimate.summary.physicalQubits} physical qubits, ${estimate.summary.runtimeNs / 1e6} ms`,
        );
      }
      return { estimates };
    },
  };
}
