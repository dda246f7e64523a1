import type { BlobStore } from "../../shared/blobs/index.ts";
import type { Clock } from "../../shared/clock.ts";
import { conflict, invalid, notFound } from "../../shared/errors.ts";
import type { Actor } from "../../shared/identity/index.ts";
import { type ResultFormat, resultFormats } from "../results/results.ts";
import {
  containerPrefix,
  type JobDocument,
  jobDocument,
  type SessionDocument,
  sessionDocument,
} from "./documents.ts";
import { checkInputFormat, readParams } from "./inputs.ts";
import type { ItemKey, ItemQuery, ItemRow, ItemStore } from "./store.ts";
import { localProvider, localTarget, localTargets } from "./targets.ts";
import type { JobBody, JobUpdate, SessionBody } from "./wire.ts";

/** The local workspace: what the data plane's calls do, whoever makes them. `workspace` is the key of a scope. */
export interface LocalWorkspace {
  /**
   * Takes a job. The same job again under its id is answered as it is by now.
   *
   * @param insert stores it, where more is to be written with it. @returns whether it was new
   * @throws invalid for an unknown target or format; conflict when the id holds another job or the session is closed
   */
  putJob(
    workspace: string,
    id: string,
    body: JobBody,
    actor: Actor,
    insert?: (row: ItemRow) => Promise<boolean>,
  ): Promise<{ row: ItemRow; created: boolean }>;
  job(workspace: string, id: string): Promise<ItemRow>;
  list(query: ItemQuery): Promise<readonly ItemRow[]>;
  cancelJob(workspace: string, id: string): Promise<ItemRow>;
  updateJob(workspace: string, id: string, update: JobUpdate): Promise<ItemRow>;
  /** @throws conflict while it executes */
  deleteJob(workspace: string, id: string): Promise<void>;
  putSession(workspace: string, id: string, body: SessionBody, actor: Actor): Promise<ItemRow>;
  session(workspace: string, id: string): Promise<ItemRow>;
  closeSession(workspace: string, id: string): Promise<ItemRow>;
  /** Fails a job that nobody executes any more. */
  abandonJob(row: ItemRow, message: string): Promise<void>;
  /** Counts a failed job of a session and, where its policy says so, fails the session and cancels what waits. */
  jobFailed(row: ItemRow): Promise<void>;
}

/** States that a job does not leave. */
const ended = ["Completed", "Failed", "Cancelled"] as const;
const cancellable = ["Waiting", "Executing"] as const;
const openSessions = ["Waiting", "Executing"] as const;
const maxItems = 1000;

