export { JobInterruption } from "./execution.ts";
export type { Job, JobContext, JobKind, Jobs, LeftBehind, SubmitOptions, WorkerPool } from "./job.ts";
export { createJobs, type JobOperations } from "./jobs.ts";
export { jobMigrations } from "./migrations.ts";
export { createJobRunner, type JobRunner } from "./runner.ts";
export { JobSchema } from "./schemas.ts";
export { createWorkerPool } from "./workers/workers.ts";
