import { invalid, isKetlineError } from "../../shared/errors.ts";
import { readEstimate } from "../programs/estimates.ts";
import type { Program } from "../programs/program.ts";
import { countGates, type GateCounts } from "../qir/gates.ts";
import { parseQir } from "../qir/module.ts";
import { ProgramError, type Simulator, type SimulatorCall } from "../simulator/simulator.ts";
import { type Profile, profiles, type QirProfile } from "../simulator/tasks.ts";
import { isQirProfile } from "../workspaces/inputs.ts";
import type { WorkspaceTarget } from "../workspaces/workspace.ts";
import { type Findings, passGates } from "./policy.ts";
import { estimatePrice } from "./prices.ts";
import type { JobRecord } from "./record.ts";

/** A program that was looked at from all sides before it is submitted. */
export interface Examined {
  /** QIR for the profile; null for targets that take the program itself. */
  readonly qir: { readonly text: string; readonly profile: QirProfile } | null;
}

/**
 * Compiles, tests, estimates and prices a program, and lets the gates of its policy judge.
 *
 * @throws ProgramError when it does not compile; GateRefusal when a gate does not pass
 */
export async function examine(
  record: JobRecord,
  program: Program,
  target: WorkspaceTarget,
  simulator: Simulator,
  call: SimulatorCall,
): Promise<Examined> {
  const { submission } = record.stored;
  const profile = profileFor(target, submission.profile);
  let qir: Examined["qir"] = null;
  let profileFault: string | null = null;
  let testNames: readonly string[] = [];
  await record.step("compile", async () => {
    const checked = await simulator.check(program, "unrestricted", call);
    const errors = checked.diagnostics.filter(({ severity }) => severity === "error");
    if (errors.length > 0) throw new ProgramError(errors);
    testNames = checked.tests;
    if (!isQirProfile(profile)) return `It compiles; ${target.id} runs it as it is.`;
    try {
      const text = await simulator.qir(program, profile, call);
      qir = { text, profile };
      const gates = countGates(parseQir(text));
      record.note({ gates });
      return `It compiles to QIR of the profile ${profile}: ${gatesText(gates)}.`;
    } catch (error) {
      if (!(error instanceof ProgramError)) throw error;
      profileFault = error.message;
      return `It compiles, and does not fit the profile ${profile}: ${error.message}`;
    }
  });
  await record.step("test", async () => {
    if (testNames.length === 0) {
      record.note({ tests: [] });
      return { skipped: "The program has no unit tests." };
    }
    const outcomes = await simulator.test(program, submission.policy.testRepeats, call);
    record.note({ tests: [...outcomes] });
    const passed = outcomes.filter((one) => one.passed).length;
    return `${passed} of ${outcomes.length} unit tests passed.`;
  });
  let estimateFault: string | null = null;
  await record.step("estimate", async () => {
    const answer = await estimate(program, submission.estimation, simulator, call);
    if (answer.status === "failed") {
      estimateFault = answer.message;
      return { skipped: `No estimate: ${answer.message}` };
    }
    record.note({ estimate: answer.summary });
    return `${answer.summary.physicalQubits} physical qubits and ${answer.summary.runtimeNs / 1e6} ms on error-corrected hardware.`;
  });
  await record.step("price", async () => {
    const price = estimatePrice(target.id, record.outcome().gates ?? noGates, submission.shots);
    record.note({ price });
    if (price === null) return { skipped: `No price rule is known for ${target.id}.` };
    if (price.amount === null) return { skipped: price.rule };
    return `${price.amount} ${price.unit}, an estimate by the rules of ${price.asOf}.`;
  });
  await record.step("gates", async () => {
    const { tests, estimate: resources, price } = record.outcome();
    const findings: Findings = {
      target,
      profileFault,
      tests: tests ?? [],
      estimate: resources,
      estimateFault,
      price,
    };
    const results = passGates(submission.policy, findings);
    record.note({ policy: [...results] });
    const refused = results.filter(({ passed }) => !passed);
    if (refused.length > 0) {
      throw new GateRefusal(refused.map(({ gate, message }) => `${gate}: ${message}`).join(" "));
    }
    return `All ${results.length} gates passed.`;
  });
  if (profileFault !== null && isQirProfile(profile)) {
    throw invalid(
      `The program does not fit the profile ${profile}, which ${target.id} needs: ${profileFault}`,
    );
  }
  return { qir };
}

/**
 * The profile to compile for: what the submission asks for within what the target can do.
 *
 * @throws invalid when the target cannot do as much, or takes no QIR at all
 */
function profileFor(target: WorkspaceTarget, asked: QirProfile | undefined): Profile {
  if (target.profile === null && asked === undefined) {
    throw invalid(`${target.id} does not say which QIR it takes; name a profile if it does take some.`, {
      field: "profile",
    });
  }
  const able = target.profile ?? asked ?? "base";
  if (asked !== undefined && profiles.indexOf(asked) > profiles.indexOf(able)) {
    throw invalid(`profile is ${asked}; ${target.id} can do ${able} at most.`, { field: "profile" });
  }
  return asked ?? able;
}

/** A gate of the policy did not pass; the job ends without having been submitted. */
export class GateRefusal extends Error {
  constructor(reasons: string) {
    super(`The job was not submitted. ${reasons}`);
    this.name = "GateRefusal";
  }
}

/** The estimator follows the program as it runs, loops and all; what takes longer is left without an estimate. */
const estimateLimitMs = 60_000;

/** Parameters that the estimator refuses, or its limits, are a fault of the estimate and not of the program. */
async function estimate(program: Program, parameters: unknown, simulator: Simulator, call: SimulatorCall) {
  try {
    const limited = { ...call, timeLimitMs: estimateLimitMs };
    const [raw] = await simulator.estimate(program, [parameters], limited);
    return readEstimate(raw);
  } catch (error) {
    if (!(error instanceof ProgramError) && !isKetlineError(error, "too_large")) throw error;
    return { status: "failed", code: "", message: error.message } as const;
  }
}

const noGates: GateCounts = { oneQubit: 0, twoQubit: 0, wider: {}, measurements: 0, qubits: 0, exact: false };

function gatesText({ oneQubit, twoQubit, wider, measurements, qubits }: GateCounts): string {
  const wide = Object.values(wider).reduce((sum, count) => sum + count, 0);
  const wideText = wide === 0 ? "" : `, ${wide} wider ones`;
  return `${qubits} qubits, ${oneQubit} one-qubit and ${twoQubit} two-qubit gates${wideText}, ${measurements} measurements`;
}
