import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { call } from "../../../support/application.ts";
import { type MlflowGround, mlflowGround } from "../../../support/mlflow.ts";
import { expectMlflowError } from "../../../support/mlflow-errors.ts";
import { bearer, createTokenFor, testAdminToken } from "../../../support/tokens.ts";

interface WebhookJson {
  webhook_id: string;
  name: string;
  url: string;
  description?: string;
  events: { entity: string; action: string }[];
  status: string;
  creation_timestamp: number;
  last_updated_timestamp: number;
}

const versionCreated = { entity: "MODEL_VERSION", action: "CREATED" };
const modelCreated = { entity: "REGISTERED_MODEL", action: "CREATED" };
const aliasCreated = { entity: "MODEL_VERSION_ALIAS", action: "CREATED" };

let ground: MlflowGround;
beforeAll(async () => {
  ground = await mlflowGround();
});
afterAll(() => ground?.close());

const post = (fields: object = {}) =>
  ground.send("POST", "/webhooks", {
    name: "test_webhook",
    url: "https://example.com/webhook",
    events: [versionCreated],
    ...fields,
  });
const create = async (fields: object = {}) => {
  const answer = await post(fields);
  expect(answer.status, JSON.stringify(answer.body)).toBe(200);
  return (answer.body as { webhook: WebhookJson }).webhook;
};
const get = async (id: string) =>
  (await ground.ask<{ webhook: WebhookJson }>("GET", `/webhooks/${id}`)).webhook;
const patch = (id: string, fields: object) => ground.send("PATCH", `/webhooks/${id}`, fields);
const invalid = "INVALID_PARAMETER_VALUE";

