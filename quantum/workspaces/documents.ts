import { z } from "zod";
import type { BlobLinks } from "../../shared/blobs/index.ts";
import { resultFormats } from "../results/results.ts";
import type { ItemRow } from "./store.ts";
import { localProvider, localTargets } from "./targets.ts";

/** Which workspace: the local server answers to any name, and keeps what each was given apart. */
export interface Scope {
  readonly subscription: string;
  readonly group: string;
  readonly name: string;
}

/** The workspace of jobs that are submitted through Ketline's own API. */
export const homeScope: Scope = {
  subscription: "00000000-0000-0000-0000-000000000000",
  group: "ketline",
  name: "local",
};

export function scopeKey({ subscription, group, name }: Scope): string {
  return [subscription, group, name].join("/").toLowerCase();
}

/** Containers of a workspace's storage are prefixes of the blob store. */
export function containerPrefix(workspace: string, container: string): string {
  return `quantum-workspaces/${workspace}/${container}`;
}

const JobDocument = z.object({
  container: z.string(),
  inputKey: z.string(),
  inputDataFormat: z.string(),
  inputParams: z.record(z.string(), z.unknown()),
  outputDataFormat: z.enum(resultFormats),
  metadata: z.record(z.string(), z.unknown()),
  priority: z.string(),
  tags: z.array(z.string()),
  createdBy: z.string(),
  beginMs: z.number().nullable(),
  endMs: z.number().nullable(),
  cancelMs: z.number().nullable(),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
  usage: z.record(z.string(), z.unknown()),
});
/** What a job's row keeps beside its columns. */
export type JobDocument = z.infer<typeof JobDocument>;

const SessionDocument = z.object({
  jobFailurePolicy: z.enum(["Abort", "Continue"]),
  priority: z.string(),
  tags: z.array(z.string()),
  createdBy: z.string(),
  beginMs: z.number().nullable(),
  endMs: z.number().nullable(),
  failedJobs: z.number(),
});
export type SessionDocument = z.infer<typeof SessionDocument>;

export function jobDocument(row: ItemRow): JobDocument {
  return JobDocument.parse(JSON.parse(row.document));
}

export function sessionDocument(row: ItemRow): SessionDocument {
  return SessionDocument.parse(JSON.parse(row.document));
}

export function outputKey(row: ItemRow): string {
  return `${containerPrefix(row.workspace, jobDocument(row).container)}/outputData`;
}

export interface AnswerContext {
  readonly baseUrl: string;
  readonly links: BlobLinks;
  /** Whether the caller may write: only then do links to containers allow it. */
  readonly writable: boolean;
}

/** Clients fetch results with the link of the answer only while it has five minutes left. */
const linkMs = 24 * 3600_000;

/** A job or session as the data plane answers it. */
export function itemAnswer(row: ItemRow, context: AnswerContext): Readonly<Record<string, unknown>> {
  return row.item_type === "Job" ? jobAnswer(row, context) : sessionAnswer(row);
}

function jobAnswer(row: ItemRow, context: AnswerContext) {
  const { baseUrl, links } = context;
  const document = jobDocument(row);
  const signed = (key: string) => links.blobUrl(key, { method: "GET", expiresInMs: linkMs, baseUrl });
  return {
    ...itemBase(row, document),
    jobType: row.job_type,
    sessionId: row.session_id,
    containerUri: containerAnswer(
      document.container,
      containerLink(row.workspace, document.container, context),
    ),
    inputDataUri: signed(document.inputKey),
    inputDataFormat: document.inputDataFormat,
    inputParams: document.inputParams,
    outputDataUri: signed(outputKey(row)),
    outputDataFormat: document.outputDataFormat,
    metadata: document.metadata,
    status: row.state,
    cancellationTime: isoTime(document.cancelMs),
    quantumComputingData: { count: 1 },
    errorData: document.error,
    usage: document.usage,
  };
}

function sessionAnswer(row: ItemRow) {
  const document = sessionDocument(row);
  return {
    ...itemBase(row, document),
    jobFailurePolicy: document.jobFailurePolicy,
    status: row.state,
  };
}

type SharedDocument = Pick<
  JobDocument & SessionDocument,
  "priority" | "tags" | "createdBy" | "beginMs" | "endMs"
>;

function itemBase(row: ItemRow, document: SharedDocument) {
  return {
    id: row.id,
    name: row.name,
    itemType: row.item_type,
    providerId: row.provider_id,
    target: row.target,
    priority: document.priority,
    tags: document.tags,
    creationTime: isoTime(row.created_ms),
    createdBy: document.createdBy,
    beginExecutionTime: isoTime(document.beginMs),
    endExecutionTime: isoTime(document.endMs),
    lastModifiedTime: isoTime(row.modified_ms),
    lastUpdatedTime: isoTime(row.modified_ms),
    costEstimate: { currencyCode: "USD", estimatedTotal: 0, events: [] },
  };
}

/** A link with which a client reads and lists one container, and writes to it where the caller may. */
export function containerLink(
  workspace: string,
  container: string,
  { baseUrl, links, writable }: AnswerContext,
): string {
  return links.containerUrl(containerPrefix(workspace, container), {
    permissions: writable ? ["r", "a", "c", "w", "l"] : ["r", "l"],
    expiresInMs: linkMs,
    baseUrl,
  });
}

/**
 * The stock Python client takes the first segment of a job's container address for the container's name, which holds
 * where storage accounts have hosts of their own. The detour through `..` gives it the name there; whoever sends a
 * request resolves it away first (RFC 3986, section 5.2.4).
 */
function containerAnswer(container: string, link: string): string {
  const url = new URL(link);
  return `${url.origin}/${encodeURIComponent(container)}/..${url.pathname}${url.search}`;
}

export function providersAnswer() {
  return {
    value: [
      {
        id: localProvider,
        currentAvailability: "Available",
        targets: localTargets.map((target) => ({
          id: target.id,
          currentAvailability: target.availability,
          averageQueueTime: target.averageQueueTimeSeconds,
          statusPage: null,
          targetProfile: target.profile,
          metadata: {
            description: target.description,
            ...(target.noise === null ? {} : { noise: target.noise }),
          },
        })),
      },
    ],
    nextLink: null,
  };
}

function isoTime(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}
