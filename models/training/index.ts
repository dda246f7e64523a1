export { createTraining, type Trainings } from "./create-training.ts";
export { trainingMigrations } from "./migrations.ts";
