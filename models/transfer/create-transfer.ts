import type { Logger } from "pino";
import type { RetryOptions } from "../../clients/mlflow/index.ts";
import type { Capability } from "../../shared/capability.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Database } from "../../shared/database/index.ts";
import type { AuditLog } from "../../shared/identity/index.ts";
import type { Jobs } from "../../shared/jobs/index.ts";
import type { Registry } from "../registry/index.ts";
import type { Tracking } from "../tracking/index.ts";
import { createCredentialSeal } from "./credentials.ts";
import { transferRoutes } from "./routes.ts";
import { createTransferStore } from "./store.ts";
import { transferJob } from "./transfer-job.ts";
import { createTransferOperations } from "./transfers.ts";

export interface TransferOptions {
  readonly database: Database;
  readonly jobs: Jobs;
  readonly clock: Clock;
  readonly audit: AuditLog;
  readonly logger: Logger;
  readonly tracking: Tracking;
  readonly registry: Registry;
  /** Credentials that wait for their job are encrypted under a key derived from it. */
  readonly signingKey: string;
  /** Reaches other servers; the platform's own by default. */
  readonly fetch?: typeof fetch;
  readonly retries?: RetryOptions;
}

/** Copies experiments, runs and models between this server and any other that speaks MLflow's REST API. */
export function createTransfer(options: TransferOptions): Capability {
  const store = createTransferStore(options.database);
  const seal = createCredentialSeal(options.signingKey);
  const job = transferJob({ ...options, store, seal });
  const operations = createTransferOperations({ ...options, store, seal, job });
  return {
    routes: transferRoutes(operations),
    jobKinds: [job],
    timers: [
      { name: "transfer-credentials", schedule: "30 * * * * *", run: () => operations.forgetCredentials() },
    ],
  };
}
