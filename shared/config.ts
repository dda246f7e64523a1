import path from "node:path";
import { z } from "zod";
import { version } from "./version.ts";

/**
 * Everything that Ketline reads from its environment, as one typed object. No other module reads `process.env`.
 */
export interface Config {
  readonly database:
    | { readonly kind: "sqlite"; readonly file: string }
    | { readonly kind: "postgres"; readonly url: string; readonly entra: boolean; readonly poolSize: number };
  readonly blobs:
    | { readonly kind: "file"; readonly directory: string }
    | { readonly kind: "azure"; readonly containerUrl: string; readonly connectionString?: string };
  readonly queues:
    | { readonly kind: "database" }
    | { readonly kind: "azure"; readonly accountUrl: string; readonly connectionString?: string };
  readonly quantumWorkspace:
    | { readonly kind: "local" }
    | { readonly kind: "azure"; readonly resourceId: string };
  /** Where embedded stores, temporary files and the signing key live. */
  readonly dataDirectory: string;
  readonly host: string;
  readonly port: number;
  /** The address that clients reach this server at; used in the links that it hands out. */
  readonly publicUrl: string | undefined;
  readonly identity: {
    readonly entra:
      | { readonly issuer: string; readonly audience: string; readonly jwksUrl: string }
      | undefined;
    readonly easyAuth: boolean;
    /** A token with the role admin, to create the first stored tokens with. */
    readonly adminToken: string | undefined;
  };
  /** Signs upload and download links; drawn at random and kept in the data directory when not given. */
  readonly signingKey: string | undefined;
  readonly logLevel: "fatal" | "error" | "warn" | "info" | "debug" | "silent";
  /** Worker threads for training, profiling, simulation. */
  readonly workerThreads: number;
  /** Jobs that one instance runs at the same time. */
  readonly jobConcurrency: number;
  /** Bytes that one upload may hold. */
  readonly maxUploadBytes: number;
  /** For how many days what grows with use is kept; null: for ever. */
  readonly retention: {
    /** Captured predictions, with what was observed of them later. */
    readonly predictionDays: number | null;
    /** Jobs that have ended, with their log lines. */
    readonly jobDays: number | null;
    /** Deliveries of webhooks that have ended. */
    readonly webhookDays: number | null;
    readonly auditDays: number | null;
  };
  readonly webhooks: {
    /** Whether they may go over http and to addresses that are not public: on a laptop, in a test, inside a network. */
    readonly allowPrivate: boolean;
  };
  readonly models: {
    /** What loaded models may take, by the server's estimate; the least recently used are dropped first. */
    readonly memoryBytes: number;
    /** Processes that models are loaded and run in. */
    readonly hosts: number;
    /** The deployment or registered model that `/invocations` without a name asks. */
    readonly root: string | undefined;
  };
  /** Whether the OpenTelemetry SDK is loaded; it reads its own standard variables then. */
  readonly telemetry: {
    readonly exporting: boolean;
    readonly tracing: boolean;
    readonly serviceName: string;
  };
  /** What is recorded beside runs and predictions as the code that made them: a release or a commit. */
  readonly codeVersion: string;
}

const flag = z
  .enum(["true", "false", "1", "0", ""])
  .default("false")
  .transform((text) => text === "true" || text === "1");
const azureUrl = (hint: string) => z.url({ protocol: /^https?$/, error: `must be a URL such as ${hint}` });

/** 0 keeps for ever. */
const retentionDays = (byDefault: number) =>
  z
    .string()
    .regex(/^\d{1,5}$/, "must be a whole number of days, or 0 to keep for ever")
    .default(String(byDefault))
    .transform((days) => Number(days) || null);

