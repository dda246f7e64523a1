import { readFileSync } from "node:fs";
import { z } from "zod";

const Resource = z.object({
  id: z.string(),
  type: z.string(),
  name: z.string(),
  kind: z.string().optional(),
  sku: z.record(z.string(), z.unknown()).optional(),
  scope: z.string().optional(),
  properties: z.record(z.string(), z.unknown()).default({}),
});
export type Resource = z.infer<typeof Resource>;

export const environments = ["classical", "quantum"] as const;
export const stages = ["dev", "prod"] as const;

/** The resources that a parameter file of `infra/` leads to, as the Bicep compiler predicted them. */
export function predictedResources(environment: string, stage: string): Resource[] {
  const file = new URL(`../../infra/${environment}/parameters/${stage}.snapshot.json`, import.meta.url);
  const snapshot = z
    .object({ predictedResources: z.array(Resource) })
    .parse(JSON.parse(readFileSync(file, "utf8")));
  return snapshot.predictedResources;
}

export function ofType(resources: readonly Resource[], type: string): Resource[] {
  return resources.filter((resource) => resource.type.toLowerCase() === type.toLowerCase());
}
