import { createHash, randomUUID } from "node:crypto";
import { createWriteStream } from "node:fs";
import path from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { DefaultAzureCredential } from "@azure/identity";
import {
  type BlobItem,
  type BlobPrefix,
  BlobSASPermissions,
  BlobServiceClient,
  type ContainerClient,
  SASProtocol,
} from "@azure/storage-blob";
import {
  callStorage,
  codeOfStorage,
  isStatus,
  retryOptions,
  shortCallMs,
} from "../../azure-storage/calls.ts";
import type { Clock } from "../../clock.ts";
import { conflict, invalid, notFound } from "../../errors.ts";
import { openScratchDirectory } from "../../scratch/index.ts";
import type {
  BlobBody,
  BlobContent,
  BlobPage,
  BlobStat,
  BlobStore,
  ByteRange,
  ListOptions,
  PutOptions,
  SignedAccess,
  StoredBlob,
} from "../blob-store.ts";
import { boundsOf, checkRange, chunksOf, discardBody, guardStream } from "../bodies.ts";
import { defaultContentType } from "../content-types.ts";
import { checkKey, checkLimit, checkPrefix, fileName } from "../keys.ts";
import { createAzureParts } from "./azure-parts.ts";
import { uploadBlocks } from "./azure-upload.ts";
import { createDelegationKeys, maxLinkMs } from "./delegation-keys.ts";

export interface AzureBlobStoreOptions {
  /** `https://<account>.blob.core.windows.net/<container>` */
  readonly containerUrl: string;
  /** With an account key; without it the process's own Entra identity is used. */
  readonly connectionString?: string;
  readonly clock: Clock;
}

const service = "Azure Blob Storage";

/** A download that brings nothing for so long is given up; the SDK resumes it up to five times before that. */
const idleMs = 60_000;

/**
 * Blobs in one container of Azure Blob Storage. Links are signed with the account key of the connection string, or with
 * a user-delegation key of our Entra identity.
 */
