import { afterAll, describe, expect, it } from "vitest";
import { programOf } from "../../../quantum/programs/program.ts";
import { runHistogram } from "../../../quantum/results/results.ts";
import { createSimulator } from "../../../quantum/simulator/simulator.ts";
import { createWorkerPool } from "../../../shared/jobs/index.ts";

const workers = createWorkerPool({ threads: 1 });
const simulator = createSimulator({ workers });
afterAll(() => workers.close());

const source = (text: string) => `OPENQASM 3.0;\ninclude "stdgates.inc";\n${text}`;

/** With 1 in m[0] and 0 in m[1]: whether the condition holds. */
async function holds(condition: string): Promise<boolean> {
  const text = `qubit[3] q; bit[2] m; bit[2] n; bit r; x q[0]; m[0] = measure q[0]; m[1] = measure q[1];
    n = "01"; // "10" in a comment
    if (${condition}) x q[2];
    r = measure q[2];`;
  const program = programOf({ language: "openqasm", source: source(text) });
  const { outcomes } = runHistogram(
    await simulator.run(program, 5, null, { signal: new AbortController().signal }),
  );
  expect(outcomes).toHaveLength(1);
  expect(outcomes[0]?.outcome).toMatch(/^10 10 [01]$/);
  return outcomes[0]?.outcome.endsWith("1") ?? false;
}

describe("a classical register of OpenQASM 3", () => {
  it.each([
    ["m == 1", true],
    ["m == 2", false],
    ["m != 1", false],
    ["m != 2", true],
    ["m == 0b01", true],
    ["m == 0x1", true],
    ["m == 5", false],
    ["m != 5", true],
    ['m == "01"', true],
    ['m == "10"', false],
    ["m == n", true],
    ["m == 1 && n == 1", true],
    ["m == 1 && n == 2", false],
    ["n == 1 || m == 0", true],
    ["m[0] == true", true],
  ])("has element 0 as its lowest bit: %s is %s", async (condition, expected) => {
    expect(await holds(condition)).toBe(expected);
  });

  it.each([
    ["if (m > 1) x q[0];", "3:27"],
    ["if (1 == m) x q[0];", "3:32"],
    ["if (m + 1 == 2) x q[0];", "3:27"],
    ["if (m[0:1] == 1) x q[0];", "3:27"],
    ["int k = int[2](m);", "3:38"],
    ["uint[2] k = m;", "3:35"],
    ["m = m << 1;", "3:27"],
    ["switch (m) { case 1 { x q[0]; } }", "3:31"],
    ["m = rotl(m, 1);", "3:32"],
    ["if (!m == 1) x q[0];", "3:28"],
    ["m = 1;", "3:23"],
    ["m = uint[2](1);", "3:23"],
  ])("is refused as a number where the compiler would be wrong: %s", (text, place) => {
    const program = source(`qubit[2] q; bit[2] m; ${text}`);
    expect(() => programOf({ language: "openqasm", source: program })).toThrow(
      `main.qasm:${place}: the register "m"`,
    );
  });

  it("is read so in included files too", () => {
    const text = "def number(bit[2] m) -> int { return int[2](m); }";
    const files = [
      { name: "main.qasm", text: source('include "more.inc"; qubit q;') },
      { name: "more.inc", text },
    ];
    expect(() => programOf({ language: "openqasm", files })).toThrow('more.inc:1:45: the register "m"');
  });

  it("takes time in proportion to the program", () => {
    const program = source(`qubit[2] q; bit[2] m; ${"if (m == 1) x q[0];\n".repeat(50_000)}`);
    expect(programOf({ language: "openqasm", source: program }).files[0]?.text).toContain("m[0] && !m[1]");
  });

  it.each([
    "m = measure q;",
    "measure q -> m;",
    "m[0] = measure q[0]; if (m[0] == 1) x q[1];",
    "bit[2] k = m; k = k ^ m; k = k & m;",
    "for int i in [0:1] { m[i] = measure q[i]; }",
  ])("stays as it is elsewhere: %s", (text) => {
    const program = source(`qubit[2] q; bit[2] m; ${text}`);
    expect(programOf({ language: "openqasm", source: program }).files[0]?.text).toBe(program);
  });
});
