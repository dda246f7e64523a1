import { createHash } from "node:crypto";
import type { BlobStore } from "../../../shared/blobs/index.ts";
import type { Registry } from "../../registry/index.ts";
import { type BundledModel, type BundleIndex, bundleFolder, indexFile } from "./bundle-index.ts";
import type { KeysTask } from "./keys.worker.ts";
import type { Plan } from "./plan.ts";

/** A version of many models that can be asked key by key. */
export interface ChampionModels {
  modelsFor(keys: readonly { key: number; values: readonly string[] }[]): Promise<KeysTask["champions"]>;
  readonly fallback: Uint8Array;
}

const maxFileBytes = 256 * 1024 ** 2;

/** @returns in words why the version cannot be compared with */
export async function openChampion(
  { blobs, registry }: { blobs: BlobStore; registry: Pick<Registry, "artifactPrefix" | "manifest"> },
  name: string,
  { champion, recipe, keyColumns }: Pick<Plan, "champion" | "recipe" | "keyColumns">,
): Promise<ChampionModels | string> {
  if (champion === null) return "there was none when the keys were trained";
  const prefix = await registry.artifactPrefix(name, champion);
  const manifest = await registry.manifest(name, champion);
  const read = async (path: string): Promise<Uint8Array | null> => {
    const content = await blobs.get(`${prefix}/${path}`);
    if (content === null || content.stat.sizeBytes > maxFileBytes) {
      await content?.stream.cancel();
      return null;
    }
    const bytes = new Uint8Array(await new Response(content.stream).arrayBuffer());
    const registered = manifest?.find((file) => file.path === path);
    const isSame = createHash("sha256").update(bytes).digest("hex") === registered?.sha256;
    return manifest === null || isSame ? bytes : null;
  };
  const [index, fallback] = [await read(indexFile), await read("model.onnx")];
  if (index === null) return "it is one model for all keys";
  if (fallback === null) return "its model.onnx is gone, or not what was registered";
  const known = JSON.parse(new TextDecoder().decode(index)) as BundleIndex;
  if (JSON.stringify(known.recipe) !== JSON.stringify(recipe))
    return "it predicts something else, or from other columns";
  if (JSON.stringify(known.keyColumns) !== JSON.stringify(keyColumns))
    return "its models are told apart by other columns";
  const byKey = new Map<string, BundledModel>(known.models.map((model) => [JSON.stringify(model[0]), model]));
  return {
    fallback,
    async modelsFor(keys) {
      const found = new Map<number, { compressed: Uint8Array; sha256: string }>();
      for (const { key, values } of keys) {
        const model = lookUp(byKey, values);
        if (model === undefined) continue;
        const [, bundle, offset, length, , sha256] = model;
        const content = await blobs.get(`${prefix}/${bundleFolder}/${known.bundles[bundle]}`, {
          offset,
          length,
        });
        if (content === null) continue;
        found.set(key, {
          compressed: new Uint8Array(await new Response(content.stream).arrayBuffer()),
          sha256,
        });
      }
      return found;
    },
  };
}

/** The model of the key, or of its nearest parent. */
function lookUp(
  byKey: ReadonlyMap<string, BundledModel>,
  values: readonly string[],
): BundledModel | undefined {
  for (let length = values.length; length > 0; length--) {
    const found = byKey.get(JSON.stringify(values.slice(0, length)));
    if (found !== undefined) return found;
  }
  return undefined;
}
