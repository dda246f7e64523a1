import type { Logger } from "pino";
import type { Capability } from "../../../shared/capability.ts";
import type { Clock } from "../../../shared/clock.ts";
import type { Database } from "../../../shared/database/index.ts";
import { notFound } from "../../../shared/errors.ts";
import type { AuditLog, CheckStanding } from "../../../shared/identity/index.ts";
import type { Jobs } from "../../../shared/jobs/index.ts";
import type { Datasets } from "../../datasets/index.ts";
import type { Trainings } from "../create-training.ts";
import { createClockwork } from "./clockwork.ts";
import { scheduleRoutes } from "./routes.ts";
import { createSchedules, type RolloutStatus } from "./schedules.ts";
import { createScheduleStore } from "./store.ts";
import { createWork, type StartRollout } from "./work.ts";

export interface TrainingSchedulesOptions {
  readonly database: Database;
  readonly trainings: Pick<Trainings, "submit">;
  readonly jobs: Pick<Jobs, "get" | "cancel">;
  readonly datasets: Pick<Datasets, "newestVersion" | "getVersion">;
  readonly audit: AuditLog;
  readonly clock: Clock;
  readonly checkStanding: CheckStanding;
  readonly logger: Logger;
  /** What follows a promoted version, and how it stands; serving does it. */
  readonly startRollout: StartRollout;
  readonly rollout: (deployment: string, id: string) => Promise<RolloutStatus | null>;
  /** @throws invalid for a plan that could not be followed */
  readonly checkRolloutPlan: (plan: Readonly<Record<string, unknown>>) => void;
}

export interface TrainingSchedules extends Capability {
  /**
   * Starts the schedules that an alert triggers.
   *
   * @returns what was started, for people to read
   * @throws notFound when no schedule waits for this monitor
   */
  retrain(request: {
    readonly monitor: string;
    readonly alertId: string;
    readonly reason: string;
  }): Promise<string>;
}

/** Continuous training: schedules, what triggers them, and what becomes of each firing. */
export function createTrainingSchedules(options: TrainingSchedulesOptions): TrainingSchedules {
  const store = createScheduleStore(options.database);
  const schedules = createSchedules({ ...options, store });
  const clockwork = createClockwork({ ...options, store });
  const work = createWork({ ...options, store });
  return {
    routes: scheduleRoutes(schedules),
    jobKinds: [],
    timers: [
      {
        name: "training-schedules",
        schedule: "*/10 * * * * *",
        async run() {
          await clockwork.fireDue();
          await clockwork.fireTriggered();
          await work();
        },
      },
    ],
    async retrain({ monitor, alertId, reason }) {
      const started = await clockwork.fireForAlert({ id: alertId, monitor, message: reason });
      if (started.length === 0) {
        throw notFound(
          `No schedule is triggered by alerts of the monitor "${monitor}"; add {"on": "alert", "monitor": "${monitor}"} to the triggers of one.`,
        );
      }
      return `Fired: ${started.map((name) => `schedule "${name}"`).join(", ")}.`;
    },
  };
}
