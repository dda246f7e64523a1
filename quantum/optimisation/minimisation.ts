/** Values of an objective at several points at once; each is a mean over shots and therefore noisy. */
export type EvaluateBatch = (points: readonly (readonly number[])[]) => Promise<readonly number[]>;

export interface Iteration {
  readonly iteration: number;
  readonly parameters: readonly number[];
  readonly value: number;
}

export interface Minimum {
  readonly parameters: readonly number[];
  readonly value: number;
  readonly evaluations: number;
  readonly history: readonly Iteration[];
}

export interface ShiftOptions {
  readonly iterations: number;
  /** The step along the gradient; below 2 divided by the largest curvature it converges. */
  readonly learningRate: number;
  readonly onIteration?: (iteration: Iteration) => void;
}

/**
 * Gradient descent by the parameter-shift rule: where every parameter turns one Pauli rotation, the derivative is exactly
 * (f(θ + π/2) - f(θ - π/2)) / 2 (Mitarai et al., Phys. Rev. A 98, 032309, 2018). One batch per iteration.
 */
export async function descendByParameterShift(
  evaluate: EvaluateBatch,
  start: readonly number[],
  { iterations, learningRate, onIteration }: ShiftOptions,
): Promise<Minimum> {
  const record = openRecord(onIteration);
  let parameters = [...start];
  for (let iteration = 1; iteration <= iterations; iteration++) {
    const values = await evaluate([parameters, ...shifted(parameters)]);
    record.add(iteration, parameters, valueAt(values, 0), values.length);
    const at = parameters;
    parameters = at.map((parameter, index) => {
      const gradient = (valueAt(values, 1 + 2 * index) - valueAt(values, 2 + 2 * index)) / 2;
      return parameter - learningRate * gradient;
    });
  }
  const [value] = await evaluate([parameters]);
  record.add(iterations + 1, parameters, value ?? Number.NaN, 1);
  return record.last();
}

export interface SpsaOptions {
  readonly iterations: number;
  /** First step size and first perturbation; they shrink with the exponents .602 and .101. */
  readonly step: number;
  readonly perturbation: number;
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
  readonly onIteration?: (iteration: Iteration) => void;
}

/**
 * Simultaneous perturbation stochastic approximation (J. C. Spall, IEEE Trans. Autom. Control 37, 1992; gains of Spall,
 * IEEE Trans. Aerosp. Electron. Syst. 34, 1998): two evaluations per iteration for any number of parameters, and no
 * assumption on the circuit.
 */
export async function descendBySpsa(
  evaluate: EvaluateBatch,
  start: readonly number[],
  { iterations, step, perturbation, random, onIteration }: SpsaOptions,
): Promise<Minimum> {
  const record = openRecord(onIteration);
  const stability = iterations / 10;
  let parameters = [...start];
  for (let iteration = 1; iteration <= iterations; iteration++) {
    const a = step * ((1 + stability) / (iteration + stability)) ** 0.602;
    const c = perturbation / iteration ** 0.101;
    const signs = parameters.map(() => (random() < 0.5 ? -1 : 1));
    const move = (scale: number) => parameters.map((one, index) => one + scale * (signs[index] ?? 0));
    const values = await evaluate([move(c), move(-c)]);
    const slope = (valueAt(values, 0) - valueAt(values, 1)) / (2 * c);
    record.add(iteration, parameters, (valueAt(values, 0) + valueAt(values, 1)) / 2, 2);
    parameters = move(-a * slope);
  }
  const [value] = await evaluate([parameters]);
  record.add(iterations + 1, parameters, value ?? Number.NaN, 1);
  return record.last();
}

/** A small source of signs that repeats with its seed (SplitMix32). */
export function seededRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let z = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return ((z ^ (z >>> 15)) >>> 0) / 2 ** 32;
  };
}

/** For each parameter the point a quarter turn ahead and the one a quarter turn behind. */
function shifted(parameters: readonly number[]): readonly (readonly number[])[] {
  return parameters.flatMap((_, index) =>
    [Math.PI / 2, -Math.PI / 2].map((shift) =>
      parameters.map((one, at) => (at === index ? one + shift : one)),
    ),
  );
}

function openRecord(onIteration: ((iteration: Iteration) => void) | undefined) {
  const history: Iteration[] = [];
  let evaluations = 0;
  return {
    add(iteration: number, parameters: readonly number[], value: number, evaluated: number): void {
      const entry = { iteration, parameters, value };
      evaluations += evaluated;
      history.push(entry);
      onIteration?.(entry);
    },
    last(): Minimum {
      const last = history.at(-1) ?? { iteration: 0, parameters: [], value: Number.NaN };
      return { parameters: last.parameters, value: last.value, evaluations, history };
    },
  };
}

function valueAt(values: readonly number[], index: number): number {
  return values[index] ?? Number.NaN;
}
