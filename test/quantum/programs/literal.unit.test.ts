import { describe, expect, it } from "vitest";
import { display, outcomeLabel, parseQsharpValue, resultJson } from "../../../quantum/programs/literal.ts";

describe("values as Q# prints them", () => {
  it("reads results, numbers, booleans and rows of them", () => {
    expect(parseQsharpValue("([Zero, One], 3, true, -2.5)")).toEqual({
      kind: "tuple",
      items: [
        {
          kind: "array",
          items: [
            { kind: "result", value: "Zero" },
            { kind: "result", value: "One" },
          ],
        },
        { kind: "int", text: "3" },
        { kind: "bool", value: true },
        { kind: "double", value: -2.5 },
      ],
    });
  });

  it("keeps every digit of a large integer", () => {
    const text = "123456789012345678901234567890";
    expect(parseQsharpValue(text)).toEqual({ kind: "int", text });
    expect(resultJson(parseQsharpValue(text))).toBe(text);
  });

  it.each(["[One, Zero", "(One,, Zero)", "a) b", ")(", "[", "", 'q"u,o(t'])("takes %j for text", (text) => {
    expect(parseQsharpValue(text)).toEqual({ kind: "text", text });
  });

  it("survives nesting that no program prints", () => {
    expect(parseQsharpValue("[".repeat(200_000))).toMatchObject({ kind: "text" });
    expect(parseQsharpValue(`${"[".repeat(5000)}${"]".repeat(5000)}`)).toMatchObject({ kind: "text" });
  });

  it("writes tuples with Item1, Item2 as Azure's results do", () => {
    expect(resultJson(parseQsharpValue("(Zero, [One, Loss])"))).toEqual({ Item1: 0, Item2: [1, "-"] });
    expect(display(parseQsharpValue("(Zero, [One, Loss])"))).toBe("(0, [1, -])");
  });
});

describe("the name of an outcome", () => {
  it.each(["[One, Zero]", "(One, Zero)", "[1, 0]", "|10⟩", "10", " [ One , Zero ] "])(
    "is 10, however it is written: %s",
    (text) => {
      expect(outcomeLabel(text)).toBe("10");
    },
  );

  it.each([
    ["One", "1"],
    ["([Zero, One], One)", "01 1"],
    ["[[Zero], [One, One]]", "0 11"],
    ["[Loss, One]", "-1"],
    ["3", "3"],
    ["[2, 1]", "[2, 1]"],
    ["(One, true)", "(1, true)"],
    ["[]", "[]"],
  ])("of %s is %s", (text, label) => {
    expect(outcomeLabel(text)).toBe(label);
  });

  it("is the same again when it is named by its name", () => {
    for (const text of ["([Zero, One], One)", "[One]", "Loss", "(3, [One])", "0.5"]) {
      expect(outcomeLabel(outcomeLabel(text))).toBe(outcomeLabel(text));
    }
  });
});
