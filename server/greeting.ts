import path from "node:path";
import type { Config } from "../shared/config.ts";
import { version } from "../shared/version.ts";

/** What a person wants to know who has just started the server. */
export function greeting(config: Config, url: string): string {
  const lines: [string, string][] = [
    ["listens on", config.publicUrl === undefined ? url : `${url}, known as ${config.publicUrl}`],
    ["API reference", `${url}/docs`],
    ["keeps data", dataOf(config)],
    ["lets in", visitorsOf(config)],
  ];
  if (config.quantumWorkspace.kind === "azure")
    lines.push(["quantum jobs", config.quantumWorkspace.resourceId]);
  const width = Math.max(...lines.map(([name]) => name.length));
  return [
    "",
    `Ketline ${version}`,
    ...lines.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`),
    "  Ctrl-C stops it.",
    "",
    "",
  ].join("\n");
}

function dataOf({ database, blobs, dataDirectory }: Config): string {
  const tables = database.kind === "sqlite" ? place(database.file) : `PostgreSQL at ${hostOf(database.url)}`;
  const bytes = blobs.kind === "file" ? place(blobs.directory) : blobs.containerUrl;
  const together =
    database.kind === "sqlite" &&
    blobs.kind === "file" &&
    inside(database.file, dataDirectory) &&
    inside(blobs.directory, dataDirectory);
  return together ? `in ${place(dataDirectory)}` : `tables in ${tables}, files in ${bytes}`;
}

function visitorsOf({ identity }: Config): string {
  const ways = [
    ...(identity.entra === undefined ? [] : [`people and services of Entra (${identity.entra.issuer})`]),
    ...(identity.easyAuth ? ["whoever App Service has signed in"] : []),
    ...(identity.adminToken === undefined ? [] : ["holders of KETLINE_ADMIN_TOKEN"]),
  ];
  if (ways.length === 0) return "everyone on this machine and nobody else (no identity is configured)";
  return [...ways, "holders of tokens made at /api/v1/tokens"].join("; ");
}

function place(file: string): string {
  const relative = path.relative(process.cwd(), file);
  return relative.startsWith("..") ? file : relative === "" ? "." : `.${path.sep}${relative}`;
}

function inside(file: string, directory: string): boolean {
  return !path.relative(directory, file).startsWith("..");
}

/** Never the user or the password. */
function hostOf(url: string): string {
  const { host, pathname } = new URL(url);
  return `${host}${pathname}`;
}
