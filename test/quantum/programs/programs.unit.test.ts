import { describe, expect, it } from "vitest";
import { bindInputs } from "../../../quantum/programs/openqasm3/index.ts";
import { programOf } from "../../../quantum/programs/program.ts";
import { callText, importsOf, parseSignature, withoutEntryPoints } from "../../../quantum/simulator/entry.ts";

describe("a submitted program", () => {
  it("is one source or several files, not both and not neither", () => {
    expect(() => programOf({ language: "qsharp" })).toThrow("either as `source` or as `files`");
    expect(() =>
      programOf({ language: "qsharp", source: "x", files: [{ name: "main.qs", text: "x" }] }),
    ).toThrow("either");
  });

  it.each(["../main.qs", "main.py", "a-b.qs", "/etc/main.qs", "main"])("refuses the file name %s", (name) => {
    expect(() => programOf({ language: "qsharp", files: [{ name, text: "" }] })).toThrow(`"${name}"`);
  });

  it("takes an entry as a callable with arguments or as an expression", () => {
    const source = "operation F(x : Int) : Int { x }";
    expect(programOf({ language: "qsharp", source, entry: "main.F", arguments: [1] }).entry).toEqual({
      kind: "call",
      callable: "main.F",
      arguments: [1],
    });
    expect(programOf({ language: "qsharp", source, entry: "F(1)" }).entry).toEqual({
      kind: "expression",
      text: "F(1)",
    });
    expect(() => programOf({ language: "qsharp", source, entry: "F(1)", arguments: [1] })).toThrow(
      "name of a callable",
    );
    expect(() => programOf({ language: "qsharp", source, arguments: [1] })).toThrow("entry");
  });
});

describe("inputs of OpenQASM programs", () => {
  const source = `OPENQASM 3.0;
// input float old;
input float theta;
input int[32] n;
qubit q;
bit c = measure q;
bit[2] d;
gate g(theta) a { rx(theta) a; }
def f() -> bit { bit inner; return inner; }`;

  it("become constants, and the bits stay the output", () => {
    const bound = bindInputs(source, { theta: 2, n: 3 });
    expect(bound).toContain("const float theta = 2.0;");
    expect(bound).toContain("const int[32] n = 3;");
    expect(bound).toContain("output bit c; c = measure q;");
    expect(bound).toContain("output bit[2] d;");
    expect(bound).toContain("// input float old;");
    expect(bound).toContain("{ bit inner; return inner; }");
    expect(bound.split("\n")).toHaveLength(source.split("\n").length);
  });

  it("leave a program without inputs as it is", () => {
    const plain = "OPENQASM 3.0; qubit q; bit c = measure q;";
    expect(bindInputs(plain, {})).toBe(plain);
  });

  it.each([
    [{ theta: 1 }, 'input "n"'],
    [{ theta: 1, n: 2, phi: 3 }, '"phi"'],
    [{ theta: "x", n: 2 }, 'input "theta"'],
    [{ theta: 1, n: 2.5 }, 'input "n"'],
  ])("%j is refused with the name at fault", (inputs, message) => {
    expect(() => bindInputs(source, inputs)).toThrow(message);
  });
});

describe("a bit string among the inputs", () => {
  it("has element 0 as its last digit, as one in the program", () => {
    const bound = bindInputs("input bit[3] flags;", { flags: "001" });
    expect(bound).toContain('const bit[3] flags = "100";'); // the compiler has it first
  });
});

describe("entries of Q# programs", () => {
  it("are read from the compiler's own words", () => {
    expect(
      parseSignature("operation Two(a : (Int, Double), f : (Qubit => Unit)) : (Result[], Pair, BigInt)"),
    ).toEqual({
      parameters: [
        { name: "a", type: "(Int, Double)" },
        { name: "f", type: "(Qubit => Unit)" },
      ],
      returns: "(Result[], Pair, BigInt)",
    });
    expect(parseSignature("operation Flip(q : Qubit) : Unit is Adj + Ctl")?.returns).toBe("Unit");
    expect(parseSignature("function Main() : Int")).toEqual({ parameters: [], returns: "Int" });
    expect(parseSignature("local x : Int")).toBeUndefined();
  });

  it("write each argument in the literal of its type", () => {
    const signature = parseSignature(
      "operation F(x : Double, n : Int, b : BigInt, s : String, r : Result[], p : Pauli, t : (Bool, Double)) : Unit",
    );
    if (signature === undefined) throw new Error("the signature was not read");
    const given = [1, 2, "12345678901234567890", 'a "b"\n', ["One", 0], "PauliX", [true, 1e-7]];
    expect(callText("F", signature, given)).toBe(
      'F(1.0, 2, 12345678901234567890L, "a \\"b\\"\\n", [One, Zero], PauliX, (true, 1.0e-7))',
    );
  });

  it.each([
    [[1.5], "The argument n is 1.5; its type Int takes a whole number."],
    [[], "takes 1 arguments (n : Int); 0 were given"],
    [["1; DROP"], "its type Int takes a whole number"],
  ])("refuse %j", (given, message) => {
    const signature = parseSignature("operation F(n : Int) : Unit");
    if (signature === undefined) throw new Error("the signature was not read");
    expect(() => callText("F", signature, given)).toThrow(message);
  });

  it("know the namespaces of files, declared or by their names", () => {
    const files = [
      { name: "main.qs", text: "operation Main() : Int { 1 }" },
      { name: "lib/Tools.qs", text: "function F() : Int { 1 }" },
      { name: "Old.qs", text: "namespace A.B { } // namespace C {" },
    ];
    expect(importsOf({ language: "qsharp", files, entry: null })).toBe(
      "import main.*; import lib.Tools.*; import A.B.*;",
    );
  });

  it("lose their own entry point without moving anything", () => {
    const text = "@EntryPoint(Base) operation Main() : Int { 1 }";
    const [file] = withoutEntryPoints([{ name: "main.qs", text }]);
    expect(file?.text).toHaveLength(text.length);
    expect(file?.text).not.toContain("EntryPoint");
  });
});