const Environment = z.object({
  KETLINE_DATA: z.string().min(1).default("./.ketline"),
  KETLINE_DATABASE: z
    .string()
    .regex(/^(sqlite:.+|postgres(ql)?:\/\/.+)$/, 'must be "sqlite:<file>" or "postgres://user@host/database"')
    .optional(),
  KETLINE_DATABASE_ENTRA: flag,
  KETLINE_DATABASE_POOL: z.coerce.number().int().min(1).max(100).default(5),
  KETLINE_BLOBS: z
    .string()
    .regex(
      /^(file:.+|azure:https?:\/\/.+)$/,
      'must be "file:<directory>" or "azure:https://<account>.blob.core.windows.net/<container>"',
    )
    .optional(),
  KETLINE_QUEUES: z
    .string()
    .regex(
      /^(database|azure:https?:\/\/.+)$/,
      'must be "database" or "azure:https://<account>.queue.core.windows.net"',
    )
    .default("database"),
  KETLINE_STORAGE_CONNECTION_STRING: z.string().min(1).optional(),
  KETLINE_QUANTUM_WORKSPACE: z
    .string()
    .regex(
      /^(local|\/subscriptions\/[^/]+\/resourceGroups\/[^/]+\/providers\/Microsoft\.Quantum\/workspaces\/[^/]+)$/i,
      'must be "local" or the resource id of a Microsoft.Quantum/workspaces resource',
    )
    .default("local"),
  KETLINE_HOST: z.string().min(1).default("127.0.0.1"),
  PORT: z.coerce.number().int().min(0).max(65535).default(7071),
  KETLINE_PUBLIC_URL: azureUrl("https://ketline.example.org").optional(),
  KETLINE_ENTRA_TENANT_ID: z.string().min(1).optional(),
  KETLINE_ENTRA_AUDIENCE: z.string().min(1).optional(),
  KETLINE_ENTRA_ISSUER: azureUrl("https://login.microsoftonline.com/<tenant>/v2.0").optional(),
  KETLINE_ENTRA_JWKS_URL: azureUrl(
    "https://login.microsoftonline.com/<tenant>/discovery/v2.0/keys",
  ).optional(),
  KETLINE_EASY_AUTH: flag,
  KETLINE_ADMIN_TOKEN: z.string().min(24, "must have at least 24 characters").optional(),
  KETLINE_SIGNING_KEY: z.string().min(32, "must have at least 32 characters").optional(),
  KETLINE_LOG_LEVEL: z.enum(["fatal", "error", "warn", "info", "debug", "silent"]).default("info"),
  KETLINE_WORKER_THREADS: z.coerce.number().int().min(1).max(64).default(2),
  KETLINE_JOB_CONCURRENCY: z.coerce.number().int().min(1).max(64).default(2),
  KETLINE_MAX_UPLOAD_BYTES: z.coerce
    .number()
    .int()
    .min(1024)
    .default(50 * 1024 ** 3),
  // Longer than the longest window of a monitor, 31 days.
  KETLINE_PREDICTION_RETENTION_DAYS: retentionDays(90),
  KETLINE_JOB_RETENTION_DAYS: retentionDays(90),
  KETLINE_WEBHOOK_RETENTION_DAYS: retentionDays(7),
  KETLINE_AUDIT_RETENTION_DAYS: retentionDays(0),
  KETLINE_WEBHOOK_ALLOW_PRIVATE: flag,
  KETLINE_MODEL_MEMORY_MIB: z.coerce.number().int().min(8).max(1_000_000).default(1536),
  KETLINE_MODEL_HOSTS: z.coerce.number().int().min(1).max(16).default(2),
  KETLINE_ROOT_MODEL: z.string().min(1).max(256).optional(),
  KETLINE_CODE_VERSION: z.string().min(1).max(200).default(`ketline-${version}`),
  // OpenTelemetry's standard variables, as far as they decide whether its SDK is loaded.
  OTEL_SDK_DISABLED: z.string().default("false"),
  OTEL_SERVICE_NAME: z.string().min(1).default("ketline"),
  OTEL_EXPORTER_OTLP_ENDPOINT: z.string().optional(),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: z.string().optional(),
  OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: z.string().optional(),
  OTEL_TRACES_EXPORTER: z.string().optional(),
  OTEL_METRICS_EXPORTER: z.string().optional(),
});

