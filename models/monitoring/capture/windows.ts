import { createHash } from "node:crypto";
import type { BlobStat, BlobStore, LocalFile } from "../../../shared/blobs/index.ts";
import type { WorkerPool } from "../../../shared/jobs/index.ts";
import type { ReferenceProfile, WindowProfile } from "../../../shared/statistics/index.ts";
import type { MonitorSpec } from "../schemas.ts";
import {
  captureRoot,
  directly,
  hourMs,
  hourPath,
  hoursRoot,
  type Partition,
  partitionPrefix,
} from "./captured.ts";
import type { HourProfile, HourTask } from "./hour.worker.ts";

export interface WindowSources {
  readonly blobs: BlobStore;
  readonly workers: WorkerPool;
}

/** What was captured of one model version in a window: the blobs of its hours. */
export interface CapturedWindow {
  readonly partitions: readonly Partition[];
  readonly model: string;
  readonly version: string;
  readonly bytes: number;
  readonly hours: readonly CapturedHour[];
}

interface CapturedHour {
  readonly partition: Partition;
  readonly hourMs: number;
  readonly blobs: readonly BlobStat[];
}

export interface WindowCounts {
  readonly requests: number;
  readonly duplicates: number;
  readonly errors: number;
  readonly hours: number;
}

/** All model versions that the target's predictions of [fromMs, toMs) came from, the one with most data first. */
export async function capturedWindows(
  { blobs }: WindowSources,
  target: MonitorSpec["target"],
  fromMs: number,
  toMs: number,
): Promise<CapturedWindow[]> {
  const windows = new Map<string, CapturedWindow>();
  for (const partition of await partitionsOf(blobs, target)) {
    const hours = await hoursOf(blobs, partition, fromMs, toMs);
    if (hours.length === 0) continue;
    const { model, version } = partition;
    const key = JSON.stringify([model, version]);
    const known = windows.get(key) ?? { partitions: [], model, version, bytes: 0, hours: [] };
    const bytes = hours.flatMap((hour) => hour.blobs).reduce((sum, blob) => sum + blob.sizeBytes, 0);
    windows.set(key, {
      ...known,
      partitions: [...known.partitions, partition],
      bytes: known.bytes + bytes,
      hours: [...known.hours, ...hours],
    });
  }
  return [...windows.values()].sort((a, b) => b.bytes - a.bytes);
}

/**
 * The profiles of a window's hours. An hour is read once: its profile is kept beside, and read again only when blobs
 * have been added since.
 */
export async function profileHours(
  sources: WindowSources,
  reference: ReferenceProfile,
  window: CapturedWindow,
  signal: AbortSignal,
  progress: (done: number) => void,
): Promise<{ readonly parts: readonly WindowProfile[]; readonly counts: WindowCounts }> {
  const parts: WindowProfile[] = [];
  const total = { requests: 0, duplicates: 0, errors: 0, hours: 0 };
  for (const hour of window.hours) {
    const profile = await hourProfile(sources, reference, hour, signal);
    parts.push(profile.window);
    total.requests += profile.requests;
    total.duplicates += profile.duplicates;
    total.errors += profile.errors;
    total.hours++;
    progress(total.hours / window.hours.length);
  }
  return { parts, counts: total };
}

/** Gives `work` blobs as files on the local disk. */
export async function withFiles<Result>(
  blobs: Pick<BlobStore, "localFile">,
  keys: readonly string[],
  work: (files: readonly string[]) => Promise<Result>,
): Promise<Result> {
  const files: LocalFile[] = [];
  try {
    for (const key of keys) files.push(await blobs.localFile(key));
    return await work(files.map((file) => file.path));
  } finally {
    await Promise.all(files.map((file) => file[Symbol.asyncDispose]()));
  }
}

/** A stored hour: its profile, and which blobs it was made of. */
interface StoredHour extends HourProfile {
  readonly sources: string;
}

