import { describe, expect, it } from "vitest";
import { countGates } from "../../../quantum/qir/gates.ts";
import { callOf, parseOperand, parseQir } from "../../../quantum/qir/module.ts";
import { qsharpOfQir } from "../../../quantum/qir/translation.ts";

const typed = `; a comment; with "quotes"
%Result = type opaque
%Qubit = type opaque
@0 = internal constant [4 x i8] c"0;t\\00"

define i64 @ENTRYPOINT__main() #0 {
block_0:
  call void @__quantum__rt__initialize(i8* null) ; starts
  call void @__quantum__qis__h__body(%Qubit* null)
  call void @__quantum__qis__rx__body(double 0x3FD3333333333333, %Qubit* inttoptr (i64 1 to %Qubit*))
  call void @__quantum__qis__ccx__body(%Qubit* null, %Qubit* inttoptr (i64 1 to %Qubit*), %Qubit* inttoptr (i64 2 to %Qubit*))
  call void @__quantum__qis__mz__body(%Qubit* null, %Result* null)
  call void @__quantum__rt__array_record_output(i64 1, i8* getelementptr inbounds ([4 x i8], [4 x i8]* @0, i64 0, i64 0))
  call void @__quantum__rt__result_record_output(%Result* null, i8* null)
  ret i64 0
}

declare void @__quantum__qis__h__body(%Qubit*)

attributes #0 = { "entry_point" "output_labeling_schema" "qir_profiles"="base_profile" "required_num_qubits"="3" "required_num_results"="1" }
`;
/** An entry point of the given body, in QIR 2's opaque pointers. */
const opaque = (body: string, attributes = '"entry_point"') =>
  `define i64 @main() #0 {\n${body}\n}\nattributes #0 = { ${attributes} }\n`;