/** The names of the variables, for documentation and for the check of the infrastructure templates. */
export const environmentVariables: readonly string[] = Object.keys(Environment.shape);

/**
 * Parses environment variables into the configuration.
 *
 * @throws Error whose message names each wrong variable, its value (never that of a secret) and what would be right.
 */
export function loadConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const present = Object.fromEntries(
    Object.entries(env).filter(([, value]) => value !== undefined && value !== ""),
  );
  const parsed = Environment.safeParse(present);
  if (!parsed.success) {
    const lines = parsed.error.issues.map((issue) => {
      const name = String(issue.path[0]);
      const secret = /TOKEN|KEY|CONNECTION|DATABASE/.test(name);
      return `${name}${secret ? "" : `="${present[name] ?? ""}"`}: ${issue.message}`;
    });
    throw new Error(`The configuration is wrong. ${lines.join("; ")}`);
  }
  const variables = parsed.data;
  const dataDirectory = path.resolve(variables.KETLINE_DATA);
  const config: Config = {
    dataDirectory,
    database: databaseOf(variables, dataDirectory),
    blobs: blobsOf(variables, dataDirectory),
    queues:
      variables.KETLINE_QUEUES === "database"
        ? { kind: "database" }
        : {
            kind: "azure",
            accountUrl: variables.KETLINE_QUEUES.slice("azure:".length),
            ...connection(variables),
          },
    quantumWorkspace:
      variables.KETLINE_QUANTUM_WORKSPACE === "local"
        ? { kind: "local" }
        : { kind: "azure", resourceId: variables.KETLINE_QUANTUM_WORKSPACE },
    host: variables.KETLINE_HOST,
    port: variables.PORT,
    publicUrl: variables.KETLINE_PUBLIC_URL?.replace(/\/$/, ""),
    identity: {
      entra: entraOf(variables),
      easyAuth: variables.KETLINE_EASY_AUTH,
      adminToken: variables.KETLINE_ADMIN_TOKEN,
    },
    signingKey: variables.KETLINE_SIGNING_KEY,
    logLevel: variables.KETLINE_LOG_LEVEL,
    workerThreads: variables.KETLINE_WORKER_THREADS,
    jobConcurrency: variables.KETLINE_JOB_CONCURRENCY,
    maxUploadBytes: variables.KETLINE_MAX_UPLOAD_BYTES,
    retention: {
      predictionDays: variables.KETLINE_PREDICTION_RETENTION_DAYS,
      jobDays: variables.KETLINE_JOB_RETENTION_DAYS,
      webhookDays: variables.KETLINE_WEBHOOK_RETENTION_DAYS,
      auditDays: variables.KETLINE_AUDIT_RETENTION_DAYS,
    },
    webhooks: { allowPrivate: variables.KETLINE_WEBHOOK_ALLOW_PRIVATE },
    models: {
      memoryBytes: variables.KETLINE_MODEL_MEMORY_MIB * 1024 ** 2,
      hosts: variables.KETLINE_MODEL_HOSTS,
      root: variables.KETLINE_ROOT_MODEL,
    },
    telemetry: telemetryOf(variables),
    codeVersion: variables.KETLINE_CODE_VERSION,
  };
  if (!isLoopback(config.host) && !identityConfigured(config)) {
    throw new Error(
      `KETLINE_HOST="${config.host}": without an identity Ketline listens on loopback only. Set KETLINE_ENTRA_TENANT_ID ` +
        "and KETLINE_ENTRA_AUDIENCE, KETLINE_ADMIN_TOKEN or, behind Easy Auth, KETLINE_EASY_AUTH=true; or use 127.0.0.1.",
    );
  }
  return config;
}

/** The configuration of this process. `overrides` win over its environment, which wins over `defaults`. */
export function processConfig(
  overrides: Readonly<Record<string, string>> = {},
  defaults: Readonly<Record<string, string>> = {},
): Config {
  return loadConfig({ ...defaults, ...process.env, ...overrides });
}

