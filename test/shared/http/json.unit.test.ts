import { describe, expect, it } from "vitest";
import { parseJson, unstorableAt } from "../../../shared/http/index.ts";
import { parseStorableJson } from "../../../shared/http/json.ts";

const nested = (levels: number, inside = "") => `${"[".repeat(levels)}${inside}${"]".repeat(levels)}`;

describe("JSON of strangers", () => {
  it("is parsed up to 64 levels, whatever stands beside the deepest", () => {
    expect(parseJson(nested(64))).toBeDefined();
    for (const text of [nested(65), nested(400_000), "[".repeat(400_000), `{"a":[1],"b":${nested(64)}}`]) {
      expect(() => parseJson(text)).toThrow(/nested deeper than 64 levels/);
    }
    expect(parseJson(`[${Array(1000).fill(nested(60)).join(",")}]`)).toHaveLength(1000);
  });

  it.each([
    ["brackets in a text", JSON.stringify("[".repeat(1000))],
    ["brackets behind an escaped quotation mark", JSON.stringify({ a: `"${"[{".repeat(1000)}`, b: 'c\\"' })],
    [
      "a text that ends in backslashes",
      JSON.stringify(["\\".repeat(101), "[".repeat(100), '\\"'.repeat(50)]),
    ],
  ])("counts no %s", (_, text) => {
    expect(parseJson(text)).toEqual(JSON.parse(text));
  });

  it.each(["{", '{"a', `"${"\\".repeat(100)}`, "[1,]", `${"]".repeat(100)}`])("fails as ever: %s", (text) => {
    expect(() => parseJson(text)).toThrow(SyntaxError);
  });

  it.each([
    ['{"a":[{"b":"\\u0000"}]}', "a[0].b"],
    ['{"a":"x\\ud800"}', "a"],
    ['["\\udc00\\ud800"]', "[0]"],
    ['"\\u0000"', "The body"],
    ['{"a":{"\\ud800":1}}', "a.<a key>"],
  ])("is refused with the place of a text that no database keeps: %s", (text, place) => {
    expect(() => parseStorableJson(text)).toThrow(`${place} holds the character NUL`);
    expect(unstorableAt(JSON.parse(text))).toBeDefined();
  });

  it.each(['{"__proto__":1}', '{"a":[{"\\u005f_proto__":1}]}'])(
    "is refused with a key that copies lose: %s",
    (text) => {
      expect(() => parseStorableJson(text)).toThrow("__proto__");
    },
  );

  it("may hold any other word and character", () => {
    for (const text of ['{"constructor":"__proto__"}', '"\\ud83d\\udca5"', '{"\\u00e9":"\\n"}']) {
      expect(parseStorableJson(text)).toEqual(JSON.parse(text));
    }
  });
});
