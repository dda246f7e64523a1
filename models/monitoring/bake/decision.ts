import { type Finding, rejudge } from "./judgement.ts";

/** All that a decision about one version rests on: the same inputs give the same decision. */
export interface DecisionInputs {
  /** Of the version's worst signal. */
  readonly finding: Finding;
  readonly revision: number;
  readonly dryRun: boolean;
  /** How many other versions of the deployment were taken back in the 24 hours before. */
  readonly othersToday: number;
  /** Why whoever set the monitor up may no longer roll back; null where they may. */
  readonly standingRefusal: string | null;
  /** Whether this version was taken back at an earlier revision: a person put it back. */
  readonly wasTakenBack: boolean;
}

export interface Decision {
  readonly kind: "roll_back" | "dry_run" | "refuse" | "wait";
  readonly reason: string;
}

export const maxRollbacksADay = 3;

/** What the policy makes of a version's worst signal. */
export function decide(inputs: DecisionInputs): Decision {
  const { finding, revision, dryRun, othersToday, standingRefusal, wasTakenBack } = inputs;
  const judgement = rejudge(finding.evidence);
  if (judgement.verdict !== "fail") return { kind: "wait", reason: judgement.sentence };
  if (dryRun) return { kind: "dry_run", reason: `Dry run: revision ${revision} would be rolled back.` };
  if (othersToday >= maxRollbacksADay) {
    return {
      kind: "refuse",
      reason: `${othersToday} rollbacks in 24 hours are enough; a person has to look.`,
    };
  }
  if (standingRefusal !== null) {
    return {
      kind: "refuse",
      reason: `${standingRefusal} A person has to look, or save the monitor again.`,
    };
  }
  if (wasTakenBack) {
    return {
      kind: "refuse",
      reason: `Version ${finding.version} was rolled back once before; a person put it back.`,
    };
  }
  return { kind: "roll_back", reason: reasonOf(finding) };
}

export function reasonOf({ model, version, judgement }: Finding): string {
  return `Version ${version} of "${model}", newly deployed: ${judgement.sentence}`;
}
