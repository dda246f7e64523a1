import { readFile } from "node:fs/promises";
import type { Checks } from "./checks.ts";
import type { Client, DemoJob } from "./client.ts";
import { heading, histogram, say } from "./terminal.ts";

interface QuantumJob {
  readonly id: string;
  readonly status: string;
  readonly steps: readonly { readonly step: string; readonly status: string; readonly message: string }[];
  readonly estimate: { readonly physicalQubits: number; readonly runtimeNs: number } | null;
  readonly histogram: {
    readonly top: readonly { readonly outcome: string; readonly count: number }[];
  } | null;
  readonly verdict: {
    readonly verdict: string;
    readonly chiSquare: { readonly pValue: number } | null;
    readonly totalVariation: { readonly distance: number; readonly bound: number };
  } | null;
}

const programs = [
  { file: "bell.qs", language: "qsharp", name: "Bell pair", uniform: ["00", "11"] },
  { file: "ghz.qasm", language: "openqasm", name: "GHZ state", uniform: ["000", "111"] },
];
const shots = 2000;

/** Runs both programs on the local workspace; each outcome is judged against what theory says. */
export async function runQuantum(client: Client, checks: Checks): Promise<void> {
  heading(
    6,
    "Quantum",
    "A Bell pair in Q# and a GHZ state in OpenQASM: tested, estimated, priced, run, judged.",
  );
  for (const { file, language, name, uniform } of programs) {
    const source = await readFile(new URL(`../quantum/${file}`, import.meta.url), "utf8");
    const submitted = await client.send<DemoJob>("POST", "/api/v1/quantum/jobs", {
      name,
      language,
      source,
      shots,
      // A right program must not fail the demonstration: one false alarm in ten thousand, not in a hundred.
      expected: { uniform, alpha: 0.0001 },
      policy: { maxPhysicalQubits: 1_000_000 },
    });
    await client.follow(submitted, name, () => `${shots.toLocaleString("en-US")} shots`);
    const done = await client.get<QuantumJob>(`/api/v1/quantum/jobs/${submitted.id}`);
    const estimate = done.estimate;
    say(
      `   ${done.steps.map(({ step, status }) => `${step} ${status === "passed" ? "✓" : status}`).join(" → ")}` +
        (estimate === null
          ? ""
          : `; fault-tolerant: ${estimate.physicalQubits.toLocaleString("en-US")} physical qubits`),
    );
    histogram(
      (done.histogram?.top ?? []).map(({ outcome, count }) => ({
        label: outcome,
        value: count,
        note: `${count} (${((100 * count) / shots).toFixed(1)} %)`,
      })),
    );
    checks.that(
      done.status === "succeeded" && done.verdict?.verdict === "consistent",
      `${name}: ${done.verdict?.verdict ?? done.status} with theory, p ${done.verdict?.chiSquare?.pValue.toFixed(2) ?? "–"}, ` +
        `distance ${done.verdict?.totalVariation.distance.toFixed(3)} within ${done.verdict?.totalVariation.bound.toFixed(3)}`,
    );
  }
}
