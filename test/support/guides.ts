import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";

const directory = path.join(path.dirname(path.dirname(import.meta.dirname)), "docs", "guides");

/** Stands for what varies. */
const rest = "…";

/** What a reader of a guide is asked to run, and what the page says comes of it. */
export interface GuideBlock {
  readonly language: "sh" | "python";
  readonly code: string;
  /** Where the code begins on the page, from 1. */
  readonly line: number;
  /** Whether it must fail: "```sh fails". */
  readonly fails: boolean;
  /** The block of output that follows it. */
  readonly output: GuideOutput | undefined;
}

export interface GuideOutput {
  readonly kind: "text" | "json";
  readonly text: string;
}

export interface Guide {
  readonly name: string;
  readonly blocks: readonly GuideBlock[];
}

/** Every page of docs/guides, so that none can be without its test. */
export function guideNames(): readonly string[] {
  return readdirSync(directory)
    .filter((file) => file.endsWith(".md"))
    .map((file) => file.slice(0, -".md".length))
    .toSorted();
}

export function readGuide(name: string): Guide {
  return { name, blocks: guideBlocks(readFileSync(path.join(directory, `${name}.md`), "utf8")) };
}

/**
 * The fenced blocks of a page: `sh` and `python` are run, `text` and `json` are what the block before them prints.
 *
 * @throws Error for any other block, since nobody would know whether it is true
 */
export function guideBlocks(page: string): readonly GuideBlock[] {
  const blocks: GuideBlock[] = [];
  let open: { readonly info: string; readonly line: number; readonly code: string[] } | undefined;
  let isOutputDue = false;
  for (const [index, line] of page.split("\n").entries()) {
    if (open === undefined) {
      const info = /^\s*```(.*)$/.exec(line)?.[1];
      if (info !== undefined) open = { info: info.trim(), line: index + 2, code: [] };
      continue;
    }
    if (!/^\s*```\s*$/.test(line)) {
      open.code.push(line);
      continue;
    }
    const [language = "", ...words] = open.info.split(/\s+/);
    const code = open.code.join("\n");
    if (language === "sh" || language === "python") {
      blocks.push({ language, code, line: open.line, fails: words.includes("fails"), output: undefined });
      isOutputDue = true;
    } else if ((language === "text" || language === "json") && isOutputDue) {
      blocks.push({ ...blocks.pop()!, output: { kind: language, text: code } });
      isOutputDue = false;
    } else {
      throw new Error(
        `Line ${open.line - 1}: a block is sh or python, or the text or json that the block before it prints; ` +
          `this one is "${open.info}".`,
      );
    }
    open = undefined;
  }
  if (open !== undefined) throw new Error(`Line ${open.line - 1}: this block is never closed.`);
  return blocks;
}

/**
 * Compares what a page promises with what came. In text a `…` stands for anything, a line of its own for any lines. In
 * JSON it stands for any value, or for whatever else an object or an array has; spaces do not count.
 *
 * @returns what differs, or undefined
 */
export function outputDiffers({ kind, text }: GuideOutput, printed: string): string | undefined {
  const differs = `The page says:\n${text}\nIt printed:\n${printed}`;
  if (kind === "json") {
    let value: unknown;
    try {
      value = JSON.parse(printed);
    } catch {
      return `This is no JSON:\n${printed}`;
    }
    const where = jsonDiffers(JSON.parse(quoteEllipses(text)), value, "");
    return where === undefined ? undefined : `${where}\n${differs}`;
  }
  const pattern = text
    .trim()
    .split("\n")
    .map((line) => {
      if (line.trim() === rest) return "(?:.*\\n)*?";
      const parts = line.trimEnd().split(rest);
      return `${parts.map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join(".*")}\\n`;
    })
    .join("");
  const lines = printed.trim().split("\n");
  const isSame = new RegExp(`^${pattern}$`).test(lines.map((line) => `${line.trimEnd()}\n`).join(""));
  return isSame ? undefined : differs;
}

/** Makes JSON of a page's JSON: a bare … becomes the value "…", or the member "…" of an object. */
function quoteEllipses(text: string): string {
  const open: string[] = [];
  let before = "";
  return text.replace(/"(?:[^"\\]|\\.)*"|[{}[\]:,…]/g, (token) => {
    if (token === "{" || token === "[") open.push(token);
    if (token === "}" || token === "]") open.pop();
    const isMember = token === rest && open.at(-1) === "{" && before !== ":";
    before = token;
    if (token !== rest) return token;
    return isMember ? `"${rest}": "${rest}"` : `"${rest}"`;
  });
}

function jsonDiffers(expected: unknown, value: unknown, at: string): string | undefined {
  if (expected === rest) return undefined;
  if (typeof expected === "string" && expected.includes(rest) && typeof value === "string") {
    const differs = outputDiffers({ kind: "text", text: expected }, value);
    return differs === undefined ? undefined : `${at || "/"} is ${JSON.stringify(value)}.`;
  }
  if (Array.isArray(expected)) {
    if (!Array.isArray(value)) return `${at || "/"} is no array.`;
    const isOpen = expected.at(-1) === rest;
    const named = isOpen ? expected.slice(0, -1) : expected;
    if (value.length < named.length || (!isOpen && value.length > named.length)) {
      return `${at || "/"} has ${value.length} elements.`;
    }
    return firstDifference(named.map((each, index) => [String(index), each, value[index]]));
  }
  if (typeof expected === "object" && expected !== null) {
    if (typeof value !== "object" || value === null || Array.isArray(value))
      return `${at || "/"} is no object.`;
    const found = value as Record<string, unknown>;
    const names = Object.keys(expected).filter((name) => name !== rest);
    const other = Object.keys(found).filter((name) => !names.includes(name));
    if (!Object.hasOwn(expected, rest) && other.length > 0)
      return `${at || "/"} has also ${other.join(", ")}.`;
    return firstDifference(
      names.map((name) => [name, (expected as Record<string, unknown>)[name], found[name]]),
    );
  }
  return Object.is(expected, value) ? undefined : `${at || "/"} is ${JSON.stringify(value)}.`;

  function firstDifference(members: readonly (readonly [string, unknown, unknown])[]): string | undefined {
    for (const [name, wanted, found] of members) {
      const difference = jsonDiffers(wanted, found, `${at}/${name}`);
      if (difference !== undefined) return difference;
    }
    return undefined;
  }
}
