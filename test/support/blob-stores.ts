import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import pino from "pino";
import {
  type BlobStore,
  createBlobEndpoint,
  createBlobLinks,
  openBlobStore,
} from "../../shared/blobs/index.ts";
import { createApplication } from "../../shared/http/index.ts";
import { settableClock } from "./application.ts";
import { type Azurite, startAzurite } from "./azurite.ts";

/** A store with the world around it: whoever follows its links, and its clock. */
export interface BlobWorld {
  readonly store: BlobStore;
  request(url: string, init?: RequestInit): Promise<Response>;
  advance(ms: number): Promise<void>;
  close(): Promise<void>;
}

/** One kind of blob store; `start` before the first `open`, `stop` after the last. */
export interface BlobStoreCase {
  readonly name: string;
  start(): Promise<void>;
  /** A new empty store. */
  open(): Promise<BlobWorld>;
  stop(): Promise<void>;
}

export function blobStoreCases(): BlobStoreCase[] {
  return [fileCase(), azureCase()];
}

function fileCase(): BlobStoreCase {
  return {
    name: "the file store",
    start: async () => {},
    stop: async () => {},
    async open() {
      const directory = await mkdtemp(path.join(tmpdir(), "ketline-test-"));
      const clock = settableClock(Date.now());
      const signingKey = randomUUID();
      const store = await openBlobStore({ kind: "file", directory }, { signingKey, clock });
      const links = createBlobLinks({ signingKey, clock });
      const { routes } = createBlobEndpoint({ store, links, clock, maxUploadBytes: 2 ** 30 });
      const app = createApplication({
        routes,
        identity: { authenticate: async () => null },
        logger: pino({ level: "silent" }),
      });
      return {
        store,
        request: async (url, init) => app.request(url, init),
        advance: async (ms) => clock.advance(ms),
        close: () => rm(directory, { recursive: true, force: true }),
      };
    },
  };
}

function azureCase(): BlobStoreCase {
  let azurite: Azurite | undefined;
  return {
    name: "Azure Blob Storage",
    async start() {
      azurite = await startAzurite();
    },
    async stop() {
      await azurite?.[Symbol.asyncDispose]();
    },
    async open() {
      if (azurite === undefined) throw new Error("Azurite was not started.");
      const { blobUrl, connectionString, clock, advance } = azurite;
      const containerUrl = `${blobUrl}/test-${randomUUID()}`;
      const store = await openBlobStore(
        { kind: "azure", containerUrl, connectionString },
        { signingKey: "", clock },
      );
      return { store, request: fetch, advance, close: async () => {} };
    },
  };
}
