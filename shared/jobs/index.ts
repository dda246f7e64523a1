export type { Job, JobContext, JobKind, JobState, Jobs, SubmitOptions, WorkerPool } from "./job.ts";
export { createJobs, type JobBook, jobQueue } from "./jobs.ts";
export { jobMigrations } from "./migrations.ts";
export { createJobRunner, type JobRunner, type RunOutcome } from "./runner.ts";
export { JobSchema } from "./schemas.ts";
export { createWorkerPool } from "./workers.ts";
