import type { BlobStat, BlobStore, ByteRange } from "../blobs/index.ts";
import { notFound } from "../errors.ts";

/**
 * Streams a blob as a download: whole, or the one range that is asked for (RFC 9110, section 14). The two headers keep a
 * browser from showing what somebody uploaded as a page of this server.
 *
 * @param path whose last segment names the file
 */
export async function downloadReply(
  blobs: BlobStore,
  stat: BlobStat,
  path: string,
  request: Request,
): Promise<Response> {
  const headers = new Headers({
    "content-type": stat.contentType,
    "content-disposition": attachment(path.split("/").at(-1) ?? ""),
    "x-content-type-options": "nosniff",
    "accept-ranges": "bytes",
    "last-modified": new Date(stat.modifiedMs).toUTCString(),
  });
  const range = rangeOf(request.headers.get("range"), stat.sizeBytes);
  if (range === "unsatisfiable") {
    headers.set("content-range", `bytes */${stat.sizeBytes}`);
    return new Response(null, { status: 416, headers });
  }
  const length = range?.length ?? stat.sizeBytes;
  headers.set("content-length", String(length));
  if (range !== undefined) {
    headers.set("content-range", `bytes ${range.offset}-${range.offset + length - 1}/${stat.sizeBytes}`);
  }
  const status = range === undefined ? 200 : 206;
  if (request.method === "HEAD" || length === 0) return new Response(null, { status, headers });
  const content = await blobs.get(stat.key, range);
  if (content === null) throw notFound(`There is no artifact '${path}'.`);
  return new Response(content.stream, { status, headers });
}

/** @returns undefined for the whole: no range, several, or one that is not understood. */
function rangeOf(
  header: string | null,
  size: number,
): (ByteRange & { readonly length: number }) | "unsatisfiable" | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header?.trim() ?? "");
  if (match === null || (match[1] === "" && match[2] === "")) return undefined;
  if (match[1] === "") {
    const length = Math.min(Number(match[2]), size);
    return length === 0 ? "unsatisfiable" : { offset: size - length, length };
  }
  const first = Number(match[1]);
  const last = match[2] === "" ? size - 1 : Math.min(Number(match[2]), size - 1);
  if (match[2] !== "" && Number(match[2]) < first) return undefined;
  return first >= size ? "unsatisfiable" : { offset: first, length: last - first + 1 };
}

/** RFC 6266, with RFC 5987 for names that are not ASCII. */
function attachment(name: string): string {
  const plain = name
    .normalize("NFKD")
    .replace(/[^\x20-\x7e]/g, "")
    .replace(/["\\]/g, "_");
  const quoted = /^[\w!#$%&'*+.^`|~-]+$/.test(plain) ? plain : `"${plain || "download"}"`;
  if (plain === name) return `attachment; filename=${quoted}`;
  const encoded = encodeURIComponent(name).replace(
    /['()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16)}`,
  );
  return `attachment; filename=${quoted}; filename*=UTF-8''${encoded}`;
}
