import type { EstimateSummary } from "../programs/estimates.ts";
import type { Policy } from "../schemas.ts";
import type { TestOutcome } from "../simulator/tasks.ts";
import type { WorkspaceTarget } from "../workspaces/workspace.ts";
import type { PriceEstimate } from "./prices.ts";

/** What is known of a job before it is submitted. */
export interface Findings {
  readonly target: WorkspaceTarget;
  /** Null where the program fits; otherwise what the compiler says against it. */
  readonly profileFault: string | null;
  readonly tests: readonly TestOutcome[];
  /** Null where the program could not be estimated; the reason is in `estimateFault`. */
  readonly estimate: EstimateSummary | null;
  readonly estimateFault: string | null;
  readonly price: PriceEstimate | null;
}

export interface GateResult {
  readonly gate: string;
  readonly passed: boolean;
  readonly message: string;
}

/** Judges each gate that the policy names. What is not known does not pass: a limit is there to be kept. */
export function passGates(policy: Policy, findings: Findings): readonly GateResult[] {
  const { target, tests, estimate, price } = findings;
  const results: GateResult[] = [];
  const gate = (name: string, passed: boolean, message: string) =>
    results.push({ gate: name, passed, message });

  gate("targetAvailable", target.availability !== "Unavailable", `${target.id} is ${target.availability}.`);
  if (policy.fitsProfile) {
    const { profileFault } = findings;
    const profile = target.profile ?? "no known profile";
    gate("fitsProfile", profileFault === null, profileFault ?? `The program fits ${profile}.`);
  }
  if (policy.testsPass) {
    const failed = tests.filter(({ passed }) => !passed);
    const message =
      tests.length === 0
        ? "The program has no unit tests."
        : failed.length === 0
          ? `All ${tests.length} unit tests passed.`
          : `${failed.length} of ${tests.length} unit tests failed: ${failed.map(({ name }) => name).join(", ")}.`;
    gate("testsPass", failed.length === 0, message);
  }
  const noEstimate = `The resources are not known: ${findings.estimateFault ?? "the program was not estimated"}.`;
  if (policy.maxPhysicalQubits !== undefined) {
    const most = policy.maxPhysicalQubits;
    const message =
      estimate === null
        ? noEstimate
        : `${estimate.physicalQubits} physical qubits estimated, at most ${most} allowed.`;
    gate("maxPhysicalQubits", estimate !== null && estimate.physicalQubits <= most, message);
  }
  if (policy.maxRuntimeSeconds !== undefined) {
    const most = policy.maxRuntimeSeconds;
    const seconds = estimate === null ? Number.POSITIVE_INFINITY : estimate.runtimeNs / 1e9;
    const message = estimate === null ? noEstimate : `${seconds} s estimated, at most ${most} s allowed.`;
    gate("maxRuntimeSeconds", seconds <= most, message);
  }
  if (policy.maxPrice !== undefined) gate("maxPrice", ...priceGate(policy.maxPrice, price, target.id));
  if (policy.maxQueueSeconds !== undefined) {
    const waits = target.averageQueueTimeSeconds;
    gate(
      "maxQueueSeconds",
      waits <= policy.maxQueueSeconds,
      `${target.id} reports a queue of ${waits} s, at most ${policy.maxQueueSeconds} s allowed.`,
    );
  }
  return results;
}

function priceGate(
  most: NonNullable<Policy["maxPrice"]>,
  price: PriceEstimate | null,
  target: string,
): readonly [passed: boolean, message: string] {
  if (price === null) return [false, `No price rule is known for ${target}.`];
  if (price.amount === null) return [false, `The price is not known before the run: ${price.rule}`];
  // Nothing is nothing in any unit.
  if (price.amount > 0 && price.unit !== most.unit) {
    return [false, `The price is ${price.amount} ${price.unit}, the limit is given in ${most.unit}.`];
  }
  return [
    price.amount <= most.amount,
    `${price.amount} ${price.unit} estimated, at most ${most.amount} ${most.unit} allowed.`,
  ];
}
