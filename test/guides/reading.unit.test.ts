import { describe, expect, it } from "vitest";
import { guideBlocks, outputDiffers } from "../support/guides.ts";

describe("a guide's page", () => {
  it("is read as blocks to run, each with what it prints", () => {
    const page = [
      "# Page",
      "```sh",
      "echo 1",
      "```",
      "prints",
      "```text",
      "1",
      "```",
      "```sh fails",
      "false",
      "```",
      "```python",
      "print(2)",
      "```",
    ];
    expect(guideBlocks(page.join("\n"))).toEqual([
      { language: "sh", code: "echo 1", line: 3, fails: false, output: { kind: "text", text: "1" } },
      { language: "sh", code: "false", line: 10, fails: true, output: undefined },
      { language: "python", code: "print(2)", line: 13, fails: false, output: undefined },
    ]);
  });

  it("has no block that nobody runs", () => {
    expect(() => guideBlocks("```\nnpm start\n```")).toThrow("Line 1: a block is sh or python");
    expect(() => guideBlocks("```json\n{}\n```")).toThrow("Line 1");
    expect(() => guideBlocks("```sh\ntrue")).toThrow("Line 1: this block is never closed.");
  });
});

describe("what a page says is printed", () => {
  const text = (said: string, printed: string) =>
    outputDiffers({ kind: "text", text: said }, printed) === undefined;
  const json = (said: string, printed: unknown) =>
    outputDiffers({ kind: "json", text: said }, JSON.stringify(printed)) === undefined;

  it("is compared as text, but for …", () => {
    expect(text("run … is done", "run 17 is done\n")).toBe(true);
    expect(text("run … is done", "run 17 is not")).toBe(false);
    expect(text("a\n…\nd", "a\nb\nc\nd")).toBe(true);
    expect(text("a\n…\nd", "a\nd")).toBe(true);
    expect(text("a\n…", "a\nb\nc")).toBe(true);
    expect(text("a.c", "abc")).toBe(false);
    expect(text("a", "a\nb")).toBe(false);
  });

  it("is compared as JSON, but for …", () => {
    expect(json('{"id": …, "state": "done"}', { state: "done", id: 7 })).toBe(true);
    expect(json('{"state": "done"}', { state: "done", id: 7 })).toBe(false);
    expect(json('{"state": "done", …}', { state: "done", id: 7 })).toBe(true);
    expect(json('{"state": "done", …}', { state: "failed" })).toBe(false);
    expect(json('{"items": [{"name": "a", …}, …]}', { items: [{ name: "a", b: 1 }, 2] })).toBe(true);
    expect(json("[1, 2]", [1, 2, 3])).toBe(false);
    expect(json('{"at": "2026-…"}', { at: "2026-01-05" })).toBe(true);
    expect(json('{"at": "2026-…"}', { at: "2025-01-05" })).toBe(false);
    expect(json('{"items": []}', { items: [1] })).toBe(false);
    expect(json('{"name": "a"}', {})).toBe(false);
    expect(json('{"name": null}', { name: null })).toBe(true);
    expect(outputDiffers({ kind: "json", text: "{}" }, "not JSON")).toContain("no JSON");
  });
});
