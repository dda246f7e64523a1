import {
  invalid,
  isKetlineError,
  type KetlineError,
  notFound,
  preconditionFailed,
  unsupported,
} from "../../errors.ts";
import { type Call, errorReply, type Route, readBytes, route } from "../../http/index.ts";
import type { BlobStat, BlobStore, ByteRange, PutOptions } from "../blob-store.ts";
import { askingAtTheEnd } from "../bodies.ts";
import { type createStagedBlocks, etagOfBlock, maxBlockBytes } from "../files/staged-blocks.ts";
import type { BlobLinks } from "../links.ts";
import { errorXml, listingXml, parseBlockList } from "./blob-xml.ts";

/** 50,000 blocks with ids of 64 bytes. */
const maxBlockListBytes = 8 * 1024 ** 2;

interface Dependencies {
  readonly store: BlobStore;
  readonly links: BlobLinks;
  readonly blocks: ReturnType<typeof createStagedBlocks>;
  readonly maxUploadBytes: number;
  /** Asked once the link is known to be good, before a blob is replaced or removed. */
  readonly refuseFrozen?: (key: string, change: "write" | "delete") => Promise<void>;
}

type BlobCall = Call<{ key: string }>;

/** The routes behind signed links. They are open to everyone: the signature in the query is the credential. */
export function blobRoutes({
  store,
  links,
  blocks,
  maxUploadBytes,
  refuseFrozen,
}: Dependencies): readonly Route[] {
  const read = (key: string, query: URLSearchParams) =>
    links.verify({ path: key, query, of: "blob", anyOf: ["r"] });

  async function download({ params: { key }, request }: BlobCall, query: URLSearchParams): Promise<Response> {
    read(key, query);
    if (request.method === "HEAD") {
      const stat = await store.stat(key);
      if (stat === null) throw missing(key);
      return checked(request, stat) ?? new Response(null, { headers: blobHeaders(stat) });
    }
    const range = rangeOf(request.headers);
    const content = await store.get(key, range);
    if (content === null) throw missing(key);
    const { stat, stream } = content;
    const unwanted = await orCancelled(stream, () => {
      const checkedFirst = checked(request, stat);
      if (checkedFirst === undefined && range !== undefined && stat.sizeBytes === 0)
        throw invalid(`"${key}" is empty, so it has no range.`, { code: "InvalidRange" });
      return checkedFirst;
    });
    if (unwanted !== undefined) {
      await stream.cancel();
      return unwanted;
    }
    const start = range?.offset ?? 0;
    const end = Math.min(stat.sizeBytes, start + (range?.length ?? stat.sizeBytes));
    return new Response(stream, {
      status: range === undefined ? 200 : 206,
      headers: {
        ...blobHeaders(stat),
        "content-length": String(end - start),
        ...(range === undefined ? {} : { "content-range": `bytes ${start}-${end - 1}/${stat.sizeBytes}` }),
      },
    });
  }

  async function list({ params: { key } }: BlobCall, query: URLSearchParams): Promise<Response> {
    links.verify({ path: key, query, of: "container", anyOf: ["l"] });
    const limit = Number(query.get("maxresults") ?? 5000);
    const marker = query.get("marker") ?? "";
    const page = await store.list(`${key}/${query.get("prefix") ?? ""}`, {
      limit: Math.min(limit, 5000),
      ...(marker === "" ? {} : { cursor: marker }),
      ...(query.get("delimiter") === "/" ? { delimiter: "/" } : {}),
    });
    return xml(200, listingXml(page, { container: key, query, etagOf }));
  }

  async function upload({ params: { key }, request, signal }: BlobCall, query: URLSearchParams) {
    const type = request.headers.get("x-ms-blob-type");
    if (type !== null && type !== "BlockBlob") {
      throw unsupported(`x-ms-blob-type is "${type}"; only BlockBlob is stored here.`, {
        code: "InvalidBlobType",
      });
    }
    const options = writing(key, request, query, signal);
    const mayChange = async () => refuseFrozen?.(key, "write");
    await mayChange();
    await store.put(key, askingAtTheEnd(request.body ?? new Uint8Array(0), mayChange), options);
    return created(key);
  }

  async function stage({ params: { key }, request, signal }: BlobCall, query: URLSearchParams) {
    links.verify({ path: key, query, of: "blob", anyOf: ["w", "c"], block: query.get("blockid") ?? "" });
    const { sha256 } = await blocks.stage(
      key,
      query.get("blockid") ?? "",
      request.body ?? new Uint8Array(0),
      { maxBytes: Math.min(maxUploadBytes, maxBlockBytes), signal },
    );
    return new Response(null, { status: 201, headers: { ...sealed, etag: etagOfBlock(sha256) } });
  }

  async function commit({ params: { key }, request, signal }: BlobCall, query: URLSearchParams) {
    const options = writing(key, request, query, signal);
    const ids = parseBlockList(new TextDecoder().decode(await readBytes(request, maxBlockListBytes)));
    await refuseFrozen?.(key, "write");
    await blocks.commit(key, ids, options);
    return created(key);
  }

  /** With c alone a blob may be created, with w also replaced. */
  function writing(key: string, request: Request, query: URLSearchParams, signal: AbortSignal): PutOptions {
    const ifNoneMatch = request.headers.get("if-none-match");
    const ifAbsent = ifNoneMatch === "*";
    if (request.headers.has("if-match") || (ifNoneMatch !== null && !ifAbsent)) {
      throw unsupported("An upload takes no condition but If-None-Match: *.", {
        code: "UnsupportedHeader",
      });
    }
    links.verify({ path: key, query, of: "blob", anyOf: ifAbsent ? ["w", "c"] : ["w"] });
    const contentType =
      request.headers.get("x-ms-blob-content-type") ??
      (query.has("comp") ? null : request.headers.get("content-type"));
    return { ifAbsent, maxBytes: maxUploadBytes, signal, ...(contentType === null ? {} : { contentType }) };
  }

  async function created(key: string): Promise<Response> {
    const stat = await store.stat(key);
    if (stat === null) throw missing(key); // deleted in between
    const { etag, "last-modified": modified } = blobHeaders(stat);
    return new Response(null, { status: 201, headers: { ...sealed, etag, "last-modified": modified } });
  }

  async function remove({ params: { key } }: BlobCall, query: URLSearchParams): Promise<Response> {
    links.verify({ path: key, query, of: "blob", anyOf: ["d"] });
    await refuseFrozen?.(key, "write"); // this one blob, nothing below it
    if (!(await store.delete(key))) throw missing(key);
    return new Response(null, { status: 202, headers: sealed });
  }

  function describeContainer({ params: { key } }: BlobCall, query: URLSearchParams): Response {
    links.verify({ path: key, query, of: "container", anyOf: ["r", "l", "w", "c"] });
    // A prefix needs no making: it is there as soon as somebody may write below it.
    const headers = { etag: '"container"', "last-modified": new Date(0).toUTCString(), ...sealed };
    return new Response(null, { headers });
  }

  return [
    route({
      ...shared,
      method: "GET",
      summary: "Read a blob, or list a container, by a signed link",
      description:
        "Get Blob with ranges, Get Blob Properties by HEAD, and with `restype=container` List Blobs (`comp=list`) and Get " +
        "Container Properties, as Azure's Blob service answers them.",
      responses: {
        ...errorResponses,
        200: { description: "The blob in its own type, or what was asked of it", contentType: "*/*" },
        206: { description: "The range that was asked for", contentType: "*/*" },
        304: { description: "It is still as `If-None-Match` says" },
        416: { description: "The range lies outside of the blob", contentType: "application/xml" },
      },
      handle: asAzure((call, query) => {
        const [restype, comp] = [query.get("restype"), query.get("comp")];
        if (restype === "container")
          return comp === "list" ? list(call, query) : describeContainer(call, query);
        if (comp === null) return download(call, query);
        throw unknownOperation("GET", comp);
      }),
    }),
    route({
      ...shared,
      method: "PUT",
      body: "stream",
      summary: "Write a blob by a signed link",
      description:
        "Put Blob, Put Block (`comp=block`) and Put Block List (`comp=blocklist`) of Azure's Blob service.",
      responses: { ...errorResponses, 201: { description: "It is stored durably" } },
      handle: asAzure((call, query) => {
        const comp = query.get("comp");
        if (query.has("restype")) throw unknownOperation("PUT", "container");
        if (comp === null) return upload(call, query);
        if (comp === "block") return stage(call, query);
        if (comp === "blocklist") return commit(call, query);
        throw unknownOperation("PUT", comp);
      }),
    }),
    route({
      ...shared,
      method: "DELETE",
      summary: "Delete a blob by a signed link",
      responses: { ...errorResponses, 202: { description: "It is gone" } },
      handle: asAzure((call, query) => {
        if (query.has("restype") || query.has("comp")) throw unknownOperation("DELETE", "container");
        return remove(call, query);
      }),
    }),
  ];
}

