import { createHash, randomUUID } from "node:crypto";
import { parseServerUrl } from "../../clients/mlflow/index.ts";
import type { Clock } from "../../shared/clock.ts";
import { conflict, notFound } from "../../shared/errors.ts";
import type { Actor, AuditLog } from "../../shared/identity/index.ts";
import type { Job, JobKind, Jobs } from "../../shared/jobs/index.ts";
import type { CredentialSeal } from "./credentials.ts";
import type { NewTransfer, Transfer, TransferReport } from "./schemas.ts";
import { ReportSchema, TransferRequest } from "./schemas.ts";
import type { TransferPosition, TransferRow, TransferStore } from "./store.ts";

export interface TransferOperations {
  /** @throws conflict while a transfer between the same servers in the same direction is under way. */
  start(transfer: NewTransfer, actor: Actor): Promise<Transfer>;
  /** @throws notFound. */
  get(id: string): Promise<Transfer>;
  /** Newest first. */
  list(after: TransferPosition | undefined, limit: number): Promise<readonly Transfer[]>;
  /** Deletes the credentials of transfers that have ended. */
  forgetCredentials(): Promise<void>;
}

export interface TransferOperationsOptions {
  readonly store: TransferStore;
  readonly jobs: Jobs;
  readonly job: JobKind<{ transfer: string }, TransferReport>;
  readonly seal: CredentialSeal;
  readonly clock: Clock;
  readonly audit: AuditLog;
}

export function createTransferOperations(options: TransferOperationsOptions): TransferOperations {
  const { store, jobs, job, seal, clock, audit } = options;

  const shown = async (row: TransferRow): Promise<Transfer> => ({
    id: row.id,
    request: TransferRequest.parse(JSON.parse(row.request)),
    job: await jobs.get(row.job_id),
    report: row.report === null ? null : ReportSchema.parse(JSON.parse(row.report)),
    createdBy: row.created_by,
    createdMs: row.created_ms,
  });

  const underWay = (which: string) =>
    conflict(`${which} between the same servers is under way. Wait for its end, or cancel it.`);

  /** Two at once would both make what neither has written down yet. */
  const refuseSecond = async (scope: string): Promise<void> => {
    for (const { id, job_id } of await store.newestOf(scope)) {
      if (!hasEnded(await jobs.get(job_id))) throw underWay(`The transfer ${id} (job ${job_id})`);
    }
  };

  return {
    async start({ server, ...rest }, actor) {
      const { url, ...credentials } = server;
      const { base } = parseServerUrl(url);
      const scope = `${rest.direction} ${base}`;
      const before = await store.countOf(scope);
      await refuseSecond(scope);
      const id = randomUUID();
      const request: TransferRequest = { ...rest, server: { url } };
      const hasCredentials = "token" in credentials || "username" in credentials;
      const row: Omit<TransferRow, "job_id"> = {
        id,
        scope,
        request: JSON.stringify(request),
        sealed_credentials: hasCredentials ? seal.seal(id, credentials) : null,
        report: null,
        created_by: actor.name,
        created_ms: clock(),
      };
      let isStarted = false;
      const submitted = await jobs.submit(
        job,
        { transfer: id },
        {
          actor,
          // Of those that come at the same moment, and so count as many before them, one gets the job.
          idempotencyKey: createHash("sha256").update(`${before} ${scope}`).digest("hex"),
          async alongside(transaction, { id: job_id }) {
            await store.insert({ ...row, job_id }, transaction);
            isStarted = true;
          },
        },
      );
      if (!isStarted) throw underWay(`A transfer that was started just now (job ${submitted.id})`);
      await audit.record({ actor, action: "transfer.start", subject: `transfer/${id}`, after: request });
      return shown({ ...row, job_id: submitted.id });
    },

    async get(id) {
      const row = await store.get(id);
      if (row === undefined) throw notFound(`There is no transfer "${id}".`);
      return shown(row);
    },

    async list(after, limit) {
      return Promise.all((await store.list(after, limit)).map(shown));
    },

    async forgetCredentials() {
      for (const { id, job_id } of await store.withCredentials()) {
        // Empty, not null: that there were credentials is told when the job is tried again.
        if (hasEnded(await jobs.get(job_id))) await store.update(id, { sealed_credentials: "" });
      }
    },
  };
}

const hasEnded = ({ state }: Job) => state !== "queued" && state !== "running";
