import { describe, expect, it } from "vitest";
import { BoundedMap } from "../../../../models/serving/runtime/bounded-map.ts";

describe("a bounded map", () => {
  it("lets go of what was set longest ago", () => {
    const map = new BoundedMap<string, number>(2);
    map.set("a", 1);
    map.set("b", 2);
    map.set("a", 3);
    map.set("c", 4);
    expect([map.get("a"), map.get("b"), map.get("c")]).toEqual([3, undefined, 4]);
  });

  it("has room again after a deletion", () => {
    const map = new BoundedMap<string, number>(2);
    map.set("a", 1);
    map.set("b", 2);
    map.delete("a");
    map.set("c", 3);
    expect([map.get("b"), map.get("c")]).toEqual([2, 3]);
    map.clear();
    expect(map.get("b")).toBeUndefined();
  });
});
