import { readdirSync, readFileSync } from "node:fs";
import { afterAll, describe, expect, it } from "vitest";
import { programOf } from "../../../quantum/programs/program.ts";
import { runHistogram } from "../../../quantum/results/results.ts";
import { expectationOf, judge, uniformExpectation } from "../../../quantum/results/verdict.ts";
import { createSimulator } from "../../../quantum/simulator/simulator.ts";
import { createWorkerPool } from "../../../shared/jobs/index.ts";

const directory = new URL("../../../examples/quantum/", import.meta.url);
const workers = createWorkerPool({ threads: 1 });
const simulator = createSimulator({ workers });
const call = { signal: new AbortController().signal };
afterAll(() => workers.close());

function example(name: string, given?: Readonly<Record<string, unknown>>) {
  const language = name.endsWith(".qs") ? "qsharp" : "openqasm";
  const source = readFileSync(new URL(name, directory), "utf8");
  return programOf({ language, source, ...(given === undefined ? {} : { arguments: given }) });
}

const one = Math.sin(0.5) ** 2;
const expected = {
  "bell.qs": uniformExpectation(["00", "11"]),
  "bell.qasm": uniformExpectation(["00", "11"]),
  "ghz.qs": uniformExpectation(["00000", "11111"]),
  "ghz.qasm": uniformExpectation(["000", "111"]),
  "teleport.qs": expectationOf({ "0": 1 - one, "1": one }),
  "rotation.qasm": expectationOf({ "0": 1 - one, "1": one }),
};

describe("the examples", () => {
  it.each(Object.entries(expected))("%s has the outcomes that it promises", async (name, expectation) => {
    const program = example(name, name === "rotation.qasm" ? { theta: 1 } : undefined);
    const histogram = runHistogram(await simulator.run(program, 2000, null, call));
    const options = {
      alpha: 1e-4,
      comparisons: 1,
      noiseless: true,
      allowedDistance: 0,
      detectDistance: undefined,
    };
    expect(judge(histogram, expectation, options)).toMatchObject({ verdict: "consistent" });
  });

  const programs = readdirSync(directory).filter((name) => name.endsWith(".qs"));
  it.each(programs)("%s passes its own unit tests", async (name) => {
    const outcomes = await simulator.test(example(name), 5, call);
    expect(outcomes.length).toBeGreaterThan(0);
    expect(outcomes.filter(({ passed }) => !passed)).toEqual([]);
  });

  it.each(["bell.qs", "bell.qasm", "ghz.qs", "ghz.qasm"])(
    "%s fits hardware of the base profile",
    async (name) => {
      expect(await simulator.qir(example(name), "base", call)).toContain("base_profile");
    },
  );
});
