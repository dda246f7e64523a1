import type { BlobParts } from "./parts.ts";

/**
 * Bytes under keys. A key is `/`-separated, relative, without `.` or `..` segments; up to 900 characters, and 250 bytes
 * for a segment, where capitals and special letters count threefold. Keys that differ only in case or Unicode form are
 * different, and `a` and `a/b` can both be there. What `put` acknowledged survives a crash.
 */
export interface BlobStore {
  /**
   * Stores a whole blob, streaming. A failed or aborted put leaves nothing behind.
   *
   * @throws conflict with `ifAbsent` when the key is taken, or when two puts of one key crossed; tooLarge past `maxBytes`; invalid for a bad key.
   */
  put(key: string, body: BlobBody, options?: PutOptions): Promise<StoredBlob>;
  /** @returns null when there is no such blob. @throws invalid when the range starts past the end. */
  get(key: string, range?: ByteRange): Promise<BlobContent | null>;
  stat(key: string): Promise<BlobStat | null>;
  /** One page in ascending order of the key. With a delimiter, keys below it fold into `prefixes`. */
  list(prefix: string, options?: ListOptions): Promise<BlobPage>;
  /** @returns whether there was one. */
  delete(key: string): Promise<boolean>;
  /**
   * An address at which anybody may read or write this one blob until it expires. Whoever writes sends the header
   * `x-ms-blob-type: BlockBlob`, without which Azure refuses.
   */
  signedUrl(key: string, access: SignedAccess): Promise<string>;
  /**
   * The blob as a file on the local disk, for libraries that read files. Dispose of it after use; never write to it.
   *
   * @throws notFound when there is no such blob.
   */
  localFile(key: string): Promise<LocalFile>;
  /**
   * Whether it can be read and written now, where that can be told without asking a service.
   *
   * @throws unavailable or insufficient, in words, when it cannot
   */
  check?(): Promise<void>;
  /** Large uploads in parts. */
  readonly parts: BlobParts;
  /** Whether signed links lead past this server, to the storage service itself. */
  readonly linksBypassServer: boolean;
}

export type BlobBody = ReadableStream<Uint8Array> | Uint8Array;

export interface PutOptions {
  readonly ifAbsent?: boolean;
  /** By the key's extension when not given, else `application/octet-stream`. */
  readonly contentType?: string;
  readonly maxBytes?: number;
  readonly signal?: AbortSignal;
}

export interface BlobStat {
  readonly key: string;
  readonly sizeBytes: number;
  readonly modifiedMs: number;
  readonly contentType: string;
}

export interface StoredBlob {
  readonly key: string;
  readonly sizeBytes: number;
  /** Lower-case hexadecimal, of the whole content. */
  readonly sha256: string;
}

export interface ByteRange {
  readonly offset: number;
  /** To the end when not given. */
  readonly length?: number;
}

export interface BlobContent {
  readonly stat: BlobStat;
  readonly stream: ReadableStream<Uint8Array>;
}

export interface ListOptions {
  readonly delimiter?: "/";
  /** Blobs and prefixes together; 1000 by default and at most 5000. */
  readonly limit?: number;
  readonly cursor?: string;
}

export interface BlobPage {
  readonly blobs: readonly BlobStat[];
  readonly prefixes: readonly string[];
  /** Present when there is more. */
  readonly cursor?: string;
}

export interface SignedAccess {
  readonly method: "GET" | "PUT";
  readonly expiresInMs: number;
  /** The server's own address, for stores that serve signed links themselves. */
  readonly baseUrl: string;
}

export interface LocalFile extends AsyncDisposable {
  readonly path: string;
}
