import { invalid } from "../errors.ts";

const maxKeyLength = 900;

/** File systems end at 255 bytes; the rest is room for the mark of a directory. */
const maxNameBytes = 250;

// Control characters and U+FFFE/U+FFFF cannot stand in the XML of Azure's listings; a lone surrogate has no UTF-8.
// biome-ignore lint/suspicious/noControlCharactersInRegex: refusing them is the point
const unusable = /[\u0000-\u001f\u007f\\\ufffe\uffff]|\p{Surrogate}/u;

/**
 * The same rule for every store, so that a key that one takes never fails in another.
 *
 * @throws invalid naming the key and the rule that it breaks
 */
export function checkKey(key: string): void {
  const fault = faultOf(key, key.split("/"));
  if (fault !== undefined) throw invalid(`The blob key ${shown(key)} ${fault}.`, { field: "key" });
}

/** A prefix is the beginning of a key: empty, ending in `/`, or ending anywhere in a segment. */
export function checkPrefix(prefix: string): void {
  if (prefix === "") return;
  const segments = prefix.split("/");
  const whole = segments.slice(0, -1); // what follows the last slash may yet become a good segment
  const fault =
    prefix.length > maxKeyLength
      ? `has ${prefix.length} characters; at most ${maxKeyLength} are taken`
      : whole.length === 0
        ? characterFault(prefix)
        : (characterFault(prefix) ?? faultOf(whole.join("/"), whole));
  if (fault !== undefined) throw invalid(`The blob prefix ${shown(prefix)} ${fault}.`, { field: "prefix" });
}

/** @throws invalid outside of 1 to 5000 */
export function checkLimit(limit: number): void {
  if (Number.isInteger(limit) && limit >= 1 && limit <= 5000) return;
  throw invalid(`limit is ${limit}; it is a whole number from 1 to 5000.`, { field: "limit" });
}

function faultOf(key: string, segments: readonly string[]): string | undefined {
  if (key === "") return "is empty";
  if (key.length > maxKeyLength) return `has ${key.length} characters; at most ${maxKeyLength} are taken`;
  if (segments.includes("")) return "has an empty segment: it may not begin or end with / or have // in it";
  if (segments.some((segment) => segment === "." || segment === "..")) return "has a segment . or ..";
  const long = segments.find((segment) => nameBytes(segment) > maxNameBytes);
  if (long !== undefined) {
    return `has a segment of ${nameBytes(long)} bytes, where a capital or special letter counts threefold; at most ${maxNameBytes} are taken`;
  }
  return characterFault(key);
}

function characterFault(text: string): string | undefined {
  return unusable.test(text) ? "has a backslash or a character that cannot be stored in names" : undefined;
}

function nameBytes(segment: string): number {
  return Buffer.byteLength(fileName(segment));
}

function shown(key: string): string {
  return JSON.stringify(key.length > 200 ? `${key.slice(0, 200)}…` : key);
}

/**
 * The name of a segment on disk. Two segments never share a file, not even where the file system ignores case (macOS,
 * Windows) or joins Unicode forms: what such systems confuse or refuse is written as the `%xx` of its UTF-8, in lower
 * case. `~` is escaped because it marks directories (see `directoryName`).
 */
export function fileName(segment: string): string {
  const normal = segment === segment.normalize("NFC");
  let name = "";
  for (const letter of segment) {
    const plain =
      /[^%~:*?"<>|]/.test(letter) && letter === letter.toLowerCase() && (normal || letter <= "\x7f");
    name += plain ? letter : escaped(letter);
  }
  // Windows drops a last dot or space, and keeps these names for devices whatever their extension.
  const last = name.at(-1) ?? "";
  if (last === "." || last === " ") name = name.slice(0, -1) + escaped(last);
  return /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/.test(name) ? escaped(name.slice(0, 1)) + name.slice(1) : name;
}

/** A directory bears a mark, so that the blob `a` and the blob `a/b` can both be there. */
export function directoryName(segment: string): string {
  return `${fileName(segment)}~`;
}

/** The segment of a name on disk, with its `/` for a directory; null for a name that Ketline would not write. */
export function segmentOf(name: string, isDirectory: boolean): string | null {
  if (name.endsWith("~") !== isDirectory) return null;
  const written = isDirectory ? name.slice(0, -1) : name;
  try {
    const segment = decodeURIComponent(written);
    if (fileName(segment) !== written || faultOf(segment, [segment]) !== undefined) return null;
    return isDirectory ? `${segment}/` : segment;
  } catch {
    return null;
  }
}

function escaped(letter: string): string {
  return [...Buffer.from(letter)].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");
}