export function identityConfigured(config: Config): boolean {
  const { entra, easyAuth, adminToken } = config.identity;
  return entra !== undefined || easyAuth || adminToken !== undefined;
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}

type Variables = z.infer<typeof Environment>;

function databaseOf(variables: Variables, dataDirectory: string): Config["database"] {
  const url = variables.KETLINE_DATABASE ?? `sqlite:${path.join(dataDirectory, "ketline.db")}`;
  if (url.startsWith("sqlite:")) return { kind: "sqlite", file: path.resolve(url.slice("sqlite:".length)) };
  return {
    kind: "postgres",
    url,
    entra: variables.KETLINE_DATABASE_ENTRA,
    poolSize: variables.KETLINE_DATABASE_POOL,
  };
}

function blobsOf(variables: Variables, dataDirectory: string): Config["blobs"] {
  const url = variables.KETLINE_BLOBS ?? `file:${path.join(dataDirectory, "blobs")}`;
  if (url.startsWith("file:")) return { kind: "file", directory: path.resolve(url.slice("file:".length)) };
  return { kind: "azure", containerUrl: url.slice("azure:".length), ...connection(variables) };
}

function connection(variables: Variables): { connectionString?: string } {
  const connectionString = variables.KETLINE_STORAGE_CONNECTION_STRING;
  return connectionString === undefined ? {} : { connectionString };
}

function entraOf(variables: Variables): Config["identity"]["entra"] {
  const tenant = variables.KETLINE_ENTRA_TENANT_ID;
  const audience = variables.KETLINE_ENTRA_AUDIENCE;
  const base = tenant === undefined ? undefined : `https://login.microsoftonline.com/${tenant}`;
  const issuer = variables.KETLINE_ENTRA_ISSUER ?? (base && `${base}/v2.0`);
  const jwksUrl = variables.KETLINE_ENTRA_JWKS_URL ?? (base && `${base}/discovery/v2.0/keys`);
  if (issuer === undefined && jwksUrl === undefined && audience === undefined) return undefined;
  if (issuer === undefined || jwksUrl === undefined || audience === undefined) {
    throw new Error(
      "The configuration is wrong. Entra sign-in needs KETLINE_ENTRA_AUDIENCE and KETLINE_ENTRA_TENANT_ID " +
        "(or KETLINE_ENTRA_ISSUER with KETLINE_ENTRA_JWKS_URL)",
    );
  }
  return { issuer, audience, jwksUrl };
}

function telemetryOf(variables: Variables): Config["telemetry"] {
  const asked = [
    variables.OTEL_EXPORTER_OTLP_ENDPOINT,
    variables.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT,
    variables.OTEL_EXPORTER_OTLP_METRICS_ENDPOINT,
    variables.OTEL_TRACES_EXPORTER,
    variables.OTEL_METRICS_EXPORTER,
  ].some((value) => value !== undefined && value !== "none");
  const disabled = variables.OTEL_SDK_DISABLED.toLowerCase() === "true";
  return {
    exporting: asked && !disabled,
    // The SDK takes "none" as its first word for none, and sends traces by OTLP when nothing is said.
    tracing: variables.OTEL_TRACES_EXPORTER?.split(",")[0]?.trim() !== "none",
    serviceName: variables.OTEL_SERVICE_NAME,
  };
}

/**
 * ONNX Runtime for Linux looks up a collector of its maker, keeps a device id in the user's cache and leaves a log in the
 * temporary directory, unless this is set before its library is loaded. Whatever the environment says: a program that
 * talks to strangers should be asked to by its own settings, not by a library's.
 *
 * On the main thread only: a worker thread's `process.env` is a copy, which native code does not see. Processes that we
 * start get it from us (`shared/processes`).
 */
export function silenceDependencies(): void {
  process.env.ORT_DISABLE_TELEMETRY = "1";
}
