import { MlflowError } from "../errors.ts";
import type { CallOptions } from "../pages.ts";
import type { Body, Transport } from "../transport/transport.ts";
import { FileList, Nothing } from "../wire.ts";
import { encodedPath, joinPath, proxiedPath } from "./artifact-paths.ts";
import { type ByteRange, cut } from "./byte-ranges.ts";

export interface ArtifactEntry {
  /** Relative to the artifact URI that was asked for, `/`-separated. */
  readonly path: string;
  readonly isDirectory: boolean;
  /** Files only, where the server says it. */
  readonly sizeBytes?: number;
}

export interface Download {
  readonly stream: ReadableStream<Uint8Array>;
  /** Of this answer, a range included; where the server says it. */
  readonly sizeBytes?: number;
  readonly contentType: string;
}

export interface UploadOptions extends CallOptions {
  readonly contentType?: string;
  /**
   * The body's length. Stock servers take a stream only with it, because they cannot read a chunked body. Browsers do not
   * let it be set: give them a Blob.
   */
  readonly sizeBytes?: number | undefined;
}

/**
 * Files through a server's artifact proxy (`/api/2.0/mlflow-artifacts`). `root` is an artifact URI: `info.artifact_uri` of
 * a run or a logged model. Every call throws `MlflowError`, `NOT_PROXIED` for files that lie elsewhere.
 */
export interface Artifacts {
  /** One directory. A missing one is empty. */
  list(root: string, path?: string, options?: CallOptions): Promise<readonly ArtifactEntry[]>;
  /** All files below a directory, depth first. */
  walk(root: string, path?: string, options?: CallOptions): AsyncIterable<ArtifactEntry>;
  /** A body that is a function is asked again for each attempt; a stream is sent only once. */
  upload(
    root: string,
    path: string,
    body: Body | (() => Body | Promise<Body>),
    options?: UploadOptions,
  ): Promise<void>;
  /** Whole, or a range of it. Read the stream to its end, or cancel it. */
  download(
    root: string,
    path: string,
    options?: CallOptions & { readonly range?: ByteRange },
  ): Promise<Download>;
  /** A file, or a directory with all that is in it. */
  delete(root: string, path: string, options?: CallOptions): Promise<void>;
}

const proxy = "/api/2.0/mlflow-artifacts/artifacts";
/** A server that lists directories without end is not followed for ever. */
const deepest = 100;

export function artifactsOver(transport: Transport): Artifacts {
  const place = (root: string, path: string) => joinPath(proxiedPath(root, transport.base), path);
  const urlOf = (root: string, path: string) => `${proxy}/${encodedPath(place(root, path))}`;

  const list: Artifacts["list"] = async (root, path = "", { signal } = {}) => {
    const answer = await transport.call(FileList, {
      method: "GET",
      path: proxy,
      query: { path: place(root, path) },
      signal,
    });
    return answer.files.map((file) => ({
      path: joinPath(path, file.path),
      isDirectory: file.is_dir,
      ...(file.file_size === undefined || file.is_dir ? {} : { sizeBytes: file.file_size }),
    }));
  };

  async function* walk(
    root: string,
    path: string,
    options: CallOptions,
    depth: number,
  ): AsyncGenerator<ArtifactEntry, void, undefined> {
    if (depth > deepest) {
      throw new MlflowError(
        "INVALID_RESPONSE",
        200,
        "GET mlflow-artifacts/artifacts",
        `Directories at ${root} are nested deeper than ${deepest}.`,
      );
    }
    for (const entry of await list(root, path, options)) {
      if (entry.isDirectory) yield* walk(root, entry.path, options, depth + 1);
      else yield entry;
    }
  }

  return {
    list,
    walk: (root, path = "", options = {}) => walk(root, path, options, 0),

    async upload(root, path, body, { contentType, sizeBytes, signal } = {}) {
      await transport.call(Nothing, {
        method: "PUT",
        path: urlOf(root, path),
        body,
        bodySizeBytes: sizeBytes,
        headers: { "content-type": contentType ?? "application/octet-stream" },
        signal,
      });
    },

    async download(root, path, { range, signal } = {}) {
      const response = await transport.open({
        method: "GET",
        path: urlOf(root, path),
        ...(range === undefined ? {} : { headers: { range: rangeHeader(range) } }),
        signal,
      });
      const contentType = response.headers.get("content-type") ?? "application/octet-stream";
      const body = response.body ?? new ReadableStream({ start: (stream) => stream.close() });
      const length = response.headers.get("content-length");
      // What was decoded on the way is longer than what the header says.
      const isPlain = (response.headers.get("content-encoding") ?? "identity") === "identity";
      if (range !== undefined && response.status !== 206) return { stream: cut(body, range), contentType };
      return {
        stream: body,
        contentType,
        ...(length === null || !isPlain ? {} : { sizeBytes: Number(length) }),
      };
    },

    async delete(root, path, { signal } = {}) {
      await transport.call(Nothing, { method: "DELETE", path: urlOf(root, path), signal });
    },
  };
}

function rangeHeader({ offset, length }: ByteRange): string {
  return `bytes=${offset}-${length === undefined ? "" : offset + length - 1}`;
}