export function createLocalWorkspace(options: {
  readonly items: ItemStore;
  readonly blobs: BlobStore;
  readonly clock: Clock;
}): LocalWorkspace {
  const { items, blobs, clock } = options;

  const find = async (key: ItemKey): Promise<ItemRow> => {
    const row = await items.get(key);
    if (row !== undefined) return row;
    throw notFound(
      `There is no ${key.item_type.toLowerCase()} "${key.id}" in the workspace ${key.workspace}.`,
    );
  };

  async function openSession(workspace: string, id: string, target: string): Promise<void> {
    const session = await find({ workspace, item_type: "Session", id });
    if (!isOneOf(openSessions, session.state)) {
      throw conflict(`The session ${id} is ${session.state}; it takes no more jobs.`);
    }
    if (session.target !== target) {
      throw invalid(`The job's target is ${target}; its session ${id} is for ${session.target}.`, {
        field: "sessionId",
      });
    }
    await items.change(session, { states: ["Waiting"] }, { state: "Executing", modified_ms: clock() });
  }

  async function cancel(row: ItemRow): Promise<ItemRow> {
    const nowMs = clock();
    const document: JobDocument = { ...jobDocument(row), cancelMs: nowMs, endMs: nowMs };
    const changes = { state: "Cancelled", modified_ms: nowMs, document: JSON.stringify(document) };
    return (await items.change(row, { states: cancellable }, changes)) ?? find(row);
  }

  const workspace: LocalWorkspace = {
    async putJob(scope, id, body, actor, insert = items.insert) {
      checkId(id);
      const target = localTarget(body.target);
      if (target === undefined) throw unknownTarget(body.target);
      const format = body.inputDataFormat ?? "";
      checkInputFormat(format);
      const inputParams = body.inputParams ?? {};
      readParams(inputParams, target);
      const container = containerOf(body.containerUri, scope);
      const nowMs = clock();
      const document: JobDocument = {
        container,
        inputKey: inputKeyOf(body.inputDataUri ?? undefined, scope, container),
        inputDataFormat: format,
        inputParams,
        outputDataFormat: outputFormatOf(body.outputDataFormat ?? ""),
        metadata: body.metadata ?? {},
        priority: body.priority ?? "Standard",
        tags: body.tags ?? [],
        createdBy: actor.name,
        beginMs: null,
        endMs: null,
        cancelMs: null,
        error: null,
        usage: {},
      };
      const row: ItemRow = {
        workspace: scope,
        item_type: "Job",
        id,
        name: body.name ?? "",
        job_type: body.jobType ?? "QuantumComputing",
        provider_id: localProvider,
        target: target.id,
        state: "Waiting",
        session_id: body.sessionId ?? null,
        created_ms: nowMs,
        modified_ms: nowMs,
        owner: null,
        document: JSON.stringify(document),
      };
      const existing = await items.get(row);
      if (existing !== undefined) return { row: sameJob(existing, row), created: false };
      if (row.session_id !== null) await openSession(scope, row.session_id, target.id);
      if (await insert(row)) return { row, created: true };
      return { row: sameJob(await find(row), row), created: false };
    },

    job: (scope, id) => find({ workspace: scope, item_type: "Job", id }),
    list: (query) => items.list(query),

    async cancelJob(scope, id) {
      return cancel(await find({ workspace: scope, item_type: "Job", id }));
    },

    async updateJob(scope, id, update) {
      const row = await find({ workspace: scope, item_type: "Job", id });
      const document = jobDocument(row);
      const changed = await items.change(
        row,
        { states: [row.state] },
        {
          name: update.name ?? row.name,
          modified_ms: clock(),
          document: JSON.stringify({
            ...document,
            priority: update.priority ?? document.priority,
            tags: update.tags ?? document.tags,
          }),
        },
      );
      if (changed === undefined) throw conflict(`The job ${id} changed just now; send the update again.`);
      return changed;
    },

    async deleteJob(scope, id) {
      const row = await find({ workspace: scope, item_type: "Job", id });
      if (!isOneOf(ended, row.state)) {
        throw conflict(`The job ${id} is ${row.state}; cancel it first, then delete it.`);
      }
      await items.remove(row);
      const prefix = `${containerPrefix(scope, jobDocument(row).container)}/`;
      for (;;) {
        const { blobs: page, cursor } = await blobs.list(prefix, {});
        for (const { key } of page) await blobs.delete(key);
        if (cursor === undefined) break;
      }
    },

    async putSession(scope, id, body, actor) {
      checkId(id);
      const target = localTarget(body.target);
      if (target === undefined) throw unknownTarget(body.target);
      const nowMs = clock();
      const document: SessionDocument = {
        jobFailurePolicy: body.jobFailurePolicy ?? "Abort",
        priority: body.priority ?? "Standard",
        tags: body.tags ?? [],
        createdBy: actor.name,
        beginMs: nowMs,
        endMs: null,
        failedJobs: 0,
      };
      const row: ItemRow = {
        workspace: scope,
        item_type: "Session",
        id,
        name: body.name ?? `session-${id}`,
        job_type: "Unknown",
        provider_id: localProvider,
        target: target.id,
        state: "Waiting",
        session_id: null,
        created_ms: nowMs,
        modified_ms: nowMs,
        owner: null,
        document: JSON.stringify(document),
      };
      await items.insert(row);
      return find(row);
    },

    session: (scope, id) => find({ workspace: scope, item_type: "Session", id }),

    async closeSession(scope, id) {
      const row = await find({ workspace: scope, item_type: "Session", id });
      const document = sessionDocument(row);
      const state = document.failedJobs > 0 ? "Failure(s)" : "Succeeded";
      const changes = {
        state,
        modified_ms: clock(),
        document: JSON.stringify({ ...document, endMs: clock() }),
      };
      return (await items.change(row, { states: openSessions }, changes)) ?? find(row);
    },

    async abandonJob(row, message) {
      const document = { ...jobDocument(row), error: { code: "Abandoned", message }, endMs: clock() };
      const failed = await items.change(
        row,
        { states: ["Executing"] },
        { state: "Failed", modified_ms: clock(), document: JSON.stringify(document) },
      );
      if (failed !== undefined) await workspace.jobFailed(failed);
    },

    async jobFailed(job) {
      const { workspace: scope, session_id: id } = job;
      if (id === null) return;
      const row = await find({ workspace: scope, item_type: "Session", id });
      const document = sessionDocument(row);
      const aborts = document.jobFailurePolicy === "Abort";
      const endMs = aborts ? clock() : null;
      await items.change(
        row,
        { states: openSessions },
        {
          state: aborts ? "Failed" : row.state,
          modified_ms: clock(),
          document: JSON.stringify({ ...document, failedJobs: document.failedJobs + 1, endMs }),
        },
      );
      if (!aborts) return;
      const order = { column: "created_ms", descending: false } as const;
      const others = await items.list({ workspace: scope, sessionId: id, order, skip: 0, limit: maxItems });
      for (const other of others) if (other.state === "Waiting") await cancel(other);
    },
  };
  return workspace;
}