export function createAzureBlobStore(options: AzureBlobStoreOptions): BlobStore {
  const { clock } = options;
  const { account, container } = openContainer(options);
  const delegationKey = createDelegationKeys({
    clock,
    request: (startsOn, expiresOn) =>
      short((abortSignal) => account.getUserDelegationKey(startsOn, expiresOn, { abortSignal })),
  });
  const secure = container.url.startsWith("https:");
  let created: Promise<unknown> | undefined;

  /** Once per process; a failure is tried again by the next put. */
  async function ensureContainer(): Promise<void> {
    created ??= short(async (abortSignal) => {
      // Asked first, because a role on the container alone does not allow creating it.
      if (!(await container.exists({ abortSignal }))) await container.createIfNotExists({ abortSignal });
    }).catch((error) => {
      created = undefined;
      throw error;
    });
    await created;
  }

  async function put(key: string, body: BlobBody, putOptions: PutOptions = {}): Promise<StoredBlob> {
    try {
      return await putWhole(key, body, putOptions);
    } catch (error) {
      await discardBody(body);
      throw error;
    }
  }

  async function putWhole(key: string, body: BlobBody, putOptions: PutOptions): Promise<StoredBlob> {
    checkKey(key);
    const { ifAbsent = false, contentType = defaultContentType(key), signal } = putOptions;
    await ensureContainer();
    if (ifAbsent && (await stat(key)) !== null) throw taken(key);
    const mark = randomUUID();
    const hash = createHash("sha256");
    let sizeBytes = 0;
    async function* hashed(signal: AbortSignal) {
      for await (const chunk of chunksOf(body, { ...putOptions, signal })) {
        hash.update(chunk);
        sizeBytes += chunk.byteLength;
        yield chunk;
      }
    }
    try {
      await uploadBlocks(container.getBlockBlobClient(key), hashed, {
        service,
        signal,
        commit: {
          blobHTTPHeaders: { blobContentType: contentType },
          metadata: { ketlineput: mark },
          ...(ifAbsent ? { conditions: { ifNoneMatch: "*" } } : {}),
        },
      });
    } catch (error) {
      // 400: another put of this key was committed meanwhile and took our staged blocks with it.
      const beaten = isStatus(error, 409, 412) || codeOfStorage(error) === "InvalidBlockList";
      if (!beaten) throw error;
      // A commit whose answer was lost is sent again by the SDK, and then finds the blob that it made itself.
      if ((await properties(key))?.metadata?.ketlineput !== mark) throw taken(key);
    }
    return { key, sizeBytes, sha256: hash.digest("hex") };
  }

  async function properties(key: string) {
    try {
      return await short((abortSignal) => container.getBlobClient(key).getProperties({ abortSignal }));
    } catch (error) {
      if (isStatus(error, 404)) return null;
      throw error;
    }
  }

  async function stat(key: string): Promise<BlobStat | null> {
    checkKey(key);
    const found = await properties(key);
    return found === null ? null : statOf(key, found, found.contentLength);
  }

  async function get(key: string, range?: ByteRange): Promise<BlobContent | null> {
    checkKey(key);
    checkRange(range);
    // To the service a range of nothing is no range, and one into an empty blob is an error.
    if (range?.length === 0) return emptyRange(key, range);
    try {
      const answer = await short((abortSignal) =>
        container
          .getBlobClient(key)
          .download(range?.offset ?? 0, range?.length, { abortSignal, maxRetryRequests: 5 }),
      );
      const total = Number(/\/(\d+)$/.exec(answer.contentRange ?? "")?.[1] ?? answer.contentLength);
      const body = answer.readableStreamBody;
      if (!(body instanceof Readable)) throw new Error(`${service} gave no content for "${key}".`);
      const stream = guardStream(body, idleMs, service);
      if (range !== undefined && range.offset >= total) {
        await stream.cancel(); // the emulator answers such a range with nothing, the service with 416
        return emptyRange(key, range);
      }
      return { stat: statOf(key, answer, total), stream };
    } catch (error) {
      if (isStatus(error, 404)) return null;
      if (isStatus(error, 416)) return emptyRange(key, range);
      throw error;
    }
  }

  async function emptyRange(key: string, range: ByteRange | undefined): Promise<BlobContent | null> {
    const found = await stat(key);
    if (found === null) return null;
    boundsOf(range, found.sizeBytes);
    return { stat: found, stream: new Blob([]).stream() };
  }

  async function list(prefix: string, listOptions: ListOptions = {}): Promise<BlobPage> {
    checkPrefix(prefix);
    const { limit = 1000, cursor, delimiter } = listOptions;
    checkLimit(limit);
    const paging = { maxPageSize: limit, ...(cursor === undefined ? {} : { continuationToken: cursor }) };
    try {
      return await short(async (abortSignal) => {
        const asked = { abortSignal, ...(prefix === "" ? {} : { prefix }) };
        if (delimiter === undefined) {
          const page = await first(container.listBlobsFlat(asked).byPage(paging));
          return pageOf(page?.segment.blobItems, [], page?.continuationToken);
        }
        const page = await first(container.listBlobsByHierarchy(delimiter, asked).byPage(paging));
        return pageOf(page?.segment.blobItems, page?.segment.blobPrefixes, page?.continuationToken);
      });
    } catch (error) {
      if (codeOfStorage(error) === "ContainerNotFound") return { blobs: [], prefixes: [] };
      if (isStatus(error, 400) && cursor !== undefined) {
        throw invalid(`The cursor "${cursor.slice(0, 100)}" is not one of a page of blobs.`, {
          field: "cursor",
        });
      }
      throw error;
    }
  }

  async function remove(key: string): Promise<boolean> {
    checkKey(key);
    try {
      await short((abortSignal) => container.getBlobClient(key).delete({ abortSignal }));
      return true;
    } catch (error) {
      if (isStatus(error, 404)) return false;
      throw error;
    }
  }

  async function signedUrl(
    key: string,
    { method, expiresInMs }: Pick<SignedAccess, "method" | "expiresInMs">,
  ): Promise<string> {
    checkKey(key);
    if (!(expiresInMs > 0 && expiresInMs <= maxLinkMs)) {
      throw invalid(`expiresInMs is ${expiresInMs}; a link lives up to ${maxLinkMs} (not quite seven days).`);
    }
    if (method === "PUT") await ensureContainer();
    const blob = container.getBlobClient(key);
    const expiresOn = new Date(Math.ceil((clock() + expiresInMs) / 1000) * 1000);
    const wanted = {
      permissions: BlobSASPermissions.parse(method === "GET" ? "r" : "cw"),
      expiresOn,
      ...(secure ? { protocol: SASProtocol.Https } : {}),
    };
    return options.connectionString === undefined
      ? blob.generateUserDelegationSasUrl(wanted, await delegationKey(expiresOn.getTime()))
      : blob.generateSasUrl(wanted);
  }

  async function localFile(key: string) {
    const content = await get(key);
    if (content === null) throw notFound(`There is no blob "${key}".`);
    const directory = await openScratchDirectory();
    const dispose = () => directory[Symbol.asyncDispose]();
    try {
      const file = path.join(directory.path, fileName(key.slice(key.lastIndexOf("/") + 1)));
      await pipeline(Readable.fromWeb(content.stream), createWriteStream(file, { mode: 0o600 }));
      return { path: file, [Symbol.asyncDispose]: dispose };
    } catch (error) {
      await dispose();
      throw error;
    }
  }

  const parts = createAzureParts({
    service,
    linkTo: (key, method, expiresInMs) => signedUrl(key, { method, expiresInMs }),
    blobOf(key) {
      checkKey(key);
      return container.getBlockBlobClient(key);
    },
  });
  return {
    ...{ put, get, stat, list, delete: remove, signedUrl, localFile, parts },
    linksBypassServer: true,
  };
}

