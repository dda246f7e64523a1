import { existsSync, globSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";

const root = path.dirname(path.dirname(import.meta.dirname));
const pages = [
  "README.md",
  "CONTRIBUTING.md",
  ...globSync("{docs,infra,bench,clients}/**/*.md", { cwd: root }),
].filter((page) => !page.includes("node_modules"));
/** What begins like this is meant as a place in the repository. */
const folders =
  /^(bench|clients|docs|environments|examples|functions|infra|models|quantum|server|shared|test|tools)\/[\w./-]+$/;

function read(page: string): string {
  return readFileSync(path.join(root, page), "utf8");
}

describe.each(pages)("%s", (page) => {
  const text = read(page);

  it("leads to pages that are there", () => {
    const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = ""]) => target.split("#")[0] ?? "");
    const local = links.filter((target) => target !== "" && !/^[a-z]+:/.test(target));
    expect(
      local.filter((target) => !existsSync(path.join(root, path.dirname(page), decodeURI(target)))),
    ).toEqual([]);
  });

  it("names files and folders that are there", () => {
    const named = [...text.matchAll(/`([^`\n]+)`/g)].map(([, code = ""]) => code);
    const places = named.filter((code) => folders.test(code));
    const here = (place: string) =>
      existsSync(path.join(root, place)) || existsSync(path.join(root, path.dirname(page), place));
    expect(places.filter((place) => !here(place))).toEqual([]);
  });

  it("names commands and settings that there are", () => {
    const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
    const commands = [...text.matchAll(/npm run (?:--silent )?([\w:-]+)/g)].map(([, name = ""]) => name);
    expect(commands.filter((name) => !Object.hasOwn(scripts, name))).toEqual([]);
    const known = ["shared/config.ts", ...globSync("{test,bench,server,tools}/**/*.ts", { cwd: root })]
      .map(read)
      .join("\n");
    const settings = [...text.matchAll(/KETLINE_[A-Z_0-9]+/g)].map(([name]) => name.replace(/_$/, ""));
    expect([...new Set(settings)].filter((name) => !known.includes(name))).toEqual([]);
  });
});
