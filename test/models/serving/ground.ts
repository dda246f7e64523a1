import type { Hono } from "hono";
import { createServing } from "../../../models/serving/create-serving.ts";
import { type Serving, servingMigrations } from "../../../models/serving/index.ts";
import type { ModelSource, ServableVersion } from "../../../models/serving/repository/model-source.ts";
import type { SessionLimits } from "../../../models/serving/runtime/sessions.ts";
import type { BlobStore } from "../../../shared/blobs/index.ts";
import { notFound } from "../../../shared/errors.ts";
import { type Actor, systemActor } from "../../../shared/identity/index.ts";
import type { ModelProto } from "../../../shared/onnx/index.ts";
import { type TestApplication, testGround } from "../../support/application.ts";
import { bytesOf } from "./models.ts";

/** Registered models in memory: just what serving asks of a registry. */
export interface TestModels extends ModelSource {
  register(name: string, files: Readonly<Record<string, Uint8Array | string | ModelProto>>): Promise<number>;
  alias(name: string, alias: string, version: number): void;
  /** Questions that were asked, other than for the revision. */
  readonly questions: number;
}

export interface ServingGround extends TestApplication {
  readonly serving: Serving;
  readonly models: TestModels;
  readonly actor: Actor;
  readonly app: Hono;
  /** Moves the clock past the age at which instances look for changes. */
  settle(): void;
}

export interface ServingGroundOptions {
  readonly limits?: Partial<SessionLimits>;
  readonly random?: () => number;
  readonly env?: Readonly<Record<string, string>>;
  readonly rootModel?: string;
}

/** An application that serves, over the embedded stores. */
export async function servingGround(options: ServingGroundOptions = {}): Promise<ServingGround> {
  let serving: Serving | undefined;
  let models: TestModels | undefined;
  const ground = await testGround({
    migrations: servingMigrations,
    env: options.env ?? {},
    capabilities: (base) => {
      models = testModels(base.blobs);
      serving = createServing({
        ...base,
        models,
        dataDirectory: base.directory,
        limits: { hosts: 1, ...options.limits },
        rootModel: options.rootModel,
        ...(options.random === undefined ? {} : { random: options.random }),
      });
      return [serving];
    },
  });
  if (serving === undefined || models === undefined) throw new Error("serving was not created");
  return {
    ...ground,
    serving,
    models,
    actor: systemActor("test"),
    settle: () => ground.clock.advance(1001),
  };
}

function testModels(blobs: BlobStore): TestModels {
  const versions = new Map<string, ServableVersion[]>();
  const aliases = new Map<string, number>();
  let revision = 0;
  let questions = 0;
  const find = (name: string, version: number | undefined) =>
    versions.get(name)?.find((candidate) => candidate.version === version) ?? null;
  return {
    async register(name, files) {
      const version = (versions.get(name)?.length ?? 0) + 1;
      const prefix = `models/${name}/${version}/files`;
      for (const [path, content] of Object.entries(files)) {
        const bytes =
          typeof content === "string"
            ? new TextEncoder().encode(content)
            : content instanceof Uint8Array
              ? content
              : bytesOf(content);
        await blobs.put(`${prefix}/${path}`, bytes);
      }
      versions.set(name, [
        ...(versions.get(name) ?? []),
        { name, version, storageLocation: `test:/${prefix}` },
      ]);
      revision++;
      return version;
    },
    alias(name, alias, version) {
      aliases.set(`${name}@${alias}`, version);
      revision++;
    },
    get questions() {
      return questions;
    },
    async getVersion(name, version) {
      questions++;
      const found = find(name, version);
      if (found === null) throw notFound(`The model "${name}" has no version ${version}.`);
      return found;
    },
    async getByAlias(name, alias) {
      questions++;
      return find(name, aliases.get(`${name}@${alias}`));
    },
    async getNewestReady(name) {
      questions++;
      return versions.get(name)?.at(-1) ?? null;
    },
    async listVersions(name) {
      const found = versions.get(name);
      if (found === undefined) throw notFound(`There is no model "${name}".`);
      return [...found].reverse();
    },
    async listModels() {
      return { items: [...versions].map(([name, all]) => ({ name, newestVersion: all.length })) };
    },
    artifactPrefix: async (name, version) => `models/${name}/${version}/files`,
    manifest: async () => null,
    revision: async () => revision,
  };
}