const shared = {
  path: "/blobs/:key{.+}",
  protocol: "ketline",
  role: "public",
  tag: "Blobs",
  timeoutMs: 0, // uploads and downloads take as long as the line needs
} as const;

/** In XML, as Azure's Blob service words them; a mistake of the server's own is told as elsewhere. */
const errorResponses = Object.fromEntries(
  [
    [400, "The request is not valid"],
    [403, "The link is none of this server's, has expired, or does not allow this"],
    [404, "There is no such blob or operation"],
    [409, "The blob is there already, or must not change"],
    [412, "A condition does not hold"],
    [413, "It has too many bytes"],
    [501, "Understood, and not done by this server"],
    [503, "The store is away now"],
    [507, "There is no room left"],
  ].map(([status, description]) => [
    status,
    { description: String(description), contentType: "application/xml" },
  ]),
);

/** What anybody may have uploaded must not run in a browser as if it were ours. */
const sealed = {
  "x-content-type-options": "nosniff",
  "content-security-policy": "sandbox; default-src 'none'",
  "referrer-policy": "no-referrer",
  "x-ms-version": "2025-07-05",
};

/** Runs an operation and words its errors as Azure's Blob service does, so that its clients understand them. */
function asAzure(operation: (call: BlobCall, query: URLSearchParams) => Promise<Response> | Response) {
  return async (call: Call): Promise<Response> => {
    try {
      const blobCall = { ...call, params: { key: call.params.key ?? "" } };
      return await operation(blobCall, new URL(call.request.url).searchParams);
    } catch (error) {
      if (isKetlineError(error)) return azureError(error, call.requestId);
      throw error;
    }
  };
}

