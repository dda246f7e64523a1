import { invalid } from "../../../shared/errors.ts";
import { hashText } from "../../../shared/statistics/index.ts";
import type { DeploymentSpec, Shadow, Sticky, Variant } from "../schemas.ts";

/** What of a request may decide where it goes. */
export interface RoutingHints {
  /** The header `ketline-variant` or `x-ketline-variant`: a variant by name. */
  readonly forcedVariant: string | undefined;
  header(name: string): string | undefined;
  cookie(name: string): string | undefined;
  field(name: string): string | undefined;
}

export interface Routing {
  readonly variant: Variant;
  readonly shadows: readonly Shadow[];
}

/**
 * Decides who answers a request and who gets a copy. Pure: the same deployment, hints and draws give the same answer.
 *
 * @param draw gives numbers from 0 to below 1; asked once for a request without a sticky key, and once per shadow
 * @throws invalid when a variant is forced that the deployment does not have
 */
export function routeRequest(
  deployment: { readonly name: string } & DeploymentSpec,
  hints: RoutingHints,
  draw: () => number,
): Routing {
  const variant = chooseVariant(deployment, hints, draw);
  const shadows = deployment.shadows.filter(({ fraction }) => fraction > 0 && draw() < fraction);
  return { variant, shadows };
}

function chooseVariant(
  { name, variants, shadows, sticky }: { readonly name: string } & DeploymentSpec,
  hints: RoutingHints,
  draw: () => number,
): Variant {
  const forced = hints.forcedVariant;
  if (forced !== undefined) {
    const found = variants.find((variant) => variant.name === forced);
    if (found !== undefined) return found;
    const shadow = shadows.find((candidate) => candidate.name === forced);
    if (shadow !== undefined) {
      const { fraction: _, ...target } = shadow;
      return { ...target, weight: 0 };
    }
    const names = variants.map((variant) => `"${variant.name}"`).join(", ");
    throw invalid(`Deployment "${name}" has no variant "${forced}"; it has ${names}.`, {
      field: "ketline-variant",
    });
  }
  const key = stickyKey(sticky, hints);
  return atPoint(variants, key === undefined ? draw() : pointOf(name, key));
}

function stickyKey(sticky: Sticky | null, hints: RoutingHints): string | undefined {
  switch (sticky?.by) {
    case "header":
      return hints.header(sticky.name);
    case "cookie":
      return hints.cookie(sticky.name);
    case "field":
      return hints.field(sticky.name);
    case undefined:
      return undefined;
  }
}

const seed = 0x6b65746c;

/**
 * Where a key stands between 0 and 1 for a deployment. It depends on nothing else: while the weights stay, a key stays;
 * when one variant grows at its neighbour's cost, only the keys that it gains move.
 */
export function pointOf(deployment: string, key: string): number {
  return hashText(`${deployment}\u0000${key}`, seed) / 2 ** 32;
}

/** @param point from 0 to below 1 */
function atPoint(variants: readonly Variant[], point: number): Variant {
  let total = 0;
  for (const { weight } of variants) total += weight;
  let left = point * total;
  let last: Variant | undefined;
  for (const variant of variants) {
    if (variant.weight === 0) continue;
    last = variant;
    left -= variant.weight;
    if (left < 0) return variant;
  }
  if (last === undefined) throw new RangeError("A deployment has at least one variant with a weight.");
  return last;
}
