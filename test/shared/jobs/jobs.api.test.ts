import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import type { Job, JobContext, JobKind } from "../../../shared/jobs/index.ts";
import { call, type TestApplication, testGround } from "../../support/application.ts";
import { bearer, createTokenFor, testAdminToken } from "../../support/tokens.ts";
import { ada } from "./ground.ts";

const Spec = z.object({
  rows: z.number(),
  source: z.object({ url: z.string(), token: z.string() }).optional(),
});
type Context = JobContext<z.infer<typeof Spec>>;
let work: (context: Context) => Promise<unknown> = async () => null;
const kind: JobKind<z.infer<typeof Spec>, unknown> = {
  kind: "test.work",
  spec: Spec,
  role: "contributor",
  run: (context) => work(context),
};

let ground: TestApplication;
let viewer: Record<string, string>;
let contributor: Record<string, string>;

beforeAll(async () => {
  ground = await testGround({
    env: { KETLINE_ADMIN_TOKEN: testAdminToken },
    capabilities: () => [{ routes: [], jobKinds: [kind], timers: [] }],
  });
  viewer = bearer(await createTokenFor(ground.app, "viewer"));
  contributor = bearer(await createTokenFor(ground.app, "contributor"));
});
afterAll(() => ground.close());

async function submit(run: typeof work = async () => null): Promise<Job> {
  work = run;
  ground.clock.advance(1);
  return ground.jobs.submit(kind, { rows: 3 }, { actor: ada });
}

const get = (path: string) => call(ground.app, "GET", `/api/v1/jobs${path}`, undefined, viewer);
const post = (path: string, body?: unknown, headers = contributor) =>
  call(ground.app, "POST", `/api/v1/jobs${path}`, body, headers);

describe("jobs over HTTP", () => {
  it("are followed to their result", async () => {
    const { id } = await submit(async ({ spec }) => spec.rows);
    expect(await get(`/${id}`)).toMatchObject({
      status: 200,
      body: { id, state: "queued", spec: { rows: 3 } },
    });
    await ground.runner.drain();
    expect(await get(`/${id}`)).toMatchObject({ body: { state: "succeeded", result: 3, progress: 1 } });
  });

  it("do not show the credentials that their spec holds for somewhere else", async () => {
    ground.clock.advance(1);
    const { id } = await ground.jobs.submit(
      kind,
      { rows: 1, source: { url: "https://x.example", token: "s3cr3t" } },
      { actor: ada },
    );
    for (const path of ["", `/${id}`]) {
      const shown = JSON.stringify((await get(path)).body);
      expect(shown).toContain("https://x.example");
      expect(shown).not.toContain("s3cr3t");
    }
    await ground.jobs.cancel(id, ada);
    const events = await ground.app.request(`/api/v1/jobs/${id}/events`, { headers: viewer });
    expect(await events.text()).not.toContain("s3cr3t");
  });

  it("are not found by an id that nobody has", async () => {
    for (const path of ["/nobody", "/nobody/logs", "/nobody/events"]) {
      expect(await get(path)).toMatchObject({ status: 404, body: { detail: 'There is no job "nobody".' } });
    }
    expect(await post("/nobody/cancel")).toMatchObject({ status: 404 });
    expect(await post("/nobody/retry")).toMatchObject({ status: 404 });
  });

  it("are listed newest first, in pages that neither miss nor repeat one", async () => {
    const newest = [await submit(), await submit(), await submit()].map((job) => job.id).reverse();
    const first = await get("?kind=test.work&state=queued&limit=2");
    const { items, nextCursor } = first.body as { items: Job[]; nextCursor: string };
    expect(items.map((job) => job.id)).toEqual(newest.slice(0, 2));
    const second = await get(`?kind=test.work&state=queued&limit=2&cursor=${nextCursor}`);
    expect((second.body as { items: Job[] }).items[0]?.id).toBe(newest[2]);
    await ground.runner.drain();
    expect(await get("?state=queued")).toMatchObject({ body: { items: [] } });
    expect(await get("?state=queued")).not.toHaveProperty("body.nextCursor");
  });

  it.each([
    ["?state=done", "state"],
    ["?limit=0", "limit"],
    ["?limit=1001", "limit"],
    ["?cursor=bm9uc2Vuc2U", "cursor"],
  ])("are not listed with %s", async (query, field) => {
    expect(await get(query)).toMatchObject({ status: 400, body: { field } });
  });

  it("show what they logged, page by page, and where to read on", async () => {
    const { id } = await submit(async ({ log }) => log("one\ntwo\nthree"));
    expect(await get(`/${id}/logs`)).toMatchObject({ status: 200, body: { items: [] } });
    const before = (await get(`/${id}/logs`)).body as { resumeCursor: string };
    await ground.runner.drain();
    const first = (await get(`/${id}/logs?limit=2&cursor=${before.resumeCursor}`)).body as {
      items: { text: string }[];
      nextCursor: string;
    };
    expect(first.items.map((line) => line.text)).toEqual(["one", "two"]);
    const last = (await get(`/${id}/logs?limit=2&cursor=${first.nextCursor}`)).body;
    expect(last).toMatchObject({ items: [{ line: 3, attempt: 1, text: "three" }] });
    expect(last).not.toHaveProperty("nextCursor");
  });

  it("are cancelled with a reason, by who may submit them", async () => {
    const { id } = await submit();
    expect((await post(`/${id}/cancel`, undefined, viewer)).status).toBe(403);
    expect(await post(`/${id}/cancel`, { reason: "wrong month" })).toMatchObject({
      status: 200,
      body: { state: "cancelled", error: "Cancelled by contributor: wrong month" },
    });
    expect(await post(`/${id}/retry`)).toMatchObject({ status: 202, body: { state: "queued", error: null } });
    await ground.runner.drain();
    expect(await post(`/${id}/cancel`)).toMatchObject({ status: 409 });
    expect(await post(`/${id}/retry`)).toMatchObject({ status: 409 });
    expect(await post(`/${id}/cancel`, { reason: 7 })).toMatchObject({
      status: 400,
      body: { field: "reason" },
    });
  });
});

