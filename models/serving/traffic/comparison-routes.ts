import { z } from "zod";
import { json, type Route, route } from "../../../shared/http/index.ts";
import type { Deployments } from "../deployments/deployments.ts";
import { Comparison, ComparisonQuery, DeploymentName } from "../schemas.ts";
import { compareVariants } from "./comparison.ts";
import type { Ledger } from "./ledger.ts";

export interface ComparisonRoutesOptions {
  readonly deployments: Deployments;
  readonly ledger: Pick<Ledger, "trafficOf">;
}

export function comparisonRoutes({ deployments, ledger }: ComparisonRoutesOptions): readonly Route[] {
  return [
    route({
      protocol: "ketline",
      method: "GET",
      path: "/api/v1/deployments/:name/comparison",
      role: "viewer",
      tag: "Deployments",
      summary: "Compare the variants of a revision on the traffic that they had",
      description:
        "Counts, errors, latencies and the distribution of predictions per variant, its difference from the variant " +
        "with the largest weight, and how far shadows agree with what the callers got. Of this instance up to now, of " +
        "others up to some seconds ago; counted by minutes, after some hours by hours, and kept for 32 days.",
      params: z.object({ name: DeploymentName }),
      query: ComparisonQuery,
      responses: { 200: { description: "The comparison", schema: Comparison } },
      handle: async ({ params, query }) => {
        const { name } = params;
        const revision = query.revision ?? (await deployments.getDeployment(name)).revision;
        const { spec } = await deployments.getRevision(name, revision);
        const traffic = await ledger.trafficOf(name, {
          fromMs: query.sinceMs,
          revisions: { from: revision, to: revision },
        });
        const baseline = spec.variants.reduce((best, variant) =>
          variant.weight > best.weight ? variant : best,
        );
        const variants = compareVariants(traffic, baseline.name);
        return json({ deployment: name, revision, baseline: baseline.name, variants });
      },
    }),
  ];
}
