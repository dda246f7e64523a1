import type { TransferReport } from "../schemas.ts";

type Counted = Exclude<keyof TransferReport, "artifactBytes" | "renamed" | "skipped">;
const longestList = 500;

/** Counts what a transfer does, for its progress and its report. */
export interface Tally {
  count(what: Counted, outcome: "copied" | "unchanged"): void;
  /** @param kind of the thing, as people call it. @param reason a sentence */
  skip(what: Counted, kind: string, id: string, reason: string): void;
  renamed(kind: string, from: string, to: string): void;
  bytes(count: number): void;
  runDone(): void;
  report(): TransferReport;
}

/** @param onRun told after each run, and now and then while files are copied */
export function createTally(onProgress: (runs: number, bytes: number) => void): Tally {
  const none = () => ({ copied: 0, unchanged: 0, skipped: 0 });
  const counts = {
    experiments: none(),
    runs: none(),
    loggedModels: none(),
    artifacts: none(),
    registeredModels: none(),
    versions: none(),
    aliases: none(),
  };
  const renamed: TransferReport["renamed"] = [];
  const skipped: TransferReport["skipped"] = [];
  let artifactBytes = 0;
  let runsDone = 0;
  return {
    count(what, outcome) {
      counts[what][outcome]++;
    },
    skip(what, kind, id, reason) {
      counts[what].skipped++;
      if (skipped.length < longestList) skipped.push({ kind, id, reason: reason.slice(0, 500) });
    },
    renamed(kind, from, to) {
      if (renamed.length < longestList) renamed.push({ kind, from, to });
    },
    bytes(count) {
      artifactBytes += count;
      onProgress(runsDone, artifactBytes);
    },
    runDone() {
      runsDone++;
      onProgress(runsDone, artifactBytes);
    },
    report: () => ({ ...counts, artifactBytes, renamed, skipped }),
  };
}
