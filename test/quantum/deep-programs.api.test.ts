import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseFilter } from "../../quantum/workspaces/filters.ts";
import { call } from "../support/application.ts";
import { type QuantumGround, quantumGround } from "../support/quantum.ts";

let ground: QuantumGround;
beforeAll(async () => {
  ground = await quantumGround();
});
afterAll(() => ground.close());

const qsharp = (expression: string) => `@EntryPoint()\noperation Main() : Int { return ${expression}; }`;
const around = (open: string, close: string, depth: number, inner = "1") =>
  open.repeat(depth) + inner + close.repeat(depth);

const deep: readonly (readonly [what: string, language: string, source: string])[] = [
  ["60,000 parentheses", "qsharp", qsharp(around("(", ")", 60_000))],
  ["3,000 parentheses", "qsharp", qsharp(around("(", ")", 3_000))],
  ["100,000 terms", "qsharp", qsharp(`1${"+1".repeat(100_000)}`)],
  ["100,000 signs", "qsharp", qsharp(`${"-".repeat(100_000)}1`)],
  ["60,000 open brackets", "qsharp", qsharp("[".repeat(60_000))],
  ["30,000 blocks", "qsharp", `operation Main() : Unit { ${around("if true {", "}", 30_000, "")} }`],
  ["60,000 parentheses of OpenQASM", "openqasm", `OPENQASM 3.0; int a = ${around("(", ")", 60_000)};`],
  ["100,000 terms of OpenQASM", "openqasm", `OPENQASM 3.0; int a = 1${"+1".repeat(100_000)};`],
  ["60,000 blocks of OpenQASM", "openqasm", `OPENQASM 3.0; ${around("{", "}", 60_000, "")}`],
];

describe("a program that nests more deeply than the compiler can take", () => {
  it.each(deep)("is refused with a diagnostic by every route: %s", async (_what, language, source) => {
    for (const [path, body] of [
      ["check", { language, source }],
      ["qir", { language, source, profile: "base" }],
    ] as const) {
      const answer = await call(ground.app, "POST", `/api/v1/quantum/${path}`, body);
      expect(answer).toMatchObject({
        status: 400,
        body: { diagnostics: [{ code: "Ketline.Program.TooDeep", severity: "error" }] },
      });
    }
    const good = await call(ground.app, "POST", "/api/v1/quantum/check", {
      language: "qsharp",
      source: qsharp("1"),
    });
    expect(good).toMatchObject({ status: 200, body: { ok: true } });
  });

  it("fails its job with that reason at the first attempt", async () => {
    const [, language, source] = deep[0] ?? [];
    const { body } = await call(ground.app, "POST", "/api/v1/quantum/jobs", { language, source, shots: 1 });
    await ground.runner.drain();
    const job = await call(ground.app, "GET", `/api/v1/jobs/${(body as { id: string }).id}`);
    expect(job.body).toMatchObject({
      state: "failed",
      attempt: 1,
      error: expect.stringMatching(/nests too deeply/),
    });
  });
});

describe("a filter of the data plane that nests deeply", () => {
  it("is refused beyond fifty levels", () => {
    const filter = (depth: number) => around("(", ")", depth, "State eq 'Failed'");
    expect(parseFilter(filter(50))).toMatchObject({ kind: "equals" });
    expect(() => parseFilter(filter(51))).toThrow(/more than 50 parentheses/);
    expect(() => parseFilter(filter(100_000))).toThrow(/more than 50 parentheses/);
    const row = Array.from({ length: 100 }, () => "(State eq 'Failed')").join(" or ");
    expect(parseFilter(row)).toMatchObject({ kind: "or" });
  });
});
