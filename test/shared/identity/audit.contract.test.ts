import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Database } from "../../../shared/database/index.ts";
import {
  type AuditOperations,
  createAuditLog,
  identityMigrations,
  systemActor,
} from "../../../shared/identity/index.ts";
import { type SettableClock, settableClock } from "../../support/application.ts";
import { databaseCases } from "../../support/databases.ts";

const ada = { id: "ada", name: "Ada", role: "operator", source: "entra" } as const;

describe.each(databaseCases())("the audit log on $name", ({ open }) => {
  let database: Database;
  let audit: AuditOperations;
  let clock: SettableClock;
  beforeAll(async () => {
    database = await open(identityMigrations);
    clock = settableClock();
    audit = createAuditLog({ database, clock });
  });
  afterAll(() => database.close());
  afterEach(async () => {
    await database.tables<{ audit_entry: object }>().deleteFrom("audit_entry").execute();
  });
  const record = (action: string, subject: string) => audit.record({ actor: ada, action, subject });

  it("is kept for ever, or for as many days as it is told to", async () => {
    for (const subject of ["old", "older"]) await record("dataset.create", subject);
    clock.advance(30 * 86_400_000);
    await record("dataset.create", "young");
    const runTimer = async (retentionDays: number | null) => {
      const kept = createAuditLog({ database, clock, retentionDays });
      for (const { run } of kept.timers) await run();
      return (await audit.list({}, undefined, 10)).map(({ subject }) => subject);
    };
    expect(await runTimer(null)).toHaveLength(3);
    expect(await runTimer(30)).toHaveLength(3);
    expect(await runTimer(29)).toEqual(["young"]);
  });

  it("says who changed what, from what to what, when and why", async () => {
    await audit.record({
      actor: ada,
      action: "deployment.rollback",
      subject: "deployment/late-flights",
      before: { revision: 3, weights: [0.9, 0.1] },
      after: { revision: 4 },
      reason: "errors\u0000 doubled",
    });
    expect(await audit.list({}, undefined, 10)).toEqual([
      {
        id: expect.any(String),
        atMs: clock(),
        actor: ada,
        action: "deployment.rollback",
        subject: "deployment/late-flights",
        before: { revision: 3, weights: [0.9, 0.1] },
        after: { revision: 4 },
        reason: "errors doubled",
      },
    ]);
  });

  it("keeps secrets out of what it writes down", async () => {
    await audit.record({
      actor: ada,
      action: "webhook.create",
      subject: "webhook/1",
      after: {
        url: "https://user:hunter2@example.org/hook?sig=abcdefghijkl",
        secret: "s3cr3t-value",
        nested: [{ connectionString: "AccountName=a;AccountKey=Zm9v+Zm9v==" }],
      },
    });
    const written = JSON.stringify(await audit.list({}, undefined, 1));
    for (const secret of ["hunter2", "abcdefghijkl", "s3cr3t", "Zm9v"]) expect(written).not.toContain(secret);
    expect(written).toContain("example.org/hook");
  });

  it("keeps the order of changes within one millisecond, and when the clock is put back", async () => {
    const before = clock();
    for (let change = 0; change < 20; change++) await record(`change.${change}`, "x");
    clock.set(before - 60_000);
    await record("change.20", "x");
    clock.set(before);
    const actions = (await audit.list({}, undefined, 100)).map((entry) => entry.action);
    expect(actions).toEqual(Array.from({ length: 21 }, (_, change) => `change.${20 - change}`));
  });

  it("is read newest first, from where the last page ended", async () => {
    for (let change = 0; change < 5; change++) await record(`change.${change}`, "x");
    const first = await audit.list({}, undefined, 2);
    const second = await audit.list({}, first.at(-1)?.id, 10);
    expect([...first, ...second].map((entry) => entry.action)).toEqual([
      "change.4",
      "change.3",
      "change.2",
      "change.1",
      "change.0",
    ]);
  });

  it("is filtered by the beginning of the subject, by who and by action", async () => {
    await record("deployment.create", "deployment/a_b");
    await record("deployment.create", "deployment/axb");
    await record("token.create", "token/1");
    await audit.record({
      actor: systemActor("rollback"),
      action: "deployment.rollback",
      subject: "deployment/a_b",
    });
    const found = async (filter: Parameters<AuditOperations["list"]>[0]) =>
      (await audit.list(filter, undefined, 10)).map((entry) => `${entry.action} ${entry.subject}`);
    expect(await found({ subject: "deployment/" })).toHaveLength(3);
    expect(await found({ subject: "deployment/a_" })).toEqual([
      "deployment.rollback deployment/a_b",
      "deployment.create deployment/a_b",
    ]);
    expect(await found({ subject: "%" })).toEqual([]);
    expect(await found({ actor: "system:rollback" })).toEqual(["deployment.rollback deployment/a_b"]);
    expect(await found({ action: "token.create", actor: "ada" })).toEqual(["token.create token/1"]);
  });

  it("writes down only the size of what is very large", async () => {
    await audit.record({ actor: ada, action: "x.y", subject: "x", after: { text: "x".repeat(100_000) } });
    expect((await audit.list({}, undefined, 1))[0]?.after).toEqual({ omitted: "100011 characters" });
  });
});
