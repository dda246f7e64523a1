import { describe, expect, it } from "vitest";
import { parseFilter, parseOrder } from "../../../quantum/workspaces/filters.ts";

describe("filters of the data plane", () => {
  it("are read as the Python client writes them", () => {
    const text =
      "startswith(Name, 'bell') and (State eq 'Failed' or State eq 'Cancelled') and CreationTime ge 2026-01-05 and CreationTime le 2026-01-06";
    expect(parseFilter(text)).toEqual({
      kind: "and",
      all: [
        { kind: "startswith", column: "name", text: "bell" },
        {
          kind: "or",
          all: [
            { kind: "equals", column: "state", text: "Failed" },
            { kind: "equals", column: "state", text: "Cancelled" },
          ],
        },
        { kind: "created", atLeastMs: Date.UTC(2026, 0, 5) },
        { kind: "created", belowMs: Date.UTC(2026, 0, 7) },
      ],
    });
  });

  it("bind and closer than or, and know quotes within text", () => {
    expect(parseFilter("Name eq 'it''s' or Target eq 'a' and JobType eq 'b'")).toEqual({
      kind: "or",
      all: [
        { kind: "equals", column: "name", text: "it's" },
        {
          kind: "and",
          all: [
            { kind: "equals", column: "target", text: "a" },
            { kind: "equals", column: "job_type", text: "b" },
          ],
        },
      ],
    });
  });

  it.each([
    ["Name eq", "position 8"],
    ["Nam eq 'x'", "position 1"],
    ["Name ne 'x'", "position 6"],
    ["(Name eq 'x'", "position 13"],
    ["Name eq 'x' Name", "position 13"],
    ["Name eq 'x", "position 9"],
    ["CreationTime ge yesterday", "position 17"],
    ["Name eq 'x'; drop table", "position 12"],
    ["constructor eq 'x'", "position 1"],
  ])("%s is refused at its place", (text, place) => {
    expect(() => parseFilter(text)).toThrow(place);
  });

  it("order by a property in either direction", () => {
    expect(parseOrder("CreationTime desc")).toEqual({ column: "created_ms", descending: true });
    expect(parseOrder("Name")).toEqual({ column: "name", descending: false });
    expect(() => parseOrder("Size asc")).toThrow("Size");
  });
});
