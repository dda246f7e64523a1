import { z } from "zod";

export const GarbageSpec = z.strictObject({
  olderThanDays: z
    .number()
    .min(0)
    .max(36_500)
    .default(30)
    .describe("Only what was deleted longer ago; 0 takes all that is deleted"),
  dryRun: z.boolean().default(true).describe("Report what would go, and delete nothing"),
  experimentIds: z
    .array(z.string().regex(/^\d{1,15}$/, "the number of an experiment is expected"))
    .min(1)
    .max(1000)
    .optional()
    .describe("Only in these experiments; everywhere when not given"),
});
export type GarbageSpec = z.infer<typeof GarbageSpec>;

/** How many names a report holds at most. */
export const maxNames = 100;

/** What went, or would go. A job that was interrupted and tried again reports what its last attempt did. */
export interface GarbageReport {
  readonly dryRun: boolean;
  /** What was deleted before then, in milliseconds since 1970. */
  readonly deletedBeforeMs: number;
  readonly runs: number;
  readonly loggedModels: number;
  readonly experiments: number;
  /** Of those runs and models. */
  readonly artifacts: Amount;
  /** Files below the root of all artifacts that no run, model or model version names. */
  readonly orphans: Amount;
  /** Deleted, and old enough, but a registered model version still needs them. */
  readonly kept: { readonly runs: number; readonly loggedModels: number };
  /** The first of each, `maxNames` at most. */
  readonly names: {
    readonly runs: readonly Named[];
    readonly loggedModels: readonly Named[];
    readonly experiments: readonly Named[];
    /** Paths below the root of all artifacts. */
    readonly orphans: readonly string[];
  };
}

export interface Amount {
  readonly files: number;
  readonly bytes: number;
}

export interface Named {
  readonly id: string;
  readonly name: string;
}
