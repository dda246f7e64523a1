import { createHash } from "node:crypto";
import { sql, type Transaction } from "kysely";

interface Before {
  readonly deployment: string;
  readonly model: string;
  readonly version: string;
  readonly revision: number;
  readonly monitor: string;
  readonly at_ms: number;
  readonly evidence: string;
  readonly outcome: string;
}

/** Rollbacks that were made before decisions were kept, as decisions: part of a migration, so it never changes. */
export async function decisionsOfRollbacks(database: Transaction<unknown>): Promise<void> {
  const { rows } = await sql<Before>`
    select * from monitoring_rollback where evidence is not null and outcome is not null`.execute(database);
  for (const row of rows) {
    const { deployment, model, version, revision, monitor, at_ms: atMs, evidence, outcome } = row;
    const id = createHash("sha256")
      .update(JSON.stringify([deployment, model, version]))
      .digest("hex")
      .slice(0, 32);
    const inputs = JSON.stringify({
      finding: JSON.parse(evidence),
      revision,
      dryRun: false,
      othersToday: 0,
      standingRefusal: null,
      wasTakenBack: false,
    });
    const kind = /^Revision \d+ was rolled back/.test(outcome) ? "rolled_back" : "refused";
    const made = /revision (\d+) serves/.exec(outcome)?.[1];
    await sql`
      insert into rollback_decision
        (id, deployment, model, version, revision, monitor, at_ms, inputs, outcome, detail, new_revision)
      values
        (${id}, ${deployment}, ${model}, ${version}, ${revision}, ${monitor}, ${atMs}, ${inputs}, ${kind}, ${outcome},
         ${made === undefined ? null : Number(made)})`.execute(database);
  }
}
