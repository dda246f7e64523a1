import { afterAll, describe, expect, it } from "vitest";
import type { Alert } from "../../../../models/monitoring/schemas.ts";
import type { Prediction } from "../../../../models/serving/index.ts";
import { call } from "../../../support/application.ts";
import { bearer } from "../../../support/tokens.ts";
import { closeGrounds, type Ground, ground } from "../ground.ts";
import { column, prediction } from "../predictions.ts";

// What a new version does, told in every setting that the policy knows, with what must come of it: the table is written
// by hand, from what the policy promises. Every decision is replayed from its evidence.

type Outcome = "rolled_back" | "dry_run" | "refused";

afterAll(closeGrounds);

const policy = {
  policy: "rollback",
  bakeMinutes: 60,
  minimumRequests: 50,
  thresholds: { latencyP95Ms: 500 },
};
const failed = { status: "error", outputs: {} } as const;

interface Cause {
  /** How one of a hundred requests differs from a good one; undefined for a good one. */
  of(index: number): Partial<Prediction> | undefined;
  readonly requests?: number;
  readonly isFault: boolean;
}

const causes: Readonly<Record<string, Cause>> = {
  "fails half of its requests": {
    of: (i) => (i % 2 === 0 ? { ...failed, errorKind: "internal" } : undefined),
    isFault: true,
  },
  "breaks in every run": { of: () => ({ ...failed, errorKind: "run_failed" }), isFault: true },
  "answers NaN for a segment": {
    of: (i) => (i % 3 === 0 ? { outputs: { probability: column([Number.NaN]) } } : undefined),
    isFault: true,
  },
  "is slow": { of: () => ({ durationMs: 900 }), isFault: true },
  "is asked wrongly by its callers": {
    of: (i) => (i % 2 === 0 ? { ...failed, errorKind: "invalid" } : undefined),
    isFault: false,
  },
  "sees other data": { of: () => ({ outputs: { probability: column([0.99]) } }), isFault: false },
  "fails, but was hardly asked": {
    of: () => ({ ...failed, errorKind: "internal" }),
    requests: 10,
    isFault: false,
  },
  "is not asked at all": { of: () => undefined, requests: 0, isFault: false },
  "is sound": { of: () => undefined, isFault: false },
};

interface Story {
  readonly made: Ground;
  readonly deployment: string;
  readonly cause: Cause;
  revision: number;
}

interface Setting {
  readonly monitor?: object;
  tell?(story: Story): Promise<void>;
  /** Of a fault; nothing ever follows where there is none. */
  readonly outcomes: readonly Outcome[];
}

async function ask(
  { made, deployment, revision }: Story,
  version: string,
  { of, requests = 100 }: Cause,
): Promise<void> {
  for (let i = 0; i < requests; i++) {
    made.serving.predict(
      prediction({
        requestId: `${deployment}-${made.clock()}-${version}-${i}`,
        atMs: made.clock(),
        deployment,
        modelVersion: version,
        revision,
        ...of(i),
      }),
    );
  }
}

async function look({ made }: Story, minutes = 1): Promise<void> {
  made.clock.advance(minutes * 60_000);
  await made.timer("monitoring-watch");
}

function deploy(story: Story, ...versions: string[]): void {
  story.revision = story.made.serving.deploy(story.deployment, ...versions).revision;
}

const sound: Cause = { of: () => undefined, isFault: false };
const faulty: Cause = { of: () => ({ ...failed, errorKind: "internal" }), isFault: true };

/** The usual story: the version before is sound, the new one comes. */
async function usual(story: Story): Promise<void> {
  await ask(story, "1", sound);
  await look(story);
  deploy(story, "2");
  for (let i = 0; i < 2; i++) {
    await ask(story, "2", story.cause);
    await look(story);
  }
}

