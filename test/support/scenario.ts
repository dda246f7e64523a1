import { expect, it } from "vitest";

/** What a program with a stock client did: it prints a line of JSON for each step. */
export interface Scenario {
  readonly results: ReadonlyMap<string, StepResult>;
  /** All that it printed, for failures. */
  readonly output: string;
}

interface StepResult {
  readonly step: string;
  readonly ok: boolean;
  readonly error?: string;
}

export function readScenario({
  stdout,
  stderr,
}: {
  readonly stdout: string;
  readonly stderr: string;
}): Scenario {
  const lines = stdout.split("\n").filter((line) => line.startsWith('{"step"'));
  const results = lines.map((line) => JSON.parse(line) as StepResult);
  return {
    results: new Map(results.map((result) => [result.step, result])),
    output: `${stdout}\n${stderr}`,
  };
}

/** A test for each step, and one that the program has no other. @param scenario read when the tests run */
export function itTakes(steps: readonly string[], scenario: () => Scenario): void {
  it.each(steps)("%s", (step) => {
    const { results, output } = scenario();
    const result = results.get(step);
    expect(result, output.slice(-4000)).toBeDefined();
    expect(result?.ok, `${result?.error}\n${output.slice(-2000)}`).toBe(true);
  });

  it("has no step that this list forgets", () => {
    expect([...scenario().results.keys()]).toEqual(steps);
  });
}
