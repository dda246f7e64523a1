import { unavailable } from "../../../shared/errors.ts";
import type { Logger } from "../../../shared/telemetry/index.ts";
import type { SubModel } from "../bundles/bundle-index.ts";
import { assemble, describeByKey, groupByKey, rowsFor } from "../bundles/by-key.ts";
import { createHosts, type Host } from "../hosts/hosts.ts";
import type { ModelDescription } from "../repository/model.ts";
import type { ModelFiles } from "../repository/model-files.ts";
import type { RegisteredFile } from "../repository/model-source.ts";
import type { SessionLimits } from "../runtime/sessions.ts";
import type { Tensors } from "../tensors/tensors.ts";

/** One model version in processes of its own: what a batch does neither delays nor endangers live predictions. */
export interface HostPool {
  readonly description: ModelDescription;
  /** Runs on whichever process has least to do. @throws invalid when the model refuses the inputs; unavailable; timeout */
  run(inputs: Tensors): Promise<Tensors>;
}

export interface HostPoolOptions {
  readonly files: ModelFiles;
  /** Where the model's files lie in the blob store. */
  readonly prefix: string;
  /** What the files have to be; null where nobody took that down. */
  readonly registered: readonly RegisteredFile[] | null;
  /** The working directory of the processes. */
  readonly directory: string;
  readonly limits: Pick<SessionLimits, "hosts" | "maxBytes" | "maxModelBytes" | "maxNodes" | "loadTimeoutMs">;
  readonly logger: Pick<Logger, "error">;
  readonly signal: AbortSignal;
}

const runBudgetMs = 120_000;
const runTimeoutMs = 15 * 60_000;
const key = "batch";

/** Starts the processes for the time of `work` and ends them afterwards, also in the middle when the signal aborts. */
export function withHostPool<Result>(
  { files, prefix, registered, directory, limits, logger, signal }: HostPoolOptions,
  work: (hostPool: HostPool) => Promise<Result>,
): Promise<Result> {
  return files.withFolder(prefix, registered, async (folder) => {
    signal.throwIfAborted();
    const hosts = createHosts({
      count: limits.hosts,
      directory,
      memoryBytes: limits.maxBytes,
      isPatient: true,
      onLost: () => undefined,
      onStartFailure: (reason) => logger.error(reason),
    });
    const stop = () => void hosts.close();
    signal.addEventListener("abort", stop, { once: true });
    const loads = new Map<
      Host,
      { readonly generation: number; readonly loading: Promise<ModelDescription> }
    >();

    const bundles = await files.bundlesOf(prefix, registered);
    const times = { timeoutMs: 2 * limits.loadTimeoutMs, budgetMs: limits.loadTimeoutMs };
    const loadFrom = async (host: Host, name: string, from: string): Promise<ModelDescription> => {
      const inspection = {
        maxFileBytes: limits.maxModelBytes,
        maxNodes: limits.maxNodes,
        maxInlineBytes: 0,
      };
      const request = {
        kind: "load",
        key: name,
        directory: from,
        limits: inspection,
        onlyKnownCost: false,
      } as const;
      const answer = await hosts.ask(host, request, times);
      if (answer.kind === "loaded") return answer.description;
      throw unavailable("The model's process did not load it.");
    };
    const load = (host: Host) => loadFrom(host, key, folder);
    /** A process that was replaced has nothing loaded. */
    const loaded = (host: Host): Promise<ModelDescription> => {
      const known = loads.get(host);
      if (known !== undefined && known.generation === host.generation) return known.loading;
      const loading = load(host);
      // Asking is what starts the first process of a host, so its generation is read afterwards.
      loads.set(host, { generation: host.generation, loading });
      loading.catch(() => loads.delete(host));
      return loading;
    };
    try {
      const description = await loaded(hosts.choose());
      const outputs = description.signature.outputs.map(({ name }) => name);
      const runOwn = async (inputs: Tensors): Promise<Tensors> => {
        const host = hosts.choose();
        for (let attempt = 0; attempt < 3; attempt++) {
          await loaded(host);
          const request = { kind: "run", key, inputs, outputs } as const;
          const answer = await hosts.ask(host, request, { timeoutMs: runTimeoutMs, budgetMs: runBudgetMs });
          if (answer.kind === "ran") return answer.outputs;
          loads.delete(host);
        }
        throw unavailable("The model's process was replaced again and again.");
      };
      if (bundles === null) return await work({ description, run: runOwn });
      /** For these rows alone: a data set of many keys has few rows of each. */
      const runSub = (model: SubModel, inputs: Tensors): Promise<Tensors> =>
        files.withSubModel(prefix, model, async (from) => {
          const host = hosts.choose();
          const name = `${key}#${model.file}:${model.offset}:${sequence++}`;
          for (let attempt = 0; attempt < 3; attempt++) {
            await loadFrom(host, name, from);
            const request = { kind: "run", key: name, inputs, outputs } as const;
            const answer = await hosts.ask(host, request, { timeoutMs: runTimeoutMs, budgetMs: runBudgetMs });
            if (answer.kind !== "ran") continue;
            await hosts.ask(host, { kind: "unload", key: name }, times).catch(() => undefined);
            return answer.outputs;
          }
          throw unavailable("The model's process was replaced again and again.");
        });
      let sequence = 0;
      const names = description.signature.inputs.map(({ name }) => name);
      return await work({
        description: describeByKey(description, bundles),
        async run(inputs) {
          const groups = groupByKey(inputs, bundles);
          const answers: { rows: readonly number[]; outputs: Tensors }[] = [];
          for (const { model, rows } of groups) {
            const own = rowsFor(inputs, names, rows);
            answers.push({
              rows,
              outputs: model === undefined ? await runOwn(own) : await runSub(model, own),
            });
          }
          return assemble(
            groups.reduce((sum, { rows }) => sum + rows.length, 0),
            outputs,
            answers,
          );
        },
      });
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    } finally {
      signal.removeEventListener("abort", stop);
      await hosts.close();
    }
  });
}
