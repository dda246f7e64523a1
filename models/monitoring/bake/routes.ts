import { z } from "zod";
import { notFound } from "../../../shared/errors.ts";
import {
  decodeCursor,
  json,
  page,
  pageOf,
  pageQuery,
  type Route,
  route,
} from "../../../shared/http/index.ts";
import { type DecisionInputs, decide } from "./decision.ts";
import { rejudge } from "./judgement.ts";
import type { DecisionRow, RollbackStore } from "./rollback-store.ts";

const outcomes = ["rolled_back", "dry_run", "refused", "pending"] as const;

const Judged = z.looseObject({
  signal: z.string(),
  verdict: z.enum(["pass", "wait", "fail"]),
  value: z.number().nullable(),
  limit: z.number(),
  low: z.number().nullable().describe("Of the interval of 99 %"),
  high: z.number().nullable(),
  requests: z.int(),
  otherRequests: z.int().nullable().describe("Of the versions it is held against"),
  sentence: z.string(),
});

const Rollback = z
  .object({
    id: z.string(),
    deployment: z.string(),
    model: z.string(),
    version: z.string(),
    revision: z.int().describe("That brought the version"),
    newRevision: z
      .int()
      .nullable()
      .describe("That serves what was before; null where nothing was rolled back"),
    monitor: z.string(),
    atMs: z.int(),
    outcome: z.enum(outcomes).describe("`pending` while it is being carried out"),
    detail: z.string(),
    judgement: Judged,
  })
  .meta({ title: "Rollback" });
const RollbackDetail = Rollback.extend({
  evidence: z
    .unknown()
    .describe("The rule, and what was counted of the version and of those it is held against"),
  inputs: z
    .object({
      dryRun: z.boolean(),
      othersToday: z.int().describe("Other versions of the deployment taken back in the 24 hours before"),
      standingRefusal: z.string().nullable().describe("Why who set the monitor up may no longer roll back"),
      wasTakenBack: z.boolean().describe("A person put the version back after an earlier rollback"),
    })
    .describe("What else the decision rests on"),
}).meta({ title: "RollbackDetail" });
const Replay = z.object({
  agrees: z.boolean().describe("Whether the stored evidence gives the stored decision again"),
  decision: z.enum(["roll_back", "dry_run", "refuse", "wait"]),
  reason: z.string(),
  judgement: Judged,
});

const Params = z.object({ id: z.string().min(1).max(100) });
const Query = z.object({
  ...pageQuery,
  deployment: z.string().min(1).max(300).optional(),
  outcome: z.enum(outcomes).optional(),
});
const Position = z.object({ atMs: z.int(), id: z.string() });

/** What was decided about versions whose signals were bad enough, and why; each can be decided again from its evidence. */
export function rollbackRoutes(store: RollbackStore): readonly Route[] {
  const common = { protocol: "ketline", tag: "Monitoring", role: "viewer" } as const;
  const path = "/api/v1/rollbacks";
  const find = async (id: string): Promise<DecisionRow> => {
    const row = await store.decision(id);
    if (row === undefined) throw notFound(`There is no rollback "${id}".`);
    return row;
  };
  return [
    route({
      ...common,
      method: "GET",
      path,
      summary: "List automatic rollbacks, those that were refused or only tried as well, newest first",
      query: Query,
      responses: { 200: { description: "One page", schema: pageOf(Rollback) } },
      async handle({ query: { limit, cursor, ...filter } }) {
        const found = await store.decisions(filter, decodeCursor(Position, cursor), limit + 1);
        return json(page(found, limit, shown, ({ at_ms, id }) => ({ atMs: at_ms, id })));
      },
    }),
    route({
      ...common,
      method: "GET",
      path: `${path}/:id`,
      summary: "Read an automatic rollback with its evidence",
      params: Params,
      responses: { 200: { description: "The decision", schema: RollbackDetail } },
      async handle({ params }) {
        const row = await find(params.id);
        const { finding, dryRun, othersToday, standingRefusal, wasTakenBack } = inputsOf(row);
        return json({
          ...shown(row),
          evidence: finding.evidence,
          inputs: { dryRun, othersToday, standingRefusal, wasTakenBack },
        });
      },
    }),
    route({
      ...common,
      method: "POST",
      path: `${path}/:id/replay`,
      role: "contributor",
      summary: "Decide again from the stored evidence",
      description: "Nothing is done: it shows that the evidence alone gives the decision.",
      params: Params,
      responses: { 200: { description: "What the evidence says now", schema: Replay } },
      async handle({ params }) {
        const row = await find(params.id);
        const inputs = inputsOf(row);
        const { kind, reason } = decide(inputs);
        return json({
          agrees: decisionsOf(row).includes(kind),
          decision: kind,
          reason,
          judgement: { ...rejudge(inputs.finding.evidence) },
        });
      },
    }),
  ];
}

/** What may have been decided where this came of it: a rollback that was decided on can still be refused. */
function decisionsOf({ outcome }: DecisionRow): readonly string[] {
  if (outcome === "dry_run") return ["dry_run"];
  return outcome === "refused" ? ["refuse", "roll_back"] : ["roll_back"];
}

function inputsOf(row: DecisionRow): DecisionInputs {
  return JSON.parse(row.inputs) as DecisionInputs;
}

function shown(row: DecisionRow): z.infer<typeof Rollback> {
  const { id, deployment, model, version, revision, monitor, outcome, detail } = row;
  const { finding } = inputsOf(row);
  return {
    ...{ id, deployment, model, version, revision, monitor, outcome, detail },
    ...{ newRevision: row.new_revision, atMs: row.at_ms, judgement: { ...finding.judgement } },
  };
}
