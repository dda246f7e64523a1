import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";

/** A PostgreSQL server of one test's own, which it may stop and start. */
export interface OwnPostgres {
  readonly url: string;
  start(): void;
  /** `immediate` as a crash would: it recovers when it starts. */
  stop(mode?: "fast" | "immediate"): void;
  remove(): void;
}

/**
 * Makes one with the binaries that the machine has.
 *
 * @returns undefined where there are none, which is said aloud; in CI that is a failure
 */
export async function ownPostgres(settings: readonly string[] = []): Promise<OwnPostgres | undefined> {
  const bin = binaries();
  if (bin === undefined) {
    const remedy =
      "Install PostgreSQL's server (on Debian: apt-get install postgresql) to test what its restarts do.";
    if (process.env.CI === "true") throw new Error(`PostgreSQL's binaries must be there in CI. ${remedy}`);
    console.warn(`A restarting PostgreSQL is SKIPPED. ${remedy}`);
    return undefined;
  }
  const directory = mkdtempSync(path.join(tmpdir(), "ketline-postgres-"));
  chmodSync(directory, 0o755);
  const isRoot = process.getuid?.() === 0;
  if (isRoot) execFileSync("chown", ["postgres", directory]);
  const data = path.join(directory, "data");
  const run = (command: string, ...args: string[]) => {
    const [file, ...rest] = isRoot
      ? ["runuser", "-u", "postgres", "--", path.join(bin, command), ...args]
      : [path.join(bin, command), ...args];
    const { status, stderr } = spawnSync(file ?? command, rest, {
      cwd: directory,
      encoding: "utf8",
      timeout: 60_000,
    });
    if (status !== 0) throw new Error(`${command}: ${stderr}`);
  };
  run("initdb", "-D", data, "-U", "ketline", "-A", "trust", "--no-sync");
  const port = await freePort();
  const options = [
    `-p ${port}`,
    "-c listen_addresses=127.0.0.1",
    `-c unix_socket_directories=${directory}`,
    "-c fsync=off",
    ...settings.map((setting) => `-c ${setting}`),
  ].join(" ");
  const own: OwnPostgres = {
    url: `postgres://ketline@127.0.0.1:${port}/postgres`,
    start: () => run("pg_ctl", "-D", data, "-l", path.join(directory, "log"), "-w", "-o", options, "start"),
    stop: (mode = "fast") => run("pg_ctl", "-D", data, "-m", mode, "-w", "stop"),
    remove() {
      try {
        run("pg_ctl", "-D", data, "-m", "immediate", "stop");
      } catch {
        // it was stopped
      }
      rmSync(directory, { recursive: true, force: true });
    },
  };
  own.start();
  return own;
}

function binaries(): string | undefined {
  const root = "/usr/lib/postgresql";
  const versions = existsSync(root) ? readdirSync(root).toSorted((a, b) => Number(b) - Number(a)) : [];
  return versions
    .map((version) => path.join(root, version, "bin"))
    .find((bin) => existsSync(path.join(bin, "initdb")));
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}
