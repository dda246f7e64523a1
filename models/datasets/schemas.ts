import { z } from "zod";
import { pageOf, pageQuery } from "../../shared/http/index.ts";
import { JobSchema } from "../../shared/jobs/index.ts";

export const DatasetName = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9._-]{0,99}$/,
    "use 1 to 100 of a-z, 0-9, '.', '_' and '-', not starting with a sign",
  )
  .describe("The name of the data set");

export const formats = ["parquet", "csv", "jsonl"] as const;
export type Format = (typeof formats)[number];
const FormatSchema = z.enum(formats).describe("What the file is; `jsonl` has one object a line");

export const columnKinds = ["numeric", "boolean", "text", "time", "other"] as const;
export type ColumnKind = (typeof columnKinds)[number];

const ColumnName = z.string().min(1).max(500);

/** What must hold for a version to be used. A version that fails one is `rejected`; training refuses it. */
export const Expectation = z.discriminatedUnion("kind", [
  z
    .strictObject({ kind: z.literal("column"), column: ColumnName, type: z.enum(columnKinds).optional() })
    .describe("The column is there, and of this kind"),
  z
    .strictObject({ kind: z.literal("nulls"), column: ColumnName, maxShare: z.number().min(0).max(1) })
    .describe("At most this share of the rows has no value; NaN counts as no value"),
  z
    .strictObject({
      kind: z.literal("range"),
      column: ColumnName,
      min: z.number().optional(),
      max: z.number().optional(),
    })
    .describe("Every number lies within, ends included"),
  z
    .strictObject({
      kind: z.literal("allowed"),
      column: ColumnName,
      values: z
        .array(z.union([z.string(), z.number(), z.boolean()]))
        .min(1)
        .max(10_000),
    })
    .describe("Every value is one of these"),
  z
    .strictObject({ kind: z.literal("unique"), columns: z.array(ColumnName).min(1).max(20) })
    .describe("No two rows have the same values here"),
  z
    .strictObject({
      kind: z.literal("rows"),
      min: z.int().min(0).optional(),
      max: z.int().min(0).optional(),
    })
    .describe("So many rows"),
]);
export type Expectation = z.infer<typeof Expectation>;

const Check = z.object({
  expectation: Expectation,
  passed: z.boolean(),
  observed: z.string().describe("What the data has, for people to read"),
});
export type Check = z.infer<typeof Check>;

const Column = z.object({
  name: z.string(),
  type: z.string().describe("DuckDB's name of the type"),
  kind: z.enum(columnKinds),
});
export type Column = z.infer<typeof Column>;

const ColumnFinding = z.discriminatedUnion("kind", [
  z
    .object({
      kind: z.literal("missing"),
      column: z.string(),
      spellings: z.array(z.object({ text: z.string(), count: z.int() })),
    })
    .describe("Values that are read as missing, each as it was written, with how often; at most 20"),
  z
    .object({ kind: z.literal("decimal comma"), column: z.string() })
    .describe("Numbers with a comma for a point"),
]);
export type ColumnFinding = z.infer<typeof ColumnFinding>;

export const encodings = ["utf-8", "utf-16le", "utf-16be", "windows-1252"] as const;
export type Encoding = (typeof encodings)[number];

/** How the text of a file was understood. */
const Findings = z.object({
  compression: z.enum(["gzip", "zstd"]).nullable().describe("What the upload was packed with"),
  encoding: z.enum(encodings).describe("`windows-1252` has Latin-1 in it"),
  delimiter: z.string().nullable().describe("Of CSV"),
  columns: z.array(ColumnFinding),
});
export type Findings = z.infer<typeof Findings>;

export const versionStates = ["pending", "ready", "rejected", "failed"] as const;
export type VersionState = (typeof versionStates)[number];

export const VersionSchema = z
  .object({
    dataset: z.string(),
    version: z.string().describe("SHA-256 of the content, 64 hexadecimal digits"),
    number: z.int().describe("Counts the versions of the data set from 1"),
    state: z
      .enum(versionStates)
      .describe(
        "`pending` until it is profiled; `rejected` when an expectation fails; `failed` when unreadable",
      ),
    error: z.string().nullable(),
    format: FormatSchema,
    sizeBytes: z.int(),
    rows: z.int().nullable(),
    columns: z.array(Column),
    checks: z.array(Check),
    notes: z.array(z.string()).describe("What was noticed when the file was read"),
    findings: Findings.nullable().describe(
      "How its text was understood; null for Parquet, and until it is read",
    ),
    jobId: z.string().nullable(),
    createdBy: z.string(),
    createdMs: z.int(),
  })
  .meta({ title: "DatasetVersion" });
export type DatasetVersion = z.infer<typeof VersionSchema>;

const count = z.int().min(0);
const top = z
  .array(z.object({ value: z.union([z.string(), z.number(), z.boolean()]), count }))
  .describe("The most frequent values; approximate above 12,000 distinct ones");
