import { conflict, invalid } from "../../../shared/errors.ts";
import { type DeploymentSpec, VariantName } from "../schemas.ts";
import { isJudged } from "./gates.ts";
import type { Gate, NewVariant, Rollout, Signal, StartRolloutBody, Step, StepReport } from "./schemas.ts";

/** What a rollout of these wishes does to a deployment. */
export interface Plan {
  readonly target: NewVariant;
  readonly champion: string;
  readonly steps: StepReport[];
  readonly gates: Gate[];
}

/** Of those the ones that a step can judge are. */
const defaultGates: Gate[] = [
  { signal: "error_rate_difference", max: 0.01, minimumRequests: 100 },
  { signal: "invalid_output_share", max: 0.01, minimumRequests: 100 },
];

/**
 * @param base what is served before the rollout
 * @throws invalid for steps or a target that make no sense; conflict where the deployment does not allow them
 */
export function planRollout(deployment: string, base: DeploymentSpec, body: StartRolloutBody): Plan {
  const target = targetOf(deployment, base, body.target);
  const others = base.variants.filter(({ name, weight }) => name !== target.name && weight > 0);
  const [first, ...rest] = others;
  if (first === undefined) {
    throw conflict(`Variant "${target.name}" of "${deployment}" answers all requests already.`);
  }
  const champion = rest.reduce((best, variant) => (variant.weight > best.weight ? variant : best), first);
  const current = base.variants.find(({ name }) => name === target.name)?.weight ?? 0;
  const steps = stepsOf(body, current);
  for (const { signal } of body.gates ?? []) checkJudged(signal, steps);
  return { target, champion: champion.name, steps, gates: body.gates ?? defaultGates };
}

/**
 * What is served at a step: the new variant gets its weight, the others share the rest in the proportions that they had.
 * At 0 it gets copies only; at 100 the others are gone.
 */
export function specAt(
  base: DeploymentSpec,
  target: NewVariant,
  step: Pick<StepReport, "weight" | "shadowFraction">,
): Pick<DeploymentSpec, "variants" | "shadows"> {
  const shadows = base.shadows.filter(({ name }) => name !== target.name);
  const others = base.variants.filter(({ name }) => name !== target.name);
  const total = others.reduce((sum, { weight }) => sum + weight, 0);
  const share = (100 - step.weight) / total;
  const rest = others.map((variant) => ({ ...variant, weight: variant.weight * share }));
  if (step.weight === 0) {
    return { variants: rest, shadows: [...shadows, { ...target, fraction: step.shadowFraction ?? 1 }] };
  }
  const variant = { ...target, weight: step.weight };
  if (step.weight === 100) return { variants: [variant], shadows };
  // In its old place, so that as few sticky keys as possible change their variant.
  const place = base.variants.findIndex(({ name }) => name === target.name);
  return { variants: rest.toSpliced(place === -1 ? rest.length : place, 0, variant), shadows };
}

/** The step that a rollout is at. */
export function currentStep(rollout: Pick<Rollout, "id" | "steps" | "step">): StepReport {
  const step = rollout.steps[rollout.step - 1];
  if (step === undefined) throw new RangeError(`Rollout ${rollout.id} has no step ${rollout.step}.`);
  return step;
}

function targetOf(deployment: string, base: DeploymentSpec, wanted: StartRolloutBody["target"]): NewVariant {
  if ("variant" in wanted) {
    const found = [...base.variants, ...base.shadows].find(({ name }) => name === wanted.variant);
    if (found === undefined) {
      const names = [...base.variants, ...base.shadows].map(({ name }) => `"${name}"`).join(", ");
      throw invalid(
        `Deployment "${deployment}" has no variant or shadow "${wanted.variant}"; it has ${names}.`,
        {
          field: "target.variant",
        },
      );
    }
    const { name, model } = found;
    return "version" in found ? { name, model, version: found.version } : { name, model, alias: found.alias };
  }
  const name = wanted.name ?? ("version" in wanted ? `v${wanted.version}` : wanted.alias);
  if (!VariantName.safeParse(name).success) {
    throw invalid(`"${name}" cannot be the name of a variant; give one as target.name.`, {
      field: "target.name",
    });
  }
  if ([...base.variants, ...base.shadows].some((variant) => variant.name === name)) {
    throw conflict(
      `Deployment "${deployment}" has a variant or shadow "${name}": give another target.name, or roll that one out with {"variant": "${name}"}.`,
    );
  }
  const { model } = wanted;
  return "version" in wanted
    ? { name, model, version: wanted.version }
    : { name, model, alias: wanted.alias };
}

/** @param current the weight that the new variant has already */
function stepsOf(
  { steps: wanted, progressDeadlineMs }: Pick<StartRolloutBody, "steps" | "progressDeadlineMs">,
  current: number,
): StepReport[] {
  let before = current === 0 ? -1 : current;
  for (const [index, step] of wanted.entries()) {
    const field = `steps[${index}]`;
    if (step.weight <= before) {
      const than = index === 0 ? "what the variant has now" : "the step before";
      throw invalid(`${field}.weight is ${step.weight}; it must be more than ${before} %, ${than}.`, {
        field,
      });
    }
    if (step.shadowFraction !== undefined && step.weight !== 0) {
      throw invalid(`${field}.shadowFraction is for steps of weight 0; this one has ${step.weight}.`, {
        field,
      });
    }
    if (step.weight === 100 && (step.minutes !== 0 || step.minimumRequests !== 0)) {
      throw invalid(
        `${field} has weight 100, where the rollout ends, with minutes ${step.minutes} and minimumRequests ${step.minimumRequests}: both must be 0 there.`,
        { field },
      );
    }
    if (step.weight === 100 && step.progressDeadlineMs !== undefined) {
      throw invalid(
        `${field}.progressDeadlineMs is ${step.progressDeadlineMs}, but the step has weight 100, where the rollout ends and nothing waits: leave it out.`,
        { field },
      );
    }
    before = step.weight;
  }
  const all: readonly Step[] =
    before === 100 ? wanted : [...wanted, { weight: 100, minutes: 0, minimumRequests: 0 }];
  return all.map((step) => ({
    weight: step.weight,
    minutes: step.minutes,
    minimumRequests: step.minimumRequests,
    shadowFraction: step.weight === 0 ? (step.shadowFraction ?? 1) : null,
    progressDeadlineMs: deadlineOf(step, progressDeadlineMs),
    state: "ahead",
    revision: null,
    startedMs: null,
    endedMs: null,
    requests: null,
    verdicts: [],
  }));
}

/** A gate that somebody asked for and that no step judges would let everything pass. */
function checkJudged(signal: Signal, steps: readonly StepReport[]): void {
  const waiting = steps.filter(({ weight }) => weight < 100);
  if (waiting.some(({ weight }) => isJudged(signal, weight === 0))) return;
  const needed =
    signal === "agreement"
      ? "copies to judge: begin with a step of weight 0"
      : isJudged(signal, true)
        ? "a step of weight less than 100 to be judged in"
        : "answers to judge: add a step of weight more than 0 and less than 100";
  throw invalid(`The gate on ${signal} needs ${needed}.`, { field: "gates" });
}

/** A step without one of its own has the rollout's; at 100 % nothing waits. */
function deadlineOf(step: Step, rollouts: number | null): number | null {
  if (step.weight === 100) return null;
  return step.progressDeadlineMs === undefined ? rollouts : step.progressDeadlineMs;
}