describe("a job's events", () => {
  it("follow a running job to its end, lines and all", async () => {
    let finish: () => void = () => {};
    const finished = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const { id } = await submit(async ({ log, progress }) => {
      log("reading");
      progress(0.5, "half way");
      await finished;
      log("writing");
      return "out";
    });
    const response = await ground.app.request(`/api/v1/jobs/${id}/events`, { headers: viewer });
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    const events: { event: string; id?: string; data: Record<string, unknown> }[] = [];
    let running: Promise<unknown> | undefined;
    for await (const event of eventsOf(response)) {
      events.push(event);
      if (event.event === "job" && event.data.state === "queued") running = ground.runner.runOne(id);
      if (event.event === "log" && event.data.text === "reading") finish();
    }
    await running;
    const states = events.filter(({ event }) => event === "job").map(({ data }) => data.state);
    expect(states[0]).toBe("queued");
    expect(states).toContain("running");
    expect(states.at(-1)).toBe("succeeded");
    expect(events.filter(({ event }) => event === "log").map(({ id, data }) => [id, data.text])).toEqual([
      ["1", "reading"],
      ["2", "writing"],
    ]);
    expect(events.at(-1)).toMatchObject({ event: "end", data: { state: "succeeded" } });
  });

  it("of a job that has ended are told at once, the log from where the caller left off", async () => {
    const { id } = await submit(async ({ log }) => log("one\ntwo"));
    await ground.runner.drain();
    const response = await ground.app.request(`/api/v1/jobs/${id}/events`, {
      headers: { ...viewer, "last-event-id": "1" },
    });
    const events = [];
    for await (const event of eventsOf(response)) events.push(event);
    expect(events.map(({ event }) => event)).toEqual(["job", "log", "end"]);
    expect(events[1]?.data).toMatchObject({ line: 2, text: "two" });
  });

  it("are no longer looked for once the caller has gone", async () => {
    const { id } = await submit();
    const response = await ground.app.request(`/api/v1/jobs/${id}/events`, { headers: viewer });
    const reader = response.body?.getReader();
    await reader?.read();
    await reader?.cancel();
    await ground.jobs.cancel(id, ada);
    expect(await reader?.closed).toBeUndefined();
  });
});

/** The events of a stream, as a browser's EventSource would tell them. */
async function* eventsOf(response: Response) {
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      const fields = new Map(
        text
          .slice(0, end)
          .split("\n")
          .map(
            (line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()] as const,
          ),
      );
      text = text.slice(end + 2);
      const event = fields.get("event");
      const id = fields.get("id");
      if (event === undefined) continue;
      yield { event, ...(id === undefined ? {} : { id }), data: JSON.parse(fields.get("data") ?? "null") };
    }
  }
}
