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
    ["if (!m == 1) x q[0];", "3:28"],
    ["if ((m) == 1) x q[0];", "3:28"],
    ["if ((m & k) == 1) x q[0];", "3:28"],
    ["if (m & 1 == 1) x q[0];", "3:27"],
    ["if (m == j) x q[0];", "3:27"],
    ["int i = int[2](m);", "3:38"],
    ["uint[2] i = m;", "3:35"],
    ["int i = ~m;", "3:32"],
    ["j = m;", "3:27"],
    ["m = j;", "3:23"],
    ["m = k & j;", "3:23"],
    ["m = m << 1;", "3:23"],
    ["m <<= 1;", "3:23"],
    ["m = 1;", "3:23"],
    ["m = uint[2](1);", "3:23"],
    ["m = rotl(m, 1);", "3:23"],
    ["let i = m;", "3:31"],
    ["x q[m];", "3:27"],
    ["rx(m) q[0];", "3:26"],
    ["switch (m) { case 1 { x q[0]; } }", "3:31"],
    ["def f(int i) { } f(m);", "3:42"],
    ["def f(bit[2] p) -> int { return p; }", "3:55"],
    ["for int i in m { x q[0]; }", "3:36"],
  ])("is refused where somebody may make a number of it: %s", (text, place) => {
    const program = source(`qubit[2] q; bit[2] m; ${text}`);
    expect(() => programOf({ language: "openqasm", source: program })).toThrow(
      `main.qasm:${place}: the register "`,
    );
  });

  it.each([
    ['angle[2] i = "01";', "the bit string"],
    ['m[0:1] = "01";', "the bit string"],
    ['if ("01" == m) x q[0];', "the register"],
    ['m = k & "01";', "the bit string"],
    ['def f(bit[2] p) { } f("01");', "the bit string"],
    ["def f(qubit p) -> bit[2] { bit[2] r; return r; } if (f(q[0]) == 1) x q[0];", 'the result of "f"'],
    ["def f(qubit p) -> bit[2] { bit[2] r; return r; } int i = f(q[0]);", 'the result of "f"'],
  ])("is refused with what it would be wrong with: %s", (text, what) => {
    const program = source(`qubit[2] q; bit[2] m; bit[2] k; ${text}`);
    expect(() => programOf({ language: "openqasm", source: program })).toThrow(`: ${what}`);
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
    const program = source(`qubit[2] q; bit[2] m; ${"if (m == 1) x q[0];\n".repeat(20_000)}`);
    expect(programOf({ language: "openqasm", source: program }).files[0]?.text).toContain("m[0] && !m[1]");
    for (const text of [
      "bit[",
      "a[",
      "m ",
      "m == 1 && ",
      "m == ",
      "= m",
      "f(",
      "/*",
      "creg a[",
      "def f(",
      "input bit[",
    ]) {
      const long = source(`bit[2] m; ${text.repeat(400_000 / text.length)}`);
      try {
        programOf({ language: "openqasm", source: long });
      } catch (error) {
        expect(error).toMatchObject({ kind: "invalid" });
      }
    }
  });

  it("is compared in bounded room", () => {
    const program = source(`bit[9999] m; ${"if (m == 1) { }".repeat(30_000)}`);
    expect(() => programOf({ language: "openqasm", source: program })).toThrow(
      "more than 5000000 characters",
    );
  });

  it.each([
    "m = measure q;",
    "measure q -> m;",
    "m[0] = measure q[0]; if (m[0] == 1) x q[1];",
    "bit[2] k = m; k = k ^ m; k = k & m;",
    "for int i in [0:1] { m[i] = measure q[i]; }",
    "measure q[0:1] -> m[0:1]; m[0:1] = measure q[0:1];",
    "if (m) x q[0]; while (!m) { m = measure q; }",
    "bool b = m[0] == 1 || m != m;",
    "int i = popcount(m);",
    "def f(bit[2] p, qubit t) -> bit[2] { bit[2] r; r = p | ~p; return r; } m = f(m, q[0]);",
    "gate g(m) t { rx(m / 2) t; for int i in [0:1] { ry(m) t; } } g(0.5) q[0];",
  ])("stays as it is elsewhere: %s", (text) => {
    const program = source(`qubit[2] q; bit[2] m; ${text}`);
    expect(programOf({ language: "openqasm", source: program }).files[0]?.text).toBe(program);
  });
});
