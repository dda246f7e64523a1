import { invalid } from "../errors.ts";

/**
 * Uploading one blob in parts, each through a link of its own, so that the bytes need not come through this process. The
 * blob is there when the parts are joined, whole, and not before.
 */
export interface BlobParts {
  /**
   * An address at which anybody may PUT this one part until it expires; put again, it replaces the part. Whatever is left
   * out of it or added, it never writes the blob itself. The answer may bear an ETag, to be handed to `join`.
   */
  signedUrl(part: BlobPart, access: PartAccess): Promise<string>;
  /**
   * Makes the blob of its parts in their order; again, it makes the same. The parts stay until they are discarded, so
   * that a join whose answer was lost can be repeated.
   *
   * @throws invalid naming a part that did not arrive, or whose ETag is not the given one (where the store gives ETags:
   *   Azure gives none for a block); tooLarge when all together have more than `maxBytes`; conflict when parts changed
   *   while they were joined.
   */
  join(upload: BlobUpload, parts: readonly ArrivedPart[], options?: JoinOptions): Promise<void>;
  /** Removes what arrived for this upload; what is not there is no error. */
  discard(upload: BlobUpload): Promise<void>;
}

export interface BlobUpload {
  readonly key: string;
  /** A UUID. */
  readonly uploadId: string;
}

export interface BlobPart extends BlobUpload {
  /** From 1 to 50,000. */
  readonly number: number;
}

export interface ArrivedPart {
  readonly number: number;
  /** As the store gave it; not compared when empty. */
  readonly etag: string;
}

export interface PartAccess {
  readonly expiresInMs: number;
  /** The server's own address, for stores that serve signed links themselves. */
  readonly baseUrl: string;
}

export interface JoinOptions {
  /** By the key's extension when not given. */
  readonly contentType?: string;
  readonly maxBytes?: number;
  readonly signal?: AbortSignal;
}

/** As many blocks as Azure takes for one blob. */
const maxParts = 50_000;

/**
 * The block that a part is staged as. All ids of a blob must be of one length for Azure; these are as long as those of an
 * upload that comes through the server.
 */
export function blockIdOf(uploadId: string, number: number): string {
  if (!(Number.isInteger(number) && number >= 1 && number <= maxParts)) {
    throw invalid(`The part ${number} is not a whole number from 1 to ${maxParts}.`);
  }
  return Buffer.from(`${uploadId}-${String(number).padStart(6, "0")}`).toString("base64");
}

/** Puts the operation on one block into a link to its blob. */
export function linkToBlock(blobUrl: string, blockId: string): string {
  return `${blobUrl}&${new URLSearchParams({ comp: "block", blockid: blockId })}`;
}

/** @throws invalid when there are none, or the number of one stands twice */
export function checkParts(parts: readonly ArrivedPart[]): void {
  if (parts.length === 0) throw invalid("An upload has at least one part.");
  if (new Set(parts.map(({ number }) => number)).size !== parts.length) {
    throw invalid("The number of a part stands twice among the parts of the upload.");
  }
}

export function missingPart(number: number) {
  return invalid(`Part ${number} of the upload has not arrived: send it before the upload is completed.`);
}
