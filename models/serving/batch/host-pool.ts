import { unavailable } from "../../../shared/errors.ts";
import type { Logger } from "../../../shared/telemetry/index.ts";
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

    const load = async (host: Host): Promise<ModelDescription> => {
      const inspection = {
        maxFileBytes: limits.maxModelBytes,
        maxNodes: limits.maxNodes,
        maxInlineBytes: 0,
      };
      const request = {
        kind: "load",
        key,
        directory: folder,
        limits: inspection,
        onlyKnownCost: false,
      } as const;
      const times = { timeoutMs: 2 * limits.loadTimeoutMs, budgetMs: limits.loadTimeoutMs };
      const answer = await hosts.ask(host, request, times);
      if (answer.kind === "loaded") return answer.description;
      throw unavailable("The model's process did not load it.");
    };
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
      return await work({
        description,
        async run(inputs) {
          const host = hosts.choose();
          for (let attempt = 0; attempt < 3; attempt++) {
            await loaded(host);
            const request = { kind: "run", key, inputs, outputs } as const;
            const answer = await hosts.ask(host, request, { timeoutMs: runTimeoutMs, budgetMs: runBudgetMs });
            if (answer.kind === "ran") return answer.outputs;
            loads.delete(host);
          }
          throw unavailable("The model's process was replaced again and again.");
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
