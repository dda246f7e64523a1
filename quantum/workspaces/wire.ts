import { z } from "zod";

// The shapes of the Azure Quantum data plane (api-version 2026-01-15-preview), as far as jobs need them. What is read
// from a service is parsed loosely: it may say more than is known here.

export const apiVersion = "2026-01-15-preview";

export const jobStatuses = [
  "Queued",
  "Waiting",
  "Executing",
  "CancellationRequested",
  "Cancelling",
  "Finishing",
  "Completed",
  "Succeeded",
  "Failed",
  "Cancelled",
] as const;
export type JobStatus = (typeof jobStatuses)[number];

const Tags = z.array(z.string().max(256)).max(100);
const Priority = z.enum(["Standard", "High"]);

/** The body of `PUT jobs/{id}`. */
export const JobBody = z.looseObject({
  name: z.string().max(500).nullish(),
  providerId: z.string().max(100).nullish(),
  target: z.string().min(1).max(200),
  jobType: z.enum(["Unknown", "QuantumComputing", "Optimization"]).nullish(),
  containerUri: z.string().min(1).max(4000),
  inputDataUri: z.string().max(4000).nullish(),
  inputDataFormat: z.string().max(200).nullish(),
  inputParams: z.record(z.string(), z.unknown()).nullish(),
  outputDataFormat: z.string().max(200).nullish(),
  metadata: z.record(z.string(), z.unknown()).nullish(),
  sessionId: z.string().max(100).nullish(),
  priority: Priority.nullish(),
  tags: Tags.nullish(),
});
export type JobBody = z.infer<typeof JobBody>;

/** The body of `PATCH jobs/{id}` and, in earlier versions, `PATCH jobUpdateOptions/{id}`. */
export const JobUpdate = z.looseObject({
  name: z.string().max(500).optional(),
  priority: Priority.optional(),
  tags: Tags.optional(),
});
export type JobUpdate = z.infer<typeof JobUpdate>;

/** The body of `PUT sessions/{id}`. */
export const SessionBody = z.looseObject({
  name: z.string().max(500).nullish(),
  providerId: z.string().max(100).nullish(),
  target: z.string().min(1).max(200),
  jobFailurePolicy: z.enum(["Abort", "Continue"]).nullish(),
  priority: Priority.nullish(),
  tags: Tags.nullish(),
});
export type SessionBody = z.infer<typeof SessionBody>;

/** The body of `POST storage/sasUri`. */
export const BlobBody = z.looseObject({
  containerName: z.string().min(1).max(100),
  blobName: z.string().min(1).max(600).nullish(),
});

export const SasUri = z.looseObject({ sasUri: z.string().min(1) });

const Cost = z.looseObject({
  currencyCode: z.string().nullish(),
  estimatedTotal: z.number().nullish(),
});

/** A job as a workspace answers it. */
export const JobAnswer = z.looseObject({
  id: z.string(),
  name: z.string().nullish(),
  providerId: z.string().nullish(),
  target: z.string(),
  status: z.string().nullish(),
  containerUri: z.string().nullish(),
  outputDataUri: z.string().nullish(),
  outputDataFormat: z.string().nullish(),
  inputParams: z.unknown().optional(),
  metadata: z.unknown().optional(),
  tags: z.array(z.string()).nullish(),
  creationTime: z.string().nullish(),
  beginExecutionTime: z.string().nullish(),
  endExecutionTime: z.string().nullish(),
  costEstimate: Cost.nullish(),
  usage: z.record(z.string(), z.unknown()).nullish(),
  errorData: z.looseObject({ code: z.string().nullish(), message: z.string().nullish() }).nullish(),
});
export type JobAnswer = z.infer<typeof JobAnswer>;

export const JobList = z.looseObject({ value: z.array(JobAnswer), nextLink: z.string().nullish() });

export const ProviderList = z.looseObject({
  value: z.array(
    z.looseObject({
      id: z.string(),
      currentAvailability: z.string().nullish(),
      targets: z.array(
        z.looseObject({
          id: z.string(),
          currentAvailability: z.string().nullish(),
          averageQueueTime: z.number().nullish(),
          statusPage: z.string().nullish(),
          numQubits: z.number().nullish(),
          targetProfile: z.string().nullish(),
          metadata: z.unknown().optional(),
        }),
      ),
    }),
  ),
  nextLink: z.string().nullish(),
});

/** A session as a workspace answers it. */
export const SessionAnswer = z.looseObject({
  id: z.string(),
  itemType: z.string().nullish(),
  target: z.string(),
  status: z.string().nullish(),
  jobFailurePolicy: z.string().nullish(),
});