async function first<Page>(pages: AsyncIterable<Page>): Promise<Page | undefined> {
  for await (const page of pages) return page;
  return undefined;
}

function pageOf(
  items: readonly BlobItem[] = [],
  folded: readonly BlobPrefix[] = [],
  cursor: string | undefined,
): BlobPage {
  return {
    blobs: items.map((item) => statOf(item.name, item.properties, item.properties.contentLength)),
    prefixes: folded.map((prefix) => prefix.name),
    ...(cursor === undefined || cursor === "" ? {} : { cursor }),
  };
}

function short<Result>(
  call: (abortSignal: AbortSignal) => Promise<Result>,
  signal?: AbortSignal,
): Promise<Result> {
  return callStorage(service, { timeoutMs: shortCallMs, signal }, call);
}

function openContainer(options: AzureBlobStoreOptions): {
  account: BlobServiceClient;
  container: ContainerClient;
} {
  const url = new URL(options.containerUrl);
  const segments = url.pathname.split("/").filter((segment) => segment !== "");
  const name = segments.pop();
  if (name === undefined || !/^(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/.test(name)) {
    throw invalid(
      `The address "${options.containerUrl}" does not end in a container's name (3 to 63 lower-case letters, digits ` +
        "and single hyphens): it is https://<account>.blob.core.windows.net/<container>.",
    );
  }
  const account =
    options.connectionString === undefined
      ? new BlobServiceClient(new URL(segments.join("/"), url.origin).href, new DefaultAzureCredential(), {
          retryOptions,
        })
      : BlobServiceClient.fromConnectionString(options.connectionString, { retryOptions });
  return { account, container: account.getContainerClient(name) };
}

interface Properties {
  readonly lastModified?: Date;
  readonly contentType?: string;
}

function statOf(key: string, properties: Properties, sizeBytes: number | undefined): BlobStat {
  return {
    key,
    sizeBytes: sizeBytes ?? 0,
    modifiedMs: properties.lastModified?.getTime() ?? 0,
    contentType: properties.contentType ?? "application/octet-stream",
  };
}

function taken(key: string) {
  return conflict(`The blob "${key}" exists already, or was written by somebody else at the same time.`, {
    code: "BlobAlreadyExists",
  });
}
