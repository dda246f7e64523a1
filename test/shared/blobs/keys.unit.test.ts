import { describe, expect, it } from "vitest";
import { directoryName, fileName, segmentOf } from "../../../shared/blobs/keys.ts";

describe("the name of a segment on disk", () => {
  it.each([
    ["model.onnx", "model.onnx"],
    ["MLmodel", "%4d%4cmodel"],
    ["100%", "100%25"],
    ["a:b*c?", "a%3ab%2ac%3f"],
    ["~", "%7e"],
    ["été", "été"],
    ["É", "%c3%89"],
    ["e\u0301", "e%cc%81"],
    ["nul", "%6eul"],
    ["com1.txt", "%63om1.txt"],
    ["com12.txt", "com12.txt"],
    ["dot.", "dot%2e"],
    ["space ", "space%20"],
    ["...", "..%2e"],
  ])("of %j is %s", (segment, name) => {
    expect(fileName(segment)).toBe(name);
    expect(segmentOf(name, false)).toBe(segment);
  });

  it("bears a mark for a directory, so that a blob can have the same key", () => {
    expect(directoryName("a")).toBe("a~");
    expect(segmentOf("a~", true)).toBe("a/");
  });

  it.each([
    ["a~", false],
    ["a", true],
    ["%zz", false],
    ["%ff", false],
    ["%2e", false],
    [".%2e", true],
    ["~", true],
    ["a%2fb", false],
    ["Model", false],
    [".DS_Store", false],
  ])("is not %s of a file or directory that Ketline did not write", (name, isDirectory) => {
    expect(segmentOf(name, isDirectory)).toBeNull();
  });

  it("differs without regard to case and Unicode form whenever the segments differ", () => {
    const letters = ["a", "A", "é", "É", "e\u0301", "%", "~", ".", " ", "ß", "İ", "ı", "K"];
    const segments = letters.flatMap((one) => letters.map((two) => one + two));
    const names = new Set(segments.map((segment) => fileName(segment).toLowerCase().normalize("NFC")));
    expect(names.size).toBe(segments.length);
  });
});
