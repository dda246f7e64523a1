import { describe, expect, it } from "vitest";
import { pointOf, type RoutingHints, routeRequest } from "../../../../models/serving/deployments/routing.ts";
import type { DeploymentSpec, Shadow, Variant } from "../../../../models/serving/schemas.ts";

const variant = (name: string, weight: number): Variant => ({ name, model: "m", version: "1", weight });
const shadow = (name: string, fraction: number): Shadow => ({ name, model: "m", version: "1", fraction });
const deployment = (spec: Partial<DeploymentSpec>) => ({
  name: "d",
  variants: [variant("a", 100)],
  shadows: [],
  sticky: null,
  timeoutMs: 1000,
  batching: true,
  ...spec,
});
const hints = (given: Partial<RoutingHints> = {}): RoutingHints => ({
  forcedVariant: undefined,
  header: () => undefined,
  cookie: () => undefined,
  field: () => undefined,
  ...given,
});
const user = (key: string) => hints({ header: (name) => (name === "user" ? key : undefined) });
const sticky = { by: "header", name: "user" } as const;

describe("routing", () => {
  it.each([
    [0, "a"],
    [0.89999, "a"],
    [0.9, "b"],
    [0.99999, "b"],
  ])("sends the draw %d to the variant in whose share it lies", (draw, name) => {
    const spec = deployment({ variants: [variant("a", 90), variant("b", 10)] });
    expect(routeRequest(spec, hints(), () => draw).variant.name).toBe(name);
  });

  it("never sends anything to a variant without a weight, at either end", () => {
    const spec = deployment({ variants: [variant("none", 0), variant("all", 100), variant("nothing", 0)] });
    for (const draw of [0, 0.5, 1 - 2 ** -53]) {
      expect(routeRequest(spec, hints(), () => draw).variant.name).toBe("all");
    }
  });

  it("splits keys within the binomial interval of the weights", () => {
    const keys = 20_000;
    for (const weight of [1, 10, 50]) {
      const spec = deployment({ variants: [variant("a", 100 - weight), variant("b", weight)], sticky });
      let hits = 0;
      for (let i = 0; i < keys; i++) {
        if (routeRequest(spec, user(`user-${i}`), () => 0).variant.name === "b") hits++;
      }
      const p = weight / 100;
      // Five standard deviations: the keys are fixed, so it either always passes or never.
      expect(Math.abs(hits - keys * p)).toBeLessThan(5 * Math.sqrt(keys * p * (1 - p)));
    }
  });

  it("keeps a key where it is, whatever is drawn", () => {
    const spec = deployment({ variants: [variant("a", 50), variant("b", 50)], sticky });
    for (let i = 0; i < 100; i++) {
      const once = routeRequest(spec, user(`user-${i}`), () => 0).variant.name;
      expect(routeRequest(spec, user(`user-${i}`), () => 0.999).variant.name).toBe(once);
    }
  });

  it("moves only the keys that a growing variant gains", () => {
    const at = (weight: number, key: string) =>
      routeRequest(
        deployment({ variants: [variant("old", 100 - weight), variant("new", weight)], sticky }),
        user(key),
        () => 0,
      ).variant.name;
    for (let i = 0; i < 1000; i++) {
      if (at(10, `user-${i}`) === "new") expect(at(50, `user-${i}`)).toBe("new");
    }
  });

  it("spreads the same keys differently for another deployment", () => {
    const points = ["x", "y", "z"].map((key) => [pointOf("d1", key), pointOf("d2", key)]);
    for (const [a, b] of points) expect(a).not.toBe(b);
  });

  it("draws for a request without a key", () => {
    const spec = deployment({ variants: [variant("a", 50), variant("b", 50)], sticky });
    expect(routeRequest(spec, hints(), () => 0.7).variant.name).toBe("b");
  });

  it("copies to a shadow at its fraction, each on its own", () => {
    const spec = deployment({ shadows: [shadow("s", 0.3), shadow("t", 1), shadow("u", 0)] });
    const draws = [0.5, 0.29, 0.99];
    const { shadows } = routeRequest(spec, hints(), () => draws.shift() ?? 0);
    expect(shadows.map(({ name }) => name)).toEqual(["s", "t"]);
  });

  it("lets a shadow be asked by name", () => {
    const spec = deployment({ shadows: [shadow("next", 0)] });
    expect(routeRequest(spec, hints({ forcedVariant: "next" }), () => 0).variant).toMatchObject({
      name: "next",
      version: "1",
    });
  });
});
