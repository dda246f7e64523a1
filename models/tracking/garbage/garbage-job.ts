import type { JobKind } from "../../../shared/jobs/index.ts";
import type { TrackingContext } from "../context.ts";
import type { ArtifactUses } from "./artifact-uses.ts";
import { createCollector } from "./collect.ts";
import { type GarbageReport, GarbageSpec } from "./schemas.ts";

/** Removes for good what was deleted, or says what that would be. */
export function garbageJob(
  context: TrackingContext,
  artifactUses: ArtifactUses,
): JobKind<GarbageSpec, GarbageReport> {
  return {
    kind: "tracking.collect-garbage",
    spec: GarbageSpec,
    role: "admin",
    unneeded: async (ids) => ids,
    timeoutMs: 12 * 60 * 60_000,
    async run({ spec, signal, actor, actorNow, jobId, log, progress }) {
      const collector = createCollector(context, artifactUses, { spec, signal, progress, actorNow });
      try {
        await collector.run();
      } finally {
        const report = collector.report();
        log(sentence(report));
        // Also of an attempt that was cut off: what it removed is gone.
        if (!spec.dryRun) {
          const { names: _, ...numbers } = report;
          await context.audit.record({
            actor,
            action: "tracking.collect-garbage",
            subject: `job/${jobId}`,
            after: {
              ...numbers,
              olderThanDays: spec.olderThanDays,
              experimentIds: spec.experimentIds ?? null,
            },
          });
        }
      }
      return collector.report();
    },
  };
}

function sentence(report: GarbageReport): string {
  const { runs, loggedModels, experiments, artifacts, orphans, kept } = report;
  return (
    `${report.dryRun ? "Would remove" : "Removed"} ${runs} runs, ${loggedModels} logged models and ${experiments} experiments ` +
    `with ${artifacts.files} files (${artifacts.bytes} bytes), and ${orphans.files} files that nothing names ` +
    `(${orphans.bytes} bytes). Kept for registered model versions: ${kept.runs} runs, ${kept.loggedModels} logged models.`
  );
}
