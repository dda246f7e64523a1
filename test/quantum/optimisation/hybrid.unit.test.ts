import { readFileSync } from "node:fs";
import { afterAll, describe, expect, it } from "vitest";
import { batchEvaluator } from "../../../quantum/optimisation/hybrid.ts";
import {
  descendByParameterShift,
  descendBySpsa,
  type EvaluateBatch,
  seededRandom,
} from "../../../quantum/optimisation/minimisation.ts";
import { programOf } from "../../../quantum/programs/program.ts";
import { createSimulator } from "../../../quantum/simulator/simulator.ts";
import { createWorkerPool } from "../../../shared/jobs/index.ts";
import { randomSource } from "../../support/random.ts";

/** Two rotations: the least value is -3 at (π, -π/2). */
const wave = ([a = 0, b = 0]: readonly number[]) => Math.cos(a) + 2 * Math.sin(b);
const exactly: EvaluateBatch = async (points) => points.map(wave);

describe("minimising", () => {
  it("by parameter shift finds the least value of a sum of waves", async () => {
    const found = await descendByParameterShift(exactly, [1, 0.5], { iterations: 60, learningRate: 0.5 });
    expect(found.value).toBeCloseTo(-3, 9);
    expect(found.parameters[0]).toBeCloseTo(Math.PI, 4);
    expect(found.parameters[1]).toBeCloseTo(-Math.PI / 2, 4);
    expect(found.evaluations).toBe(60 * 5 + 1);
    expect(found.history).toHaveLength(61);
  });

  it("by SPSA gets near it through noise, the same way for the same seed", async () => {
    const minimise = () => {
      const noise = randomSource(3);
      const noisily: EvaluateBatch = async (points) =>
        points.map((point) => wave(point) + 0.05 * noise.normal());
      const options = { iterations: 300, step: 0.5, perturbation: 0.2, random: seededRandom(5) };
      return descendBySpsa(noisily, [1, 0.5], options);
    };
    const found = await minimise();
    expect(wave(found.parameters)).toBeLessThan(-2.95);
    expect(found.evaluations).toBe(601);
    expect((await minimise()).parameters).toEqual(found.parameters);
  });
});

describe("the energy of hydrogen", () => {
  const workers = createWorkerPool({ threads: 1 });
  const simulator = createSimulator({ workers });
  afterAll(() => workers.close());
  const source = readFileSync(new URL("../../../examples/quantum/hydrogen.qs", import.meta.url), "utf8");
  const program = programOf({ language: "qsharp", source });
  const call = { signal: new AbortController().signal };

  it("is evaluated at several angles in one run", async () => {
    const evaluate = batchEvaluator(simulator, program, { entry: "Energy", shots: 20_000 }, call);
    const [none, best] = await evaluate([[0], [-0.2237]]);
    // Without a turn only the X term is noisy: its standard error is .18 / sqrt(20000) = .0013.
    expect(Math.abs((none ?? 0) - -1.8369679912029844)).toBeLessThan(0.007);
    expect(Math.abs((best ?? 0) - -1.8572750216932863)).toBeLessThan(0.02);
  });

  it("is found to chemical accuracy by parameter shift from the angle that it gives", async () => {
    const evaluate = batchEvaluator(simulator, program, { entry: "Energy", shots: 2000 }, call);
    const { parameters } = await descendByParameterShift(evaluate, [1], { iterations: 12, learningRate: 1 });
    const [angle = 0] = parameters;
    // Closed form of the ansatz; the least value is at -0.22368. 1.6 mHa is chemical accuracy.
    const energy =
      -1.04109308951662 - 0.7958748496863609 * Math.cos(angle) + 0.18093119978423156 * Math.sin(angle);
    expect(energy - -1.8572750302).toBeLessThan(0.0016);
  });

  it("is no objective where the callable is another", async () => {
    const evaluate = batchEvaluator(simulator, program, { entry: "Mean", shots: 10 }, call);
    await expect(evaluate([[0]])).rejects.toMatchObject({ kind: "invalid" });
    const wrong = programOf({
      language: "qsharp",
      source: "operation F(p : Double[], s : Int) : Double { 1.0 / 0.0 }",
    });
    await expect(batchEvaluator(simulator, wrong, { entry: "F", shots: 1 }, call)([[0]])).rejects.toThrow(
      "finite",
    );
  });
});
