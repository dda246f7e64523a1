import { z } from "zod";
import { parseServerUrl } from "../../clients/mlflow/index.ts";
import { pageOf, pageQuery } from "../../shared/http/index.ts";
import { JobSchema } from "../../shared/jobs/index.ts";

export const Credentials = z.union([
  z.strictObject({ token: z.string().min(1).max(20_000).describe("Sent as a bearer token") }),
  z.strictObject({ username: z.string().min(1).max(1000), password: z.string().max(20_000) }),
]);

const serverUrl = z
  .string()
  .max(2000)
  .refine(
    (url) => {
      try {
        parseServerUrl(url);
        return true;
      } catch {
        return false;
      }
    },
    { error: "must be http://…, https://… or azureml://…, without credentials, query or fragment" },
  )
  .describe("Where the other server's API begins: `https://mlflow.example.org`, or Azure ML's `azureml://…`");

const selection = (what: string) =>
  z
    .union([z.literal("all"), z.array(z.string().min(1).max(500)).max(10_000)])
    .default("all")
    .describe(what);

const request = {
  direction: z
    .enum(["import", "export"])
    .describe("`import`: from the other server into this one; `export`: from this one to the other"),
  experiments: selection("Their names or ids on the source; an empty list for none"),
  registeredModels: selection("Their names on the source; an empty list for none"),
  artifacts: z.boolean().default(true).describe("Whether files are copied too"),
  includeDeleted: z
    .boolean()
    .default(true)
    .describe("Whether deleted experiments and runs are copied, as deleted"),
  onConflict: z
    .enum(["merge", "rename", "fail"])
    .default("fail")
    .describe(
      "What happens when the target has an experiment or model of the same name that no earlier transfer made: `merge` " +
        "copies into it, `rename` makes another with a number appended, `fail` ends the job before anything is copied. " +
        "The experiment Default is always merged.",
    ),
  concurrency: z.int().min(1).max(16).default(4).describe("Runs that are copied at the same time"),
};

const Server = z.strictObject({ url: serverUrl });

/** The request without its credentials, as it is stored and shown. */
export const TransferRequest = z.strictObject({ ...request, server: Server });
export type TransferRequest = z.infer<typeof TransferRequest>;

export const NewTransfer = z.strictObject({
  ...request,
  server: z.union([
    Server,
    z.strictObject({ url: serverUrl, token: z.string().min(1).max(20_000) }),
    z.strictObject({
      url: serverUrl,
      username: z.string().min(1).max(1000),
      password: z.string().max(20_000),
    }),
  ]),
});
export type NewTransfer = z.infer<typeof NewTransfer>;

const Count = z.object({
  copied: z.int().describe("New on the target, or brought up to date there"),
  unchanged: z.int().describe("Copied by an earlier transfer, and not changed since"),
  skipped: z.int(),
});

export const ReportSchema = z
  .object({
    experiments: Count,
    runs: Count,
    loggedModels: Count,
    artifacts: Count,
    registeredModels: Count,
    versions: Count,
    aliases: Count,
    artifactBytes: z.int().describe("Copied by this attempt"),
    renamed: z
      .array(z.object({ kind: z.string(), from: z.string(), to: z.string() }))
      .describe("Names and version numbers that are others on the target"),
    skipped: z
      .array(z.object({ kind: z.string(), id: z.string(), reason: z.string() }))
      .describe("What was left out and why; the first 500"),
  })
  .meta({ title: "TransferReport" });
export type TransferReport = z.infer<typeof ReportSchema>;

export const TransferSchema = z
  .object({
    id: z.string(),
    request: TransferRequest,
    job: JobSchema.describe("Its progress, its end, and its error"),
    report: ReportSchema.nullable().describe("What the last attempt did; null before one has ended"),
    createdBy: z.string(),
    createdMs: z.int(),
  })
  .meta({ title: "Transfer" });
export type Transfer = z.infer<typeof TransferSchema>;

export const TransferPage = pageOf(TransferSchema);
export const TransferParams = z.object({ id: z.string().min(1).max(100) });
export const TransfersQuery = z.object(pageQuery);
export const TransferPositionSchema = z.object({ createdMs: z.int(), id: z.string() });
export const TransferJobSpec = z.strictObject({ transfer: z.string() });
