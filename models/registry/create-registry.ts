import { z } from "zod";
import type { BlobStore } from "../../shared/blobs/index.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Database } from "../../shared/database/index.ts";
import { decodeCursor, page } from "../../shared/http/index.ts";
import type { AuditLog } from "../../shared/identity/index.ts";
import { prefixOf, type Tracking } from "../tracking/index.ts";
import { deleteAlias, findByAlias, setAlias } from "./aliases.ts";
import { type RegistryContext, storeOf } from "./context.ts";
import { refuseFrozen } from "./files/frozen-artifacts.ts";
import { ensureModel } from "./models.ts";
import type { ModelSummary, ModelVersion, Registry } from "./registry.ts";
import { historyRoutes } from "./routes/history.ts";
import { modelRoutes } from "./routes/models.ts";
import { versionRoutes } from "./routes/versions.ts";
import { readRevision } from "./store/events.ts";
import { type LoadedModel, loadModels, selectModelNames } from "./store/models.ts";
import { type LoadedVersion, selectVersionsOfRuns } from "./store/versions.ts";
import { createVersion, getVersion, listVersions, manifestOf, requireVersion } from "./versions.ts";

export interface RegistryOptions {
  readonly database: Database;
  readonly blobs: BlobStore;
  readonly tracking: Tracking;
  readonly clock: Clock;
  readonly audit: AuditLog;
  /** Told when a change has something for webhooks in the outbox; without them nobody sends it. */
  readonly webhooks?: { wake(): void };
}

/** MLflow's model registry, with a history, over the given stores. */
export function createRegistry(options: RegistryOptions): Registry {
  const { database, blobs, tracking, clock, audit, webhooks } = options;
  const context: RegistryContext = { database, blobs, tracking, clock, audit, webhooks };
  return {
    routes: [...modelRoutes(context), ...versionRoutes(context), ...historyRoutes(context)],
    jobKinds: [],
    timers: [],

    ensureModel: (name, actor) => ensureModel(context, name, { actor }),

    async createVersion({ name, source, runId = "", tags = {}, description = "", actor }) {
      const version = await createVersion(
        context,
        {
          name,
          source,
          runId,
          runLink: "",
          loggedModelId: "",
          description,
          tags: Object.entries(tags).map(([key, value]) => ({ key, value })),
        },
        { actor },
      );
      return versionOf(version);
    },

    getVersion: async (name, version) => versionOf(await getVersion(context, name, version)),

    async getByAlias(name, alias) {
      const version = await findByAlias(context, name, alias);
      return version === null ? null : versionOf(version);
    },

    async getNewestReady(name) {
      const version = await findByAlias(context, name, "latest");
      return version === null ? null : versionOf(version);
    },

    async listModels({ limit = 100, cursor } = {}) {
      const store = storeOf(context);
      const after = decodeCursor(ModelPosition, cursor)?.name;
      const found = await selectModelNames(store, { after, limit: limit + 1 });
      const models = await loadModels(
        store,
        found.map(({ model_uid }) => model_uid),
      );
      return page(models, limit, summaryOf, ({ name }) => ({ name }));
    },

    listVersions: async (name) => (await listVersions(context, name)).map(versionOf),

    async versionsOfRuns(runIds) {
      const rows = await selectVersionsOfRuns(storeOf(context), runIds);
      return rows.map(({ name, version, run_id }) => ({ name, version, runId: run_id }));
    },

    async setAlias(name, alias, version, change) {
      await setAlias(context, name, alias, version, change);
    },

    deleteAlias: (name, alias, change) => deleteAlias(context, name, alias, change),

    async artifactPrefix(name, version) {
      return prefixOf((await requireVersion(storeOf(context), name, version)).storage_location);
    },

    manifest: (name, version) => manifestOf(context, name, version),

    refuseFrozen: (key, change) => refuseFrozen(storeOf(context), key, change),

    revision: () => readRevision(storeOf(context)),
  };
}

const ModelPosition = z.object({ name: z.string() });

function versionOf(row: LoadedVersion): ModelVersion {
  return {
    name: row.name,
    version: row.version,
    createdMs: row.created_ms,
    updatedMs: row.updated_ms,
    description: row.description,
    stage: row.stage,
    source: row.source,
    storageLocation: row.storage_location,
    runId: row.run_id === "" ? null : row.run_id,
    modelId: row.logged_model_id === "" ? null : row.logged_model_id,
    status: "READY",
    tags: Object.fromEntries(row.tags.map(({ key, value }) => [key, value])),
    aliases: row.aliases,
  };
}

function summaryOf(model: LoadedModel): ModelSummary {
  return {
    name: model.name,
    createdMs: model.created_ms,
    updatedMs: model.updated_ms,
    description: model.description,
    tags: Object.fromEntries(model.tags.map(({ key, value }) => [key, value])),
    aliases: Object.fromEntries(model.aliases.map(({ alias, version }) => [alias, version])),
    newestVersion: Math.max(0, ...model.latest.map(({ version }) => version)),
  };
}