/** @throws conflict when what is stored under the id is another job than the one that was sent */
function sameJob(stored: ItemRow, sent: ItemRow): ItemRow {
  if (stored.target === sent.target && jobDocument(stored).inputKey === jobDocument(sent).inputKey)
    return stored;
  throw conflict(`The job id ${sent.id} is taken by another job.`);
}

function checkId(id: string): void {
  if (/^[A-Za-z0-9][\w.-]{0,99}$/.test(id)) return;
  throw invalid(`The id "${id}" is none of letters, digits, hyphens, dots and underscores, up to 100.`, {
    field: "id",
  });
}

/** @throws invalid when the name is none of a container */
export function checkContainer(container: string): void {
  if (/^[A-Za-z0-9][\w-]{0,98}$/.test(container)) return;
  throw invalid(`The container "${container}" is none of letters, digits and hyphens, up to 99.`, {
    field: "containerName",
  });
}

function containerOf(uri: string, workspace: string): string {
  const [container = "", ...rest] = withinStorage(uri, workspace, "containerUri").split("/");
  if (rest.join("") !== "") throw outsideStorage(uri, "containerUri");
  checkContainer(container);
  return container;
}

function inputKeyOf(uri: string | undefined, workspace: string, container: string): string {
  if (uri === undefined) return `${containerPrefix(workspace, container)}/inputData`;
  const [given = "", ...blob] = withinStorage(uri, workspace, "inputDataUri").split("/");
  if (blob.join("") === "") throw outsideStorage(uri, "inputDataUri");
  return `${containerPrefix(workspace, given)}/${blob.join("/")}`;
}

/** What follows the workspace's storage in an address of ours, decoded. */
function withinStorage(uri: string, workspace: string, field: string): string {
  let path: string;
  try {
    path = decodeURIComponent(new URL(uri).pathname);
  } catch {
    throw outsideStorage(uri, field);
  }
  const root = `/blobs/${containerPrefix(workspace, "")}`;
  const at = path.indexOf(root);
  if (at < 0) throw outsideStorage(uri, field);
  return path.slice(at + root.length);
}

function outsideStorage(uri: string, field: string) {
  return invalid(
    `${field} is "${uri.split("?")[0]}"; it must be an address that storage/sasUri of this workspace gave out.`,
    { field },
  );
}

function outputFormatOf(format: string): ResultFormat {
  const known = resultFormats.find((one) => one === format);
  if (known !== undefined) return known;
  if (format === "") return resultFormats[0];
  throw invalid(
    `outputDataFormat is "${format}"; the local workspace writes ${resultFormats.join(" and ")}.`,
    {
      field: "outputDataFormat",
    },
  );
}

function unknownTarget(target: string) {
  const known = localTargets.map(({ id }) => id).join(", ");
  return invalid(`The workspace has no target "${target}"; it has ${known}.`, { field: "target" });
}

function isOneOf(states: readonly string[], state: string): boolean {
  return states.includes(state);
}
