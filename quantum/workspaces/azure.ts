import { z } from "zod";
import { conflict, invalid } from "../../shared/errors.ts";
import { profiles } from "../simulator/tasks.ts";
import type { AzureClient } from "./azure-client.ts";
import { apiVersion, JobAnswer, JobList, ProviderList, SasUri } from "./wire.ts";
import {
  hasEnded,
  hasSucceeded,
  type JobListFilter,
  jobStatusOf,
  type QuantumWorkspace,
  type WorkspaceJob,
  type WorkspaceTarget,
} from "./workspace.ts";

export interface AzureWorkspaceOptions {
  /** `/subscriptions/…/resourceGroups/…/providers/Microsoft.Quantum/workspaces/…` */
  readonly resourceId: string;
  readonly client: AzureClient;
  /** The data plane's address, asked for once at first use. */
  readonly endpoint: (signal: AbortSignal) => Promise<string>;
  /** Waits between polls. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}

const firstPollMs = 500;
const maxPollMs = 15_000;

/** A workspace of Azure Quantum over its data plane. */
export function azureQuantumWorkspace(options: AzureWorkspaceOptions): QuantumWorkspace {
  const { resourceId, client, sleep } = options;
  let endpoint: Promise<string> | undefined;

  async function url(
    path: string,
    signal: AbortSignal,
    query: Readonly<Record<string, string>> = {},
  ): Promise<string> {
    endpoint ??= options.endpoint(signal).catch((error: unknown) => {
      endpoint = undefined; // the next call asks again
      throw error;
    });
    const search = new URLSearchParams({ "api-version": apiVersion, ...query });
    return `${(await endpoint).replace(/\/$/, "")}${resourceId}/${path}?${search}`;
  }

  async function sasUri(
    containerName: string,
    blobName: string | undefined,
    signal: AbortSignal,
  ): Promise<string> {
    const json = { containerName, ...(blobName === undefined ? {} : { blobName }) };
    const target = await url("storage/sasUri", signal);
    return (await client({ method: "POST", url: target, json, answer: SasUri, signal })).sasUri;
  }

  async function read(id: string, signal: AbortSignal): Promise<JobAnswer> {
    const path = `jobs/${encodeURIComponent(id)}`;
    return client({ method: "GET", url: await url(path, signal), answer: JobAnswer, signal });
  }

  return {
    kind: "azure",
    name: resourceId,

    async targets(signal) {
      const { value } = await client({
        method: "GET",
        url: await url("providerStatus", signal),
        answer: ProviderList,
        signal,
      });
      return value.flatMap((provider) => provider.targets.map((target) => targetOf(provider.id, target)));
    },

    async submit(job, signal) {
      const container = `job-${job.id}`;
      const containerUri = await sasUri(container, undefined, signal);
      const inputUri = withBlob(containerUri, "inputData");
      await client({
        method: "PUT",
        url: inputUri,
        bytes: new TextEncoder().encode(job.input.text),
        headers: { "x-ms-blob-type": "BlockBlob", "content-type": job.input.contentType },
        authenticated: false,
        signal,
      });
      const body = {
        name: job.name,
        itemType: "Job",
        jobType: "QuantumComputing",
        providerId: job.providerId,
        target: job.target,
        containerUri,
        inputDataUri: inputUri.split("?")[0],
        inputDataFormat: job.input.format,
        inputParams: job.inputParams,
        outputDataFormat: job.outputFormat,
        metadata: job.metadata,
        tags: job.tags,
      };
      const path = `jobs/${encodeURIComponent(job.id)}`;
      const request = { method: "PUT", url: await url(path, signal), json: body } as const;
      return jobOf(await client({ ...request, answer: JobAnswer, signal }));
    },

    job: async (id, signal) => jobOf(await read(id, signal)),

    async jobs(filter, signal) {
      const text = filterText(filter);
      const query = { orderby: "CreationTime desc", top: "100", ...(text === "" ? {} : { filter: text }) };
      const request = { method: "GET", url: await url("jobs", signal, query) } as const;
      return (await client({ ...request, answer: JobList, signal })).value.map(jobOf);
    },

    async cancel(id, signal) {
      const path = `jobs/${encodeURIComponent(id)}:cancel`;
      await client({ method: "POST", url: await url(path, signal), signal });
      return jobOf(await read(id, signal));
    },

    async follow(id, { signal, forMs, onStatus }) {
      const untilMs = performance.now() + forMs;
      let waitMs = firstPollMs;
      let seen: string | undefined;
      for (;;) {
        const job = jobOf(await read(id, signal));
        if (job.status !== seen) await onStatus?.(job);
        seen = job.status;
        const leftMs = untilMs - performance.now();
        if (hasEnded(job.status) || leftMs <= 0) return job;
        await sleep(Math.min(waitMs, leftMs), signal);
        waitMs = Math.min(waitMs * 1.5, maxPollMs);
      }
    },

    async results(id, signal) {
      const job = await read(id, signal);
      const status = jobStatusOf(job.status ?? "");
      if (!hasSucceeded(status)) throw conflict(`The job ${id} is ${status}; it has no results.`);
      // The link in the answer may have expired, and may lack its signature: a fresh one is always good.
      const output = await sasUri(`job-${id}`, "outputData", signal);
      const document = await client({
        method: "GET",
        url: output,
        answer: z.unknown(),
        authenticated: false,
        signal,
      });
      return { format: job.outputDataFormat ?? "", document };
    },
  };
}

/** The address of a blob under the link of its container. */
function withBlob(containerUri: string, blob: string): string {
  const url = new URL(containerUri);
  return `${url.origin}${url.pathname}/${blob}${url.search}`;
}

/**
 * Asks Azure Resource Manager for the address of a workspace's data plane.
 *
 * @throws invalid when the workspace has none
 */
export async function discoverEndpoint(
  resourceId: string,
  client: AzureClient,
  signal: AbortSignal,
  resourceManager = "https://management.azure.com",
): Promise<string> {
  const Workspace = z.looseObject({ properties: z.looseObject({ endpointUri: z.string().nullish() }) });
  const { properties } = await client({
    method: "GET",
    url: `${resourceManager}${resourceId}?api-version=2025-12-15-preview`,
    answer: Workspace,
    signal,
  });
  if (properties.endpointUri == null) throw invalid(`The workspace ${resourceId} has no endpointUri.`);
  return properties.endpointUri;
}

function targetOf(
  providerId: string,
  target: z.infer<typeof ProviderList>["value"][number]["targets"][number],
): WorkspaceTarget {
  const { id, currentAvailability, averageQueueTime, numQubits, targetProfile, statusPage, metadata } =
    target;
  const notes = z
    .looseObject({ description: z.string().optional(), noise: z.unknown().optional() })
    .safeParse(metadata);
  return {
    id,
    providerId,
    availability:
      currentAvailability === "Available" || currentAvailability === "Degraded"
        ? currentAvailability
        : "Unavailable",
    averageQueueTimeSeconds: averageQueueTime ?? 0,
    qubits: numQubits ?? null,
    profile: profileOf(id, targetProfile ?? undefined),
    noisy: notes.data?.noise !== undefined || /\.qpu[.-]|\.sim\..*e$|noisy/.test(id),
    description: notes.data?.description ?? null,
    statusPage: statusPage ?? null,
  };
}

/** Services write profiles as `Base`, `Adaptive_RI` or `adaptive-ri`, or not at all: then providers are known by name. */
function profileOf(target: string, said: string | undefined): WorkspaceTarget["profile"] {
  const words = said?.toLowerCase().replaceAll("-", "_");
  const known = profiles.find((profile) => profile === words);
  if (known !== undefined) return known;
  if (/^(ionq|rigetti)\./.test(target)) return "base";
  if (/^quantinuum\..*helios/.test(target)) return "adaptive_rif";
  return target.startsWith("quantinuum.") ? "adaptive_ri" : null;
}

function jobOf(answer: JobAnswer): WorkspaceJob {
  const { errorData: error, costEstimate: cost } = answer;
  return {
    id: answer.id,
    name: answer.name ?? "",
    target: answer.target,
    status: jobStatusOf(answer.status ?? "Waiting"),
    createdMs: timeOf(answer.creationTime),
    startedMs: timeOf(answer.beginExecutionTime),
    endedMs: timeOf(answer.endExecutionTime),
    error: error == null ? null : { code: error.code ?? "", message: error.message ?? "" },
    cost:
      cost?.estimatedTotal == null
        ? null
        : { amount: cost.estimatedTotal, currency: cost.currencyCode ?? "USD" },
    usage: answer.usage ?? {},
  };
}

function timeOf(text: string | null | undefined): number | null {
  const ms = text == null ? Number.NaN : Date.parse(text);
  return Number.isNaN(ms) ? null : ms;
}

function filterText({ namePrefix, statuses, target }: JobListFilter): string {
  const quoted = (text: string) => `'${text.replaceAll("'", "''")}'`;
  return [
    ...(namePrefix === undefined ? [] : [`startswith(Name, ${quoted(namePrefix)})`]),
    ...(target === undefined ? [] : [`Target eq ${quoted(target)}`]),
    ...(statuses === undefined ? [] : [`(${statuses.map((one) => `State eq ${quoted(one)}`).join(" or ")})`]),
  ].join(" and ");
}