describe("a webhook", () => {
  it("is created with a name, a URL and an event, active, and read back", async () => {
    const webhook = await create();
    expect(webhook).toEqual({
      webhook_id: expect.stringMatching(/./),
      name: "test_webhook",
      url: "https://example.com/webhook",
      events: [versionCreated],
      status: "ACTIVE",
      creation_timestamp: ground.clock(),
      last_updated_timestamp: ground.clock(),
    });
    expect(await get(webhook.webhook_id)).toEqual(webhook);
  });

  it("keeps the order of its events, each once, named or numbered", async () => {
    const { events } = await create({
      events: [aliasCreated, { entity: 2, action: 1 }, aliasCreated],
    });
    expect(events).toEqual([aliasCreated, versionCreated]);
  });

  it("may be disabled from the beginning, and described", async () => {
    const webhook = await create({ status: "DISABLED", description: "tells the ward" });
    expect(await get(webhook.webhook_id)).toMatchObject({
      status: "DISABLED",
      description: "tells the ward",
    });
  });

  it("is found under the prefix of MLflow's web page too", async () => {
    const { webhook_id, name } = await create();
    const answer = await call(ground.app, "GET", `/ajax-api/2.0/mlflow/webhooks/${webhook_id}`);
    expect(answer.body).toMatchObject({ webhook: { name } });
  });

  it("changes in every part", async () => {
    const before = await create({ name: "original_name", url: "https://example.com/original" });
    ground.clock.advance(5);
    const answer = await patch(before.webhook_id, {
      name: "updated_name",
      url: "https://example.com/updated",
      events: [versionCreated, modelCreated],
      description: "Updated description",
      secret: "new_secret",
      status: "DISABLED",
    });
    const after = {
      ...before,
      name: "updated_name",
      url: "https://example.com/updated",
      events: [versionCreated, modelCreated],
      description: "Updated description",
      status: "DISABLED",
      last_updated_timestamp: before.last_updated_timestamp + 5,
    };
    expect(answer).toMatchObject({ status: 200, body: { webhook: after } });
    expect(await get(before.webhook_id)).toEqual(after);
  });

  it("keeps what a change does not name", async () => {
    const before = await create({
      description: "Original description",
      events: [aliasCreated, modelCreated],
    });
    await patch(before.webhook_id, { name: "updated_name", url: "", events: [] });
    expect(await get(before.webhook_id)).toMatchObject({
      name: "updated_name",
      url: before.url,
      events: before.events,
      description: "Original description",
      status: "ACTIVE",
    });
    await patch(before.webhook_id, { description: "" });
    expect(await get(before.webhook_id)).not.toHaveProperty("description");
  });

  it("is gone when it was deleted", async () => {
    const { webhook_id } = await create();
    expect(await ground.ask("DELETE", `/webhooks/${webhook_id}`)).toEqual({});
    expectMlflowError(
      await ground.send("GET", `/webhooks/${webhook_id}`),
      404,
      "RESOURCE_DOES_NOT_EXIST",
      `Webhook with ID ${webhook_id} not found`,
    );
    const { webhooks = [] } = await ground.ask<{ webhooks?: WebhookJson[] }>("GET", "/webhooks");
    expect(webhooks.map((webhook) => webhook.webhook_id)).not.toContain(webhook_id);
  });

  it.each([
    ["GET", ""],
    ["PATCH", ""],
    ["DELETE", ""],
    ["POST", "/test"],
  ])("that does not exist answers %s with 404", async (method, rest) =>
    expectMlflowError(
      await ground.send(method, `/webhooks/nonexistent${rest}`, { name: "new_name" }),
      404,
      "RESOURCE_DOES_NOT_EXIST",
      "Webhook with ID nonexistent not found",
    ),
  );

  it.each([
    [{ name: "" }, /Missing value for required parameter 'name'/],
    [{ name: "   " }, /Webhook name ' {3}' is invalid/],
    [{ name: "-x" }, /Webhook name '-x' is invalid/],
    [{ name: "x".repeat(64) }, /Webhook name .* is invalid/],
    [{ name: 5 }, /Invalid value 5 for parameter 'name'/],
    [{ url: "" }, /Missing value for required parameter 'url'/],
    [{ url: "   " }, /Webhook URL cannot be empty or just whitespace/],
    [{ url: "ftp://example.com" }, /Invalid webhook URL scheme: 'ftp'/],
    [{ url: "http://example.com" }, /Invalid webhook URL scheme: 'http'/],
    [{ url: "http://[invalid" }, /Invalid webhook URL/],
    [{ url: "https://169.254.169.254/" }, /not a public address/],
    [{ events: undefined }, /Missing value for required parameter 'events'/],
    [{ events: [] }, /must be a non-empty list/],
    [{ events: "MODEL_VERSION" }, /parameter 'events'/],
    [{ events: [{ entity: "MODEL_VERSION" }] }, /Missing value for required parameter 'events\[0\]\.action'/],
    [{ events: [{ entity: "CAT", action: "CREATED" }] }, /'events\[0\]\.entity'.*one of REGISTERED_MODEL/],
    [
      { events: [{ entity: "REGISTERED_MODEL", action: "SET" }] },
      /Invalid action 'set' for entity 'registered_model'\. Valid actions are: \['created'\]/,
    ],
    [{ status: "PAUSED" }, /one of ACTIVE, DISABLED is expected/],
    [{ description: "x".repeat(1001) }, /maximum length of 1000/],
    [{ secret: "x".repeat(1001) }, /maximum length of 1000/],
    [{ secret: "a\0b" }, /NUL/],
  ])("is not created with %j", async (fields, message) =>
    expectMlflowError(await post(fields), 400, invalid, message),
  );

  it.each([
    [{ name: "a b" }, /Webhook name 'a b' is invalid/],
    [{ url: "   " }, /Webhook URL cannot be empty or just whitespace/],
    [{ url: "ftp://example.com" }, /Invalid webhook URL scheme/],
    [{ url: "http://[invalid" }, /Invalid webhook URL/],
    [{ url: "https://[::ffff:10.0.0.1]/" }, /not a public address/],
    [{ events: [{ entity: "PROMPT", action: "DELETED" }] }, /Invalid action 'deleted' for entity 'prompt'/],
  ])("is not changed to %j", async (fields, message) => {
    const before = await create();
    expectMlflowError(await patch(before.webhook_id, fields), 400, invalid, message);
    expect(await get(before.webhook_id)).toEqual(before);
  });
});