async function hourProfile(
  { blobs, workers }: WindowSources,
  reference: ReferenceProfile,
  hour: CapturedHour,
  signal: AbortSignal,
): Promise<HourProfile> {
  const place = `${partitionPrefix(hour.partition)}${hourPath(hour.hourMs)}`.slice(captureRoot.length);
  const key = `${hoursRoot}${place}${reference.fingerprint}.json`;
  const keys = hour.blobs.map((blob) => blob.key);
  // A batch that was written twice has another size or time, the same key.
  const written = hour.blobs.map((blob) => [blob.key, blob.sizeBytes]);
  const sources = createHash("sha256").update(JSON.stringify(written)).digest("hex");
  const known = await readJson<StoredHour>(blobs, key);
  if (known?.sources === sources) return known;
  const profile = await withFiles(blobs, keys, (files) =>
    workers.run<HourTask, HourProfile>(
      new URL("./hour.worker.ts", import.meta.url),
      { files, reference },
      { signal },
    ),
  );
  const stored: StoredHour = { ...profile, sources };
  await blobs.put(key, new TextEncoder().encode(JSON.stringify(stored)), { contentType: "application/json" });
  return profile;
}

/** A blob's JSON that Ketline itself wrote; null when there is none. */
export async function readJson<Value>(blobs: Pick<BlobStore, "get">, key: string): Promise<Value | null> {
  const found = await blobs.get(key);
  return found === null ? null : JSON.parse(await new Response(found.stream).text());
}

async function partitionsOf(blobs: BlobStore, target: MonitorSpec["target"]): Promise<Partition[]> {
  const root = `${captureRoot}deployment=`;
  if ("deployment" in target) {
    return partitionsUnder(blobs, target.deployment, `${root}${encodeURIComponent(target.deployment)}/`);
  }
  // The names of a prefix listing end at the slash: every deployment, and those who asked the model itself.
  const deployments = [directly, ...(await namesUnder(blobs, captureRoot, "deployment="))];
  const found: Partition[] = [];
  for (const deployment of new Set(deployments)) {
    const prefix = `${root}${encodeURIComponent(deployment)}/`;
    found.push(...(await partitionsUnder(blobs, deployment, prefix, target.model)));
  }
  return found.filter(({ version }) => target.version === undefined || version === target.version);
}

async function partitionsUnder(
  blobs: BlobStore,
  deployment: string,
  prefix: string,
  onlyModel?: string,
): Promise<Partition[]> {
  const models = onlyModel === undefined ? await namesUnder(blobs, prefix, "model=") : [onlyModel];
  const found: Partition[] = [];
  for (const model of models) {
    const versions = await namesUnder(blobs, `${prefix}model=${encodeURIComponent(model)}/`, "version=");
    for (const version of versions) found.push({ deployment, model, version, shadow: false });
  }
  return found;
}

async function namesUnder(blobs: BlobStore, prefix: string, mark: string): Promise<string[]> {
  const names = (await foldersUnder(blobs, prefix)).map((folder) => folder.slice(prefix.length, -1));
  return names
    .filter((name) => name.startsWith(mark))
    .map((name) => decodeURIComponent(name.slice(mark.length)));
}

/** The prefixes one level below a prefix, each with its slash. */
export async function foldersUnder(blobs: Pick<BlobStore, "list">, prefix: string): Promise<string[]> {
  const folders: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await blobs.list(prefix, { delimiter: "/", ...(cursor === undefined ? {} : { cursor }) });
    folders.push(...page.prefixes);
    cursor = page.cursor;
  } while (cursor !== undefined);
  return folders;
}

/** Listed day by day: one call for a day of one instance that flushes once a minute, not one for each hour. */
async function hoursOf(
  blobs: BlobStore,
  partition: Partition,
  fromMs: number,
  toMs: number,
): Promise<CapturedHour[]> {
  const dayMs = 24 * hourMs;
  const hours = new Map<number, BlobStat[]>();
  for (let day = Math.floor(fromMs / dayMs) * dayMs; day < toMs; day += dayMs) {
    const prefix = `${partitionPrefix(partition)}${hourPath(day).split("/")[0]}/`;
    for await (const blob of allUnder(blobs, prefix)) {
      const hour = day + Number(/^hh=(\d\d)\//.exec(blob.key.slice(prefix.length))?.[1]) * hourMs;
      if (!(hour >= fromMs && hour < toMs)) continue;
      const known = hours.get(hour);
      if (known === undefined) hours.set(hour, [blob]);
      else known.push(blob);
    }
  }
  return [...hours].map(([at, found]) => ({ partition, hourMs: at, blobs: found }));
}

async function* allUnder(blobs: BlobStore, prefix: string): AsyncGenerator<BlobStat> {
  let cursor: string | undefined;
  do {
    const page = await blobs.list(prefix, cursor === undefined ? {} : { cursor });
    yield* page.blobs;
    cursor = page.cursor;
  } while (cursor !== undefined);
}