const codeOf: Readonly<Partial<Record<KetlineError["kind"], string>>> = {
  invalid: "InvalidInput",
  forbidden: "AuthenticationFailed",
  not_found: "BlobNotFound",
  conflict: "BlobAlreadyExists",
  precondition_failed: "ConditionNotMet",
  too_large: "RequestBodyTooLarge",
  unsupported: "UnsupportedOperation",
  unavailable: "ServerBusy",
};

function azureError(error: KetlineError, requestId: string): Response {
  const given = error.details.code;
  const code =
    (given === "RESOURCE_CONFLICT" ? "BlobImmutableDueToPolicy" : given) ??
    codeOf[error.kind] ??
    "InternalError";
  const status = code === "InvalidRange" ? 416 : errorReply("ketline", error, requestId).status;
  return xml(status, errorXml(code, `${error.message}\nRequestId:${requestId}`), { "x-ms-error-code": code });
}

function xml(status: number, body: string, headers: Readonly<Record<string, string>> = {}): Response {
  return new Response(body, {
    status,
    headers: { ...sealed, ...headers, "content-type": "application/xml" },
  });
}

function blobHeaders(stat: BlobStat) {
  return {
    ...sealed,
    "content-type": stat.contentType,
    "content-length": String(stat.sizeBytes),
    "accept-ranges": "bytes",
    etag: etagOf(stat),
    "last-modified": new Date(stat.modifiedMs).toUTCString(),
    "x-ms-blob-type": "BlockBlob",
    "x-ms-lease-state": "available",
    "x-ms-lease-status": "unlocked",
  };
}

function etagOf({ modifiedMs, sizeBytes }: BlobStat): string {
  return `"0x${modifiedMs.toString(16)}-${sizeBytes.toString(16)}"`;
}

/** A client that reads a blob in parts says by If-Match that all must be parts of the same. */
function checked(request: Request, stat: BlobStat): Response | undefined {
  const [ifMatch, ifNoneMatch] = [request.headers.get("if-match"), request.headers.get("if-none-match")];
  const etag = etagOf(stat);
  if (ifMatch !== null && ifMatch !== "*" && !ifMatch.split(/,\s*/).includes(etag)) {
    throw preconditionFailed(`"${stat.key}" has the ETag ${etag}, not ${ifMatch}.`);
  }
  if (ifNoneMatch === null || !(ifNoneMatch === "*" || ifNoneMatch.split(/,\s*/).includes(etag)))
    return undefined;
  return new Response(null, { status: 304, headers: { ...sealed, etag } });
}

/** `bytes=a-b` or `bytes=a-`; other forms may be ignored (RFC 9110, 14.2). */
function rangeOf(headers: Headers): ByteRange | undefined {
  const given = headers.get("x-ms-range") ?? headers.get("range") ?? "";
  const [, first, last] = /^bytes=(\d{1,15})-(\d{0,15})$/.exec(given) ?? [];
  if (first === undefined || (last !== undefined && last !== "" && Number(last) < Number(first)))
    return undefined;
  const offset = Number(first);
  return last === undefined || last === "" ? { offset } : { offset, length: Number(last) - offset + 1 };
}

/** A body that nobody will read keeps its file open. */
async function orCancelled<Result>(stream: ReadableStream, look: () => Result): Promise<Result> {
  try {
    return look();
  } catch (error) {
    await stream.cancel();
    throw error;
  }
}

function missing(key: string) {
  return notFound(`There is no blob "${key}".`, { code: "BlobNotFound" });
}

function unknownOperation(method: string, what: string) {
  return unsupported(`${method} with "${what}" is not among the operations on blobs that are served here.`);
}
