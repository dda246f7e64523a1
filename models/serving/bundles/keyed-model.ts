import type { RunOptions, RunResult, ServedModel } from "../runtime/served-model.ts";
import type { Bundles, SubModel } from "./bundle-index.ts";
import { assemble, describeByKey, groupByKey, rowsFor } from "./by-key.ts";

/** Models of one request that are asked at a time. */
const maxAtOnce = 8;
/** What an entry of the index holds: its key, its numbers, and its places in tables. */
const bytesPerModel = 500;

export interface KeyedModelParts {
  readonly key: string;
  readonly bundles: Bundles;
  /** The version's own model, which answers for keys that have none. */
  readonly fallback: ServedModel["description"];
  /** Has `use` work with a model of the version, undefined for its own, which is loaded when it is not. */
  withModel<Result>(
    model: SubModel | undefined,
    timeoutMs: number,
    use: (model: ServedModel) => Promise<Result>,
  ): Promise<Result>;
  release(): void;
}

/** A version of many models as one: each row is answered by the model of its key. */
export function openKeyedModel(parts: KeyedModelParts): ServedModel {
  const { bundles, fallback } = parts;
  const description = describeByKey(fallback, bundles);
  const names = fallback.signature.inputs.map(({ name }) => name);
  return {
    key: parts.key,
    description,
    estimatedBytes: bundles.count * bytesPerModel,
    place: "host",
    async run(inputs, outputs, options): Promise<RunResult> {
      const deadline = performance.now() + options.timeoutMs;
      const groups = groupByKey(inputs, bundles);
      const rows = groups.reduce((sum, group) => sum + group.rows.length, 0);
      const answers: { rows: readonly number[]; outputs: RunResult["outputs"] }[] = [];
      let [runMs, executions] = [0, 0];
      const queue = groups.values();
      const work = async () => {
        for (const group of queue) {
          const timeoutMs = Math.max(1, deadline - performance.now());
          const limits: RunOptions = { ...options, timeoutMs };
          const result = await parts.withModel(group.model, timeoutMs, (model) =>
            model.run(rowsFor(inputs, names, group.rows), outputs, limits),
          );
          runMs += result.runMs;
          executions += result.executions;
          answers.push({ rows: group.rows, outputs: result.outputs });
        }
      };
      await Promise.all(Array.from({ length: Math.min(maxAtOnce, groups.length) }, work));
      return { outputs: assemble(rows, outputs, answers), runMs, executions };
    },
    async release() {
      parts.release();
    },
  };
}
