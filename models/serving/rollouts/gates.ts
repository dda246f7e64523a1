import { judge } from "../traffic/judgement.ts";
import type { Evidence } from "./evidence.ts";
import type { Gate, Signal, Verdict } from "./schemas.ts";

const names = { ours: "new variant", others: "champion" };

/** A verdict for each gate that this kind of step can judge. */
export function judgeGates(gates: readonly Gate[], { ours, champions, copies }: Evidence): Verdict[] {
  return gates
    .filter(({ signal }) => isJudged(signal, copies))
    .map((gate) => {
      const { signal, minimumRequests } = gate;
      const limit = gate.signal === "agreement" ? gate.min : gate.max;
      const judgement = judge({ signal, limit, minimumRequests }, ours, champions, names);
      const { otherRequests: championRequests, ...verdict } = judgement;
      return { ...verdict, signal, championRequests };
    });
}

/** @param copies whether the step sends the new variant copies only */
export function isJudged(signal: Signal, copies: boolean): boolean {
  return copies ? judgedOnCopies.has(signal) : signal !== "agreement";
}

const judgedOnCopies: ReadonlySet<Signal> = new Set(["error_rate", "invalid_output_share", "agreement"]);