describe("QIR as text", () => {
  it("is read with typed pointers, comments and hexadecimal doubles", () => {
    const module = parseQir(typed);
    expect(module).toMatchObject({ profile: "base_profile", requiredQubits: 3, requiredResults: 1 });
    const rotation = module.entryPoint.blocks[0]?.instructions[2];
    expect(rotation && callOf(rotation)).toEqual({
      callee: "__quantum__qis__rx__body",
      arguments: [
        { type: "double", value: { kind: "double", value: 0.3 } },
        { type: "%Qubit*", value: { kind: "address", index: 1 } },
      ],
    });
  });

  it("reads opaque pointers and parameter attributes", () => {
    expect(parseOperand("ptr noundef inttoptr (i64 7 to ptr)").value).toEqual({ kind: "address", index: 7 });
    expect(parseOperand("ptr null").value).toEqual({ kind: "address", index: 0 });
    expect(parseOperand("i1 true").value).toEqual({ kind: "bool", value: true });
    expect(parseOperand("i64 -3").value).toEqual({ kind: "int", text: "-3" });
  });

  it.each([
    ["bitcode", "BC\u00c0\u00de\u0000", "bitcode"],
    ["no entry point", "define void @f() {\n  ret void\n}", "It defines: f."],
    ["an unfinished function", "define void @f() #0 {\n  ret void", "no end"],
  ])("with %s is refused", (_, text, message) => {
    expect(() => parseQir(text)).toThrow(message);
  });

  const record = (kind: string, count: number) =>
    `  call void @__quantum__rt__${kind}_record_output(i64 ${count}, ptr null)`;
  const result = "  call void @__quantum__rt__result_record_output(ptr null, ptr null)";

  it("may nest its output a hundred deep, and is refused beyond that", () => {
    const nested = (depth: number) =>
      parseQir(opaque([...Array<string>(depth).fill(record("array", 1)), result, "  ret void"].join("\n")));
    expect(qsharpOfQir(nested(100))).toContain("Result[]");
    expect(() => qsharpOfQir(nested(101))).toThrow(/more than 100 deep/);
    expect(() => qsharpOfQir(nested(100_000))).toThrow(/more than 100 deep/);
  });

  it("may call a function of very many instructions", () => {
    const gates = "  call void @__quantum__qis__h__body(ptr null)\n".repeat(150_000);
    const text = `define void @many() {\n${gates}  ret void\n}\n${opaque("  call void @many()\n  ret void")}`;
    expect(qsharpOfQir(parseQir(text)).match(/\bH\(/g)).toHaveLength(150_000);
  });

  it("takes the entry point by its name, or by its attribute", () => {
    expect(parseQir(typed, "ENTRYPOINT__main").entryPoint.name).toBe("ENTRYPOINT__main");
    expect(parseQir(typed, "elsewhere").entryPoint.name).toBe("ENTRYPOINT__main");
  });

  it("counts gates by their width, also inside of its own functions", () => {
    expect(countGates(parseQir(typed))).toEqual({
      oneQubit: 2,
      twoQubit: 0,
      wider: { 3: 1 },
      measurements: 1,
      qubits: 3,
      exact: true,
    });
    const nested = `${opaque("  call void @pair(ptr null, ptr inttoptr (i64 1 to ptr))\n  call void @pair(ptr null, ptr inttoptr (i64 1 to ptr))\n  ret i64 0")}
define internal void @pair(ptr %a, ptr %b) {
  call void @__quantum__qis__h__body(ptr %a)
  call void @__quantum__qis__cx__body(ptr %a, ptr %b)
  ret void
}`;
    expect(countGates(parseQir(nested))).toMatchObject({ oneQubit: 2, twoQubit: 2 });
  });
});

describe("QIR as Q#", () => {
  it("is straight-line code for the base profile", () => {
    expect(qsharpOfQir(parseQir(typed))).toBe(`operation Main() : Result[] {
  use q = Qubit[3];
  mutable r = [Zero, size = 1];
  H(q[0]);
  Rx(0.3, q[1]);
  CCNOT(q[0], q[1], q[2]);
  set r w/= 0 <- M(q[0]);
  let output = [r[0]];
  ResetAll(q);
  output
}
`);
  });

  it("finds as many qubits and results as are named where the attributes do not say", () => {
    const text = opaque(
      "  call void @__quantum__qis__mz__body(ptr inttoptr (i64 4 to ptr), ptr inttoptr (i64 2 to ptr))\n  ret i64 0",
    );
    const source = qsharpOfQir(parseQir(text));
    expect(source).toContain("Qubit[5]");
    expect(source).toContain("size = 3");
  });

  it("inlines functions, renaming what they define", () => {
    const text = `${opaque("  call void @turn(ptr null, double 0.5)\n  call void @turn(ptr inttoptr (i64 1 to ptr), double -1.5)\n  ret i64 0")}
define internal void @turn(ptr %q, double %angle) {
  %twice = fmul double %angle, 2.0
  call void @__quantum__qis__rz__body(double %twice, ptr %q)
  ret void
}`;
    const source = qsharpOfQir(parseQir(text));
    expect(source).toContain("= 0.5 * 2.0;");
    expect(source).toContain("= (-1.5) * 2.0;");
    expect(source.match(/mutable v_/g)).toHaveLength(2);
  });

  it("keeps what a function returns, and splits the block that calls one with branches", () => {
    const text = `${opaque("  %c = call i1 @__quantum__rt__read_result(ptr null)\n  %n = call i64 @choose(i1 %c)\n  %m = add i64 %n, 1\n  call void @__quantum__rt__int_record_output(i64 %m, ptr null)\n  ret i64 0")}
define internal i64 @choose(i1 %c) {
start:
  br i1 %c, label %yes, label %no
yes:
  br label %end
no:
  br label %end
end:
  %r = phi i64 [ 3, %yes ], [ 4, %no ]
  ret i64 %r
}`;
    const source = qsharpOfQir(parseQir(text));
    expect(source.match(/block == /g)).toHaveLength(6); // the caller's two parts and the four of the function
    expect(source).toContain("= 3;");
    expect(source).toContain("= 4;");
  });

  it("does not follow recursion for ever", () => {
    const text = `${opaque("  call void @again()\n  ret i64 0")}
define internal void @again() {
  call void @again()
  ret void
}`;
    expect(() => qsharpOfQir(parseQir(text))).toThrow("deep");
  });

  it.each([
    ["dynamic qubits", "  %q = call ptr @__quantum__rt__qubit_allocate()", "__quantum__rt__qubit_allocate"],
    ["unknown gates", "  call void @__quantum__qis__magic__body(ptr null)", "Line 2"],
    ["arrays", "  %a = alloca [3 x i64]", "[3 x i64]"],
    [
      "huge addresses",
      "  call void @__quantum__qis__h__body(ptr inttoptr (i64 99999999999 to ptr))",
      "at most",
    ],
    ["switches", "  switch i64 0, label %a [ ]", "Line 2"],
    ["a wrong number of operands", "  call void @__quantum__qis__cx__body(ptr null)", "Line 2"],
  ])("is refused with %s, naming the place", (_, line, message) => {
    expect(() => qsharpOfQir(parseQir(opaque(`${line}\n  ret i64 0`)))).toThrow(message);
  });

  it("cannot smuggle code in through names", () => {
    const text = opaque('  %"x; fail" = add i64 1, 2\n  ret i64 0');
    expect(() => qsharpOfQir(parseQir(text))).toThrow("no instruction");
  });
});
