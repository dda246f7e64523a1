import { invalid } from "../../errors.ts";
import type { BlobPage } from "../blob-store.ts";

/** The names that Azure's clients know errors by, where the error itself has none. */
export function errorXml(code: string, message: string): string {
  return document(`<Error>${element("Code", code)}${element("Message", message)}</Error>`);
}

/** The answer to List Blobs, with names relative to the container. */
export function listingXml(
  page: BlobPage,
  options: {
    readonly container: string;
    readonly query: URLSearchParams;
    etagOf(stat: BlobPage["blobs"][number]): string;
  },
): string {
  const { container, query, etagOf } = options;
  const nameOf = (key: string) => element("Name", key.slice(container.length + 1));
  const blobs = page.blobs.map((stat) => {
    const properties = [
      element("Last-Modified", new Date(stat.modifiedMs).toUTCString()),
      element("Etag", etagOf(stat)),
      element("Content-Length", String(stat.sizeBytes)),
      element("Content-Type", stat.contentType),
      element("BlobType", "BlockBlob"),
    ];
    return `<Blob>${nameOf(stat.key)}<Properties>${properties.join("")}</Properties></Blob>`;
  });
  const prefixes = page.prefixes.map((prefix) => `<BlobPrefix>${nameOf(prefix)}</BlobPrefix>`);
  const echoed = [
    ["Prefix", "prefix"],
    ["Marker", "marker"],
    ["MaxResults", "maxresults"],
    ["Delimiter", "delimiter"],
  ].map(([name = "", parameter = ""]) => {
    const value = query.get(parameter);
    return value === null || value === "" ? "" : element(name, value);
  });
  return document(
    `<EnumerationResults ContainerName="${escaped(container)}">${echoed.join("")}` +
      `<Blobs>${blobs.join("")}${prefixes.join("")}</Blobs>${element("NextMarker", page.cursor ?? "")}</EnumerationResults>`,
  );
}

/**
 * The block ids of a Put Block List, in order.
 *
 * @throws invalid for anything but a flat list of blocks to take
 */
export function parseBlockList(xml: string): string[] {
  const list = /^\s*(?:<\?xml[^>]*\?>\s*)?<BlockList\s*(?:\/>|>([\s\S]*)<\/BlockList>)\s*$/.exec(xml);
  if (list === null) throw malformed("it is not one <BlockList>");
  const ids: string[] = [];
  const block = /\s*<(Latest|Uncommitted)>\s*([A-Za-z0-9+/=]+)\s*<\/\1>\s*/y;
  const content = list[1] ?? "";
  while (block.lastIndex < content.trimEnd().length) {
    const at = block.lastIndex;
    const id = block.exec(content)?.[2];
    if (id === undefined) {
      throw malformed(
        `"${content.slice(at, at + 60)}" is not <Latest> or <Uncommitted> with an id in base64`,
      );
    }
    ids.push(id);
  }
  return ids;
}

function malformed(why: string) {
  return invalid(`The block list is wrong: ${why}.`, { code: "InvalidXmlDocument" });
}

function document(content: string): string {
  return `<?xml version="1.0" encoding="utf-8"?>${content}`;
}

function element(name: string, text: string): string {
  return `<${name}>${escaped(text)}</${name}>`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (letter) => `&#${letter.charCodeAt(0)};`);
}