const profiled = {
  name: z.string(),
  type: z.string(),
  rows: count,
  nulls: count,
  distinct: z.object({ value: count, exact: z.boolean() }).describe("Within about 2 % where it is not exact"),
};
const histogram = z
  .object({ edges: z.array(z.number()), counts: z.array(count) })
  .describe("Bins of equal width: [edges[i], edges[i+1]), the last one closed");
const optionalNumber = z.number().nullable();

export const ColumnProfile = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("numeric"),
    ...profiled,
    nan: count,
    posInf: count,
    negInf: count,
    min: optionalNumber,
    max: optionalNumber,
    mean: optionalNumber,
    sd: optionalNumber.describe("With the divisor n"),
    quantiles: z.array(z.object({ p: z.number(), value: z.number() })).describe("Approximate"),
    histogram,
    top,
  }),
  z.object({
    kind: z.literal("time"),
    ...profiled,
    min: z.string().nullable().describe("UTC"),
    max: z.string().nullable(),
    histogram: histogram.describe("Edges in milliseconds since 1970"),
  }),
  z.object({
    kind: z.literal("text"),
    ...profiled,
    empty: count.describe("Texts of no characters"),
    minLength: optionalNumber,
    maxLength: optionalNumber,
    meanLength: optionalNumber,
    top,
  }),
  z.object({ kind: z.literal("boolean"), ...profiled, top }),
  z.object({ kind: z.literal("other"), ...profiled }),
]);
export type ColumnProfile = z.infer<typeof ColumnProfile>;

export const DatasetSchema = z
  .object({
    name: DatasetName,
    description: z.string(),
    expectations: z.array(Expectation),
    revision: z.int().describe("Grows with every change of the description or the expectations"),
    createdBy: z.string(),
    createdMs: z.int(),
    updatedMs: z.int(),
  })
  .meta({ title: "Dataset" });
export type Dataset = z.infer<typeof DatasetSchema>;
export const DatasetPage = pageOf(DatasetSchema);
export const DatasetPosition = z.object({ name: z.string() });

export const DatasetParams = z.object({ name: DatasetName });
export const DatasetsQuery = z.object(pageQuery);
export const PutDatasetBody = z.strictObject({
  description: z.string().max(5000).default(""),
  expectations: z.array(Expectation).max(500).default([]),
  revision: z
    .int()
    .min(0)
    .optional()
    .describe("Change it only if it still has this revision; 0: only if it is new"),
});
export type PutDatasetBody = z.infer<typeof PutDatasetBody>;

/** How to read a file, beyond its format. */
const reading = {
  delimiter: z
    .enum([",", ";", "\t", "|"])
    .optional()
    .describe("Of CSV; the one that the header line has most of when not given"),
  nullText: z
    .string()
    .min(1)
    .max(100)
    .optional()
    .describe("What CSV writes for a missing value, beside nothing"),
};
export const ReadOptions = z.strictObject(reading);
export type ReadOptions = z.infer<typeof ReadOptions>;

/** What is said of a file that is uploaded, as query or as body. */
export const NewUpload = z.strictObject({ format: FormatSchema, ...reading });

export const RegistrationSchema = z.object({
  version: VersionSchema,
  job: JobSchema.nullable().describe("Reads and profiles it; null when this content was registered already"),
});

export const VersionPage = pageOf(VersionSchema);
export const VersionsQuery = z.object({ ...pageQuery, state: z.enum(versionStates).optional() });
export const VersionPosition = z.object({ number: z.int() });
export const VersionParams = z.object({
  name: DatasetName,
  version: z
    .string()
    .regex(/^(latest|[0-9a-f]{8,64})$/, "the version's SHA-256, its first 8 digits or more, or `latest`")
    .describe("SHA-256, at least its first 8 digits; or `latest`, the newest that is ready"),
});
/** Whoever deletes names what is meant: `latest` is another version afterwards. */
export const DeletedVersionParams = z.object({
  name: DatasetName,
  version: z
    .string()
    .regex(/^[0-9a-f]{8,64}$/, "the version's SHA-256, or its first 8 digits or more")
    .describe("SHA-256, at least its first 8 digits"),
});
export const DeleteQuery = z.object({
  reason: z.string().min(1).max(1000).default("deleted through the API"),
});
export const ProfiledVersion = VersionSchema.extend({
  profile: z.array(ColumnProfile).nullable().describe("null until the version is profiled"),
});

export type NewUpload = z.infer<typeof NewUpload>;
export const UploadSchema = z
  .object({
    id: z.string(),
    url: z.string().describe("Takes the content by PUT, without a credential, until it expires"),
    method: z.literal("PUT"),
    headers: z.record(z.string(), z.string()).describe("To be sent with it"),
    expiresMs: z.int(),
  })
  .meta({ title: "DatasetUpload" });
export const UploadParams = z.object({ name: DatasetName, id: z.uuid() });