describe("the list of webhooks", () => {
  it("is paged, newest first, none twice and none left out", async () => {
    const own = await mlflowGround();
    try {
      const made: string[] = [];
      for (let index = 0; index < 5; index++) {
        if (index !== 3) own.clock.advance(1);
        const fields = { name: `w${index}`, url: `https://example.com/${index}`, events: [versionCreated] };
        const { webhook } = await own.ask<{ webhook: WebhookJson }>("POST", "/webhooks", fields);
        made.push(webhook.webhook_id);
      }
      const seen: WebhookJson[] = [];
      let pages = 0;
      let page_token: string | undefined;
      do {
        const page = await own.ask<{ webhooks: WebhookJson[]; next_page_token?: string }>(
          "GET",
          "/webhooks",
          {
            max_results: 2,
            ...(page_token === undefined ? {} : { page_token }),
          },
        );
        pages++;
        seen.push(...page.webhooks);
        page_token = page.next_page_token;
      } while (page_token !== undefined);
      expect(pages).toBe(3);
      expect(seen.map((webhook) => webhook.webhook_id).toSorted()).toEqual(made.toSorted());
      const times = seen.map((webhook) => webhook.creation_timestamp);
      expect(times).toEqual(times.toSorted((a, b) => b - a));
    } finally {
      await own.close();
    }
  });

  it.each([
    [{ max_results: -1 }, /max_results must be between 1 and 1000/],
    [{ max_results: 1001 }, /max_results must be between 1 and 1000/],
    [{ max_results: "many" }, /max_results/],
    [{ page_token: "garbage" }, /Invalid page token/],
  ])("refuses %j", async (fields, message) =>
    expectMlflowError(await ground.send("GET", "/webhooks", fields), 400, invalid, message),
  );
});

describe("a webhook's secret", () => {
  it("is in no answer, no log line, no audit entry and not readable in the database", async () => {
    const secret = "correct-horse-battery-staple";
    const another = "another-battery-staple";
    const created = await post({ secret });
    const { webhook_id } = (created.body as { webhook: WebhookJson }).webhook;
    const answers = [created];
    answers.push(await ground.send("GET", `/webhooks/${webhook_id}`));
    answers.push(await patch(webhook_id, { secret: another }));
    answers.push(await ground.send("GET", "/webhooks"));
    const entries = await ground.audit.list({ subject: `webhook/${webhook_id}` }, undefined, 10);
    expect(entries.map(({ action }) => action)).toEqual(["webhook.updated", "webhook.created"]);
    expect(entries[0]).toMatchObject({ before: { signs: true }, after: { secretChanged: true } });
    const rows = await ground.database
      .tables<{ registry_webhook: Record<string, unknown> }>()
      .selectFrom("registry_webhook")
      .selectAll()
      .execute();
    expect(rows.length).toBeGreaterThan(0);
    for (const told of [answers, entries, ground.logged, rows]) {
      expect(JSON.stringify(told)).not.toMatch(/battery-staple/);
    }
  });
});

describe("changes of webhooks", () => {
  it("are in the audit log with what stood there before and after", async () => {
    const { webhook_id } = await create({ name: "audited" });
    await patch(webhook_id, { status: "DISABLED" });
    await ground.ask("DELETE", `/webhooks/${webhook_id}`);
    const entries = await ground.audit.list({ subject: `webhook/${webhook_id}` }, undefined, 10);
    expect(entries.toReversed().map(({ action, before, after }) => [action, before, after])).toMatchObject([
      ["webhook.created", null, { name: "audited", status: "ACTIVE", signs: false }],
      ["webhook.updated", { status: "ACTIVE" }, { status: "DISABLED" }],
      ["webhook.deleted", { status: "DISABLED" }, null],
    ]);
  });
});

describe("who is no operator", () => {
  it("neither sees webhooks, whose URLs are often secrets, nor makes them", async () => {
    const guarded = await mlflowGround({ KETLINE_ADMIN_TOKEN: testAdminToken });
    try {
      const contributor = bearer(await createTokenFor(guarded.app, "contributor"));
      const operator = bearer(await createTokenFor(guarded.app, "operator"));
      const body = { name: "w", url: "https://example.com/", events: [versionCreated] };
      for (const [method, path] of [
        ["GET", "/api/2.0/mlflow/webhooks"],
        ["GET", "/api/2.0/mlflow/webhooks/x"],
        ["POST", "/api/2.0/mlflow/webhooks"],
        ["PATCH", "/api/2.0/mlflow/webhooks/x"],
        ["DELETE", "/ajax-api/2.0/mlflow/webhooks/x"],
        ["POST", "/api/2.0/mlflow/webhooks/x/test"],
        ["GET", "/api/v1/webhooks/x/deliveries"],
        ["POST", "/api/v1/webhooks/x/deliveries/y/retry"],
      ] as const) {
        const answer = await call(
          guarded.app,
          method,
          path,
          method === "GET" ? undefined : body,
          contributor,
        );
        expect([method, path, answer.status]).toEqual([method, path, 403]);
      }
      const answer = await call(guarded.app, "POST", "/api/2.0/mlflow/webhooks", body, operator);
      expect(answer.status).toBe(200);
    } finally {
      await guarded.close();
    }
  });
});
