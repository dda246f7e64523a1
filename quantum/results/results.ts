import { invalid } from "../../shared/errors.ts";
import { display, parseQsharpValue, resultJson } from "../programs/literal.ts";
import type { RunOutcome } from "../simulator/tasks.ts";
import { type Histogram, histogramOf } from "./histogram.ts";

/** Formats of Azure Quantum that results are written in. */
export const resultFormats = ["microsoft.quantum-results.v2", "microsoft.quantum-results.v1"] as const;
export type ResultFormat = (typeof resultFormats)[number];

/** What a run gave, as a document of the format. */
export function resultsDocument(outcome: RunOutcome, format: ResultFormat): unknown {
  const values = outcome.values.map(parseQsharpValue);
  const counts = countsByIndex(outcome);
  if (format === "microsoft.quantum-results.v1") {
    const total = outcome.shots.length;
    const entries = values.flatMap((value, index) => [display(value), (counts[index] ?? 0) / total]);
    return { Histogram: entries };
  }
  const outcomes = values.map(resultJson);
  return {
    DataFormat: format,
    Results: [
      {
        Histogram: values.map((value, index) => ({
          Outcome: outcomes[index],
          Display: display(value),
          Count: counts[index] ?? 0,
        })),
        Shots: Array.from(outcome.shots, (index) => outcomes[index]),
      },
    ],
  };
}

/** The histogram of a run. */
export function runHistogram(outcome: RunOutcome): Histogram {
  const counts = countsByIndex(outcome);
  return histogramOf(outcome.values.map((value, index) => [value, counts[index] ?? 0] as const));
}

export interface ResultContext {
  /** For formats that give shares in place of counts. */
  readonly shots: number;
  /** For formats that number basis states; the width of the largest outcome otherwise. */
  readonly qubits?: number;
}

/**
 * The histogram of a result document, told apart by its shape: microsoft.quantum-results.v1 and v2 (the first result of
 * a batch), IonQ's shares by basis state, Rigetti's readout, Quantinuum's registers of bit strings, Pasqal's counts.
 *
 * @throws invalid when it is none of these
 */
export function histogramOfResults(document: unknown, context: ResultContext): Histogram {
  if (isRecord(document)) {
    const { Results, Histogram, histogram, ro } = document;
    if (Array.isArray(Results)) return ofVersion2(Results[0]);
    if (Array.isArray(Histogram)) return ofVersion1(Histogram, context.shots);
    if (isRecord(histogram)) return ofBasisStates(histogram, context);
    if (Array.isArray(ro)) return countEach(ro.map((bits) => JSON.stringify(bits)));
    const registers = Object.values(document);
    if (registers.length > 0 && registers.every(isTextList)) return ofRegisters(registers);
    if (registers.length > 0 && registers.every(isCount)) {
      return histogramOf(Object.entries(document) as [string, number][]);
    }
  }
  throw invalid(
    "The job's results are in no known format; known are microsoft.quantum-results.v1 and v2, IonQ's histogram, " +
      "Rigetti's ro, registers of bit strings and counts by bit string.",
  );
}

function ofVersion2(result: unknown): Histogram {
  if (!isRecord(result) || !Array.isArray(result.Histogram)) {
    throw invalid("The first of the job's Results has no Histogram.");
  }
  return histogramOf(
    result.Histogram.map((entry: unknown) => {
      if (!isRecord(entry) || typeof entry.Display !== "string" || !isCount(entry.Count)) {
        throw invalid(`An entry of the job's Histogram has no Display and Count: ${JSON.stringify(entry)}.`);
      }
      return [entry.Display, entry.Count] as const;
    }),
  );
}

/** Outcome, share, outcome, share, … */
function ofVersion1(entries: readonly unknown[], shots: number): Histogram {
  const counts: [string, number][] = [];
  for (let index = 0; index + 1 < entries.length; index += 2) {
    counts.push([String(entries[index]), Math.round(Number(entries[index + 1]) * shots)]);
  }
  return histogramOf(counts);
}

/** IonQ numbers basis states with qubit 0 as the lowest bit; outcomes here name qubit 0 first. */
function ofBasisStates(
  shares: Readonly<Record<string, unknown>>,
  { shots, qubits }: ResultContext,
): Histogram {
  const states = Object.keys(shares).map(BigInt);
  const width = qubits ?? Math.max(1, ...states.map((state) => state.toString(2).length));
  return histogramOf(
    states.map((state) => {
      const bits = [...state.toString(2).padStart(width, "0")].reverse().join("");
      return [bits, Math.round(Number(shares[String(state)]) * shots)] as const;
    }),
  );
}

/** One list of bit strings per register; a shot's outcome is the words of all registers. */
function ofRegisters(registers: readonly (readonly string[])[]): Histogram {
  const [first = []] = registers;
  return countEach(first.map((_, shot) => registers.map((register) => register[shot] ?? "").join(" ")));
}

function countEach(outcomes: readonly string[]): Histogram {
  return histogramOf(outcomes.map((outcome) => [outcome, 1] as const));
}

function countsByIndex({ values, shots }: RunOutcome): readonly number[] {
  const counts = new Array<number>(values.length).fill(0);
  for (const index of shots) counts[index] = (counts[index] ?? 0) + 1;
  return counts;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function isTextList(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}