const settings: Readonly<Record<string, Setting>> = {
  "after a sound version": { tell: usual, outcomes: ["rolled_back"] },
  "under a monitor that only tries": { monitor: { dryRun: true }, tell: usual, outcomes: ["dry_run"] },
  "under a monitor that only notifies": { monitor: { policy: "notify" }, tell: usual, outcomes: [] },
  "under a monitor that is off": { monitor: { enabled: false }, tell: usual, outcomes: [] },
  "beside the sound version, both asked": {
    async tell(story) {
      await ask(story, "1", sound);
      await look(story);
      deploy(story, "1", "2");
      for (let i = 0; i < 2; i++) {
        await ask(story, "1", sound);
        await ask(story, "2", story.cause);
        await look(story);
      }
    },
    outcomes: ["rolled_back"],
  },
  "while the version beside it does the same": {
    async tell(story) {
      await ask(story, "1", sound);
      await look(story);
      deploy(story, "1", "2");
      for (let i = 0; i < 2; i++) {
        await ask(story, "1", story.cause);
        await ask(story, "2", story.cause);
        await look(story);
      }
    },
    outcomes: [],
  },
  "as the version before did": {
    async tell(story) {
      await ask(story, "1", story.cause);
      await look(story);
      deploy(story, "2");
      for (let i = 0; i < 2; i++) {
        await ask(story, "2", story.cause);
        await look(story);
      }
    },
    outcomes: [],
  },
  "only after its bake time": {
    async tell(story) {
      await ask(story, "1", sound);
      await look(story);
      deploy(story, "2");
      await ask(story, "2", sound);
      await look(story, 70);
      for (let i = 0; i < 2; i++) {
        await ask(story, "2", story.cause);
        await look(story);
      }
    },
    outcomes: [],
  },
  "as the first version of all": {
    async tell(story) {
      for (let i = 0; i < 2; i++) {
        await ask(story, "1", story.cause);
        await look(story);
      }
    },
    outcomes: [],
  },
  "and a person puts it back": {
    async tell(story) {
      await usual(story);
      deploy(story, "2");
      for (let i = 0; i < 2; i++) {
        await ask(story, "2", story.cause);
        await look(story);
      }
    },
    outcomes: ["refused", "rolled_back"],
  },
  "after three other versions were taken back that day": {
    async tell(story) {
      await ask(story, "1", sound);
      await look(story);
      for (const version of ["7", "8", "9"]) {
        deploy(story, version);
        await ask(story, version, faulty);
        await look(story);
      }
      deploy(story, "2");
      for (let i = 0; i < 2; i++) {
        await ask(story, "2", story.cause);
        await look(story);
      }
    },
    outcomes: ["refused"],
  },
  "though the one who set the monitor up may no longer": {
    async tell(story) {
      const { made, deployment } = story;
      const issued = await call(made.app, "POST", "/api/v1/tokens", { name: "ben", role: "operator" });
      const { id, token } = issued.body as { id: string; token: string };
      const spec = { target: { deployment }, ...policy };
      await call(made.app, "PUT", `/api/v1/monitors/${deployment}`, spec, bearer(token));
      await call(made.app, "DELETE", `/api/v1/tokens/${id}`);
      await usual(story);
    },
    outcomes: ["refused"],
  },
};

/** Decisions about version 2, the newest first. */
async function decisionsOf({ made, deployment }: Story) {
  const answer = await call(made.app, "GET", `/api/v1/rollbacks?deployment=${deployment}&limit=100`);
  const { items } = answer.body as { items: { id: string; version: string; outcome: Outcome }[] };
  return items.filter(({ version }) => version === "2" || version === "1");
}

describe.each(Object.entries(settings))("a version, %s", (_, setting) => {
  const made = ground();
  let number = 0;

  it.each(Object.entries(causes))("that %s", async (_name, cause) => {
    const story: Story = { made: await made, deployment: `story-${number++}`, cause, revision: 0 };
    deploy(story, "1");
    await story.made.put(story.deployment, {
      target: { deployment: story.deployment },
      ...policy,
      ...setting.monitor,
    });
    await setting.tell?.(story);
    const decisions = await decisionsOf(story);
    expect(decisions.map(({ outcome }) => outcome)).toEqual(cause.isFault ? setting.outcomes : []);
    const done = story.made.serving.rollbacks.filter(
      ({ name, by }) => name === story.deployment && by.reason?.startsWith("Version 2 "),
    );
    expect(done).toHaveLength(decisions.filter(({ outcome }) => outcome === "rolled_back").length);
    for (const { id } of decisions) {
      const { body } = await call(story.made.app, "POST", `/api/v1/rollbacks/${id}/replay`);
      const { body: detail } = await call(story.made.app, "GET", `/api/v1/rollbacks/${id}`);
      const { judgement } = detail as { judgement: object };
      expect(body).toMatchObject({ agrees: true, judgement });
    }
  });
});

describe("what is not there", () => {
  it("is answered 404, and a decision of another name has no replay", async () => {
    const made = await ground();
    expect((await call(made.app, "GET", "/api/v1/rollbacks/nothing")).status).toBe(404);
    expect((await call(made.app, "POST", "/api/v1/rollbacks/nothing/replay")).status).toBe(404);
    const { items } = (await call(made.app, "GET", "/api/v1/alerts")).body as { items: Alert[] };
    expect(items).toEqual([]);
  });
});
