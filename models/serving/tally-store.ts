import type { Database } from "../../shared/database/index.ts";
import type { RolloutTables } from "./rollouts/store.ts";
import type { Tally } from "./tally.ts";

export interface TallyTables {
  serving_tally: {
    instance: string;
    window_ms: number;
    deployment: string;
    revision: number;
    variant: string;
    model_name: string;
    model_version: string;
    shadow: number;
    /** JSON. */
    tally: string;
  };
}

/** Whose tally, and of when. */
export interface TallyKey {
  readonly windowMs: number;
  readonly deployment: string;
  readonly revision: number;
  readonly variant: string;
  readonly modelName: string;
  readonly modelVersion: string;
  readonly shadow: boolean;
}

export interface TallyStore {
  /** Writes the whole tally of a window as this instance knows it now, over what it wrote before. */
  write(key: TallyKey, tally: Tally): Promise<void>;
  read(
    deployment: string,
    revision: number,
    sinceMs: number,
  ): Promise<readonly { key: TallyKey; tally: Tally }[]>;
  /** Leaves what was counted of the current step of an active rollout, whose gates go by all of it. */
  deleteBefore(windowMs: number): Promise<void>;
}

export function createTallyStore(database: Database, instance: string): TallyStore {
  const tables = database.tables<TallyTables & RolloutTables>();
  return {
    async write(key, tally) {
      const text = JSON.stringify(tally);
      await tables
        .insertInto("serving_tally")
        .values({
          instance,
          window_ms: key.windowMs,
          deployment: key.deployment,
          revision: key.revision,
          variant: key.variant,
          model_name: key.modelName,
          model_version: key.modelVersion,
          shadow: key.shadow ? 1 : 0,
          tally: text,
        })
        .onConflict((conflict) =>
          conflict
            .columns([
              "deployment",
              "revision",
              "window_ms",
              "variant",
              "model_name",
              "model_version",
              "shadow",
              "instance",
            ])
            .doUpdateSet({ tally: text }),
        )
        .execute();
    },
    async read(deployment, revision, sinceMs) {
      const rows = await tables
        .selectFrom("serving_tally")
        .selectAll()
        .where("deployment", "=", deployment)
        .where("revision", "=", revision)
        .where("window_ms", ">=", sinceMs)
        .orderBy("window_ms")
        .execute();
      return rows.map((row) => ({
        key: {
          windowMs: row.window_ms,
          deployment: row.deployment,
          revision: row.revision,
          variant: row.variant,
          modelName: row.model_name,
          modelVersion: row.model_version,
          shadow: row.shadow === 1,
        },
        tally: JSON.parse(row.tally) as Tally,
      }));
    },
    async deleteBefore(windowMs) {
      await tables
        .deleteFrom("serving_tally")
        .where("window_ms", "<", windowMs)
        .where(({ not, exists, selectFrom }) =>
          not(
            exists(
              selectFrom("serving_rollout")
                .select("serving_rollout.id")
                .whereRef("serving_rollout.deployment", "=", "serving_tally.deployment")
                .whereRef("serving_rollout.revision", "=", "serving_tally.revision")
                .where("serving_rollout.ended_ms", "is", null),
            ),
          ),
        )
        .execute();
    },
  };
}
