export { createTraining, type Trainings } from "./create-training.ts";
export { trainingMigrations } from "./migrations.ts";
export { createTrainingSchedules } from "./schedules/create-schedules.ts";
