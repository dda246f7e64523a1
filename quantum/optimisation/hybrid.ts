import type { z } from "zod";
import { invalid } from "../../shared/errors.ts";
import type { JobKind } from "../../shared/jobs/index.ts";
import { parseQsharpValue } from "../programs/literal.ts";
import { type Program, programOf } from "../programs/program.ts";
import { MinimisationBody } from "../schemas.ts";
import { decimalLiteral } from "../simulator/entry.ts";
import type { Simulator, SimulatorCall } from "../simulator/simulator.ts";
import {
  descendByParameterShift,
  descendBySpsa,
  type EvaluateBatch,
  type Iteration,
  type Minimum,
  seededRandom,
} from "./minimisation.ts";

type Spec = z.infer<typeof MinimisationBody>;

/**
 * The job behind `POST /api/v1/quantum/minimisations`: a classical loop around a quantum program. The entry is a callable
 * `(parameters : Double[], shots : Int) : Double`; every iteration evaluates all of its points in one run, because
 * compiling costs more than simulating.
 */
export function minimiseKind(simulator: Simulator): JobKind<Spec, Minimum> {
  return {
    kind: "quantum.minimise",
    spec: MinimisationBody,
    role: "contributor",
    unneeded: async (ids) => ids,
    async run({ spec, signal, log, progress }) {
      const program = programOf({ language: "qsharp", source: spec.source, files: spec.files });
      const evaluate = batchEvaluator(simulator, program, spec, { signal });
      const { method } = spec;
      const onIteration = ({ iteration, value, parameters }: Iteration) => {
        log(`${iteration}: ${value} at ${parameters.join(", ")}`);
        progress(iteration / (method.iterations + 1));
      };
      if (method.kind === "parameterShift") {
        return descendByParameterShift(evaluate, spec.initial, { ...method, onIteration });
      }
      const random = seededRandom(method.seed);
      return descendBySpsa(evaluate, spec.initial, { ...method, random, onIteration });
    },
  };
}

/** Evaluates a Q# objective at several points in one run of the simulator. */
export function batchEvaluator(
  simulator: Simulator,
  program: Program,
  { entry, shots }: { readonly entry: string; readonly shots: number },
  call: SimulatorCall,
): EvaluateBatch {
  return async (points) => {
    const calls = points.map((point) => `${entry}([${point.map(decimalLiteral).join(", ")}], ${shots})`);
    const text = `[${calls.join(", ")}]`;
    const outcome = await simulator.run({ ...program, entry: { kind: "expression", text } }, 1, null, call);
    const { failures, values } = outcome;
    if (failures.first !== null) throw invalid(`The objective failed: ${failures.first.message}`);
    return valuesOf(values[0] ?? "", points.length, entry);
  };
}

function valuesOf(printed: string, count: number, entry: string): readonly number[] {
  const value = parseQsharpValue(printed);
  const items = value.kind === "array" ? value.items : [];
  const numbers = items.map((item) => (item.kind === "double" ? item.value : Number.NaN));
  if (numbers.length === count && numbers.every(Number.isFinite)) return numbers;
  throw invalid(`${entry} gave ${printed.slice(0, 200)}; it must return a finite Double.`, {
    field: "entry",
  });
}
