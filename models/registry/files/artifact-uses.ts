import type { ArtifactUses } from "../../tracking/index.ts";
import type { Registry } from "../registry.ts";

/**
 * The artifacts that registered model versions are made of, for those who clean up.
 *
 * @param registry asked when it is needed: tracking, which cleans up, is there before the registry
 */
export function artifactUsesOf(registry: () => Registry): ArtifactUses {
  return {
    revision: () => registry().revision(),
    async *all() {
      let cursor: string | undefined;
      do {
        const page = await registry().listModels({ limit: 500, ...(cursor === undefined ? {} : { cursor }) });
        for (const { name } of page.items) {
          for (const { runId, modelId, storageLocation } of await registry().listVersions(name)) {
            yield { runId, modelId, location: storageLocation };
          }
        }
        cursor = page.nextCursor;
      } while (cursor !== undefined);
    },
  };
}
