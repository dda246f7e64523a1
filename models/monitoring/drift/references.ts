import { createHash } from "node:crypto";
import type { BlobStore } from "../../../shared/blobs/index.ts";
import { conflict, invalid } from "../../../shared/errors.ts";
import type { WorkerPool } from "../../../shared/jobs/index.ts";
import { inScratchDirectory } from "../../../shared/scratch/index.ts";
import {
  type ReferenceProfile,
  storedReference,
  type WindowProfile,
} from "../../../shared/statistics/index.ts";
import type { Column, Datasets } from "../../datasets/index.ts";
import type { Registry } from "../../registry/index.ts";
import { readJson } from "../capture/windows.ts";
import type { DatasetSlice, MonitorSpec } from "../schemas.ts";
import type { SliceResult, SliceTask } from "./slice.worker.ts";

/** Below it lie profiles of slices, by dataset and version. */
export const referencesRoot = "monitoring/references/v2/";

/** Stands in the names of profiles, so that one of an earlier form is never taken for one of this. */
const profileForm = 2;

export interface ReferenceSources {
  readonly blobs: BlobStore;
  readonly workers: WorkerPool;
  readonly registry: Pick<Registry, "artifactPrefix">;
  readonly datasets: Pick<Datasets, "getVersion" | "withRows">;
}

export interface Reference {
  readonly profile: ReferenceProfile;
  /** Where it came from, for people to read. */
  readonly source: string;
}

/**
 * What a window is held against: the profile that training left beside the version, or one of a slice of a dataset,
 * which is made once and kept.
 *
 * @throws conflict when the version has no profile; notFound for an unknown version or dataset.
 */
export async function loadReference(
  sources: ReferenceSources,
  wanted: MonitorSpec["reference"],
  version: { readonly model: string; readonly version: string } | null,
  signal: AbortSignal,
): Promise<Reference> {
  if (wanted.kind === "dataset") {
    const { kind: _, ...slice } = wanted;
    return { profile: await sliceReference(sources, slice, signal), source: nameOf(slice) };
  }
  if (version === null) {
    throw invalid(
      "This monitor's reference is the profile of a trained version, and this window belongs to none: name a model " +
        "version as the target, or a dataset as the reference.",
    );
  }
  const prefix = await sources.registry.artifactPrefix(version.model, Number(version.version));
  const stored = await readJson<{ version: number }>(sources.blobs, `${prefix}/reference-profile.json`);
  const name = `version ${version.version} of "${version.model}"`;
  if (stored === null) {
    throw conflict(
      `There is no reference profile beside ${name}; give the monitor a dataset as its reference.`,
    );
  }
  const profile = storedReference(stored);
  if (profile === null) {
    throw conflict(`The reference profile beside ${name} is of format ${stored.version}; 2 is known here.`);
  }
  return { profile, source: `training of ${name}` };
}

/** Counts a slice of a dataset against a reference. */
export async function sliceWindow(
  sources: ReferenceSources,
  reference: ReferenceProfile,
  slice: DatasetSlice,
  signal: AbortSignal,
): Promise<WindowProfile> {
  const result = await runSlice(sources, slice, reference, signal);
  if (result.kind !== "window") throw new Error("A slice with a reference is a window.");
  return result.window;
}

async function sliceReference(
  sources: ReferenceSources,
  slice: DatasetSlice,
  signal: AbortSignal,
): Promise<ReferenceProfile> {
  const { version } = await sources.datasets.getVersion(slice.dataset, slice.version);
  const exact = { ...slice, version };
  const digest = createHash("sha256")
    .update(JSON.stringify([profileForm, ...Object.entries(exact).sort()]))
    .digest("hex");
  const key = `${referencesRoot}${slice.dataset}/${version}/${digest}.json`;
  const known = await readJson<ReferenceProfile>(sources.blobs, key);
  if (known !== null) return known;
  const result = await runSlice(sources, exact, undefined, signal);
  if (result.kind !== "reference") throw new Error("A slice without a reference becomes one.");
  await sources.blobs.put(key, new TextEncoder().encode(JSON.stringify(result.profile)), {
    contentType: "application/json",
  });
  return result.profile;
}

async function runSlice(
  { datasets, workers }: ReferenceSources,
  slice: DatasetSlice,
  reference: ReferenceProfile | undefined,
  signal: AbortSignal,
): Promise<SliceResult> {
  const version = await datasets.getVersion(slice.dataset, slice.version);
  checkTimeColumn(slice, version.columns);
  const columns = columnsFor(version.columns, reference);
  return datasets.withRows(version, (file) =>
    inScratchDirectory((scratchDirectory) =>
      workers.runApart<SliceTask, SliceResult>(
        new URL("./slice.worker.ts", import.meta.url),
        {
          file,
          scratchDirectory,
          columns,
          timeColumn: slice.timeColumn,
          fromMs: slice.fromMs,
          toMs: slice.toMs,
          ...(reference === undefined ? {} : { reference }),
        },
        { signal },
      ),
    ),
  );
}

/**
 * Times and nested values have no distribution to hold against another. A column is read as the reference's kind; where
 * that cannot be (text for a number), it is left out, and the verdict says that the window lacks it.
 */
function columnsFor(
  columns: readonly Column[],
  reference: ReferenceProfile | undefined,
): SliceTask["columns"] {
  return columns.flatMap((column): SliceTask["columns"] => {
    const kind = column.kind === "numeric" ? "numeric" : "categorical";
    if (reference === undefined) {
      return column.kind === "time" || column.kind === "other" ? [] : [{ name: column.name, kind }];
    }
    const wanted = reference.columns.find((each) => each.name === column.name)?.kind;
    if (wanted === undefined) return [];
    if (wanted === "numeric" && column.kind !== "numeric" && column.kind !== "boolean") return [];
    return [{ name: column.name, kind: wanted }];
  });
}

function checkTimeColumn(
  { timeColumn, fromMs, toMs, dataset }: DatasetSlice,
  columns: readonly Column[],
): void {
  if (timeColumn === undefined) {
    if (fromMs === undefined && toMs === undefined) return;
    throw invalid("fromMs and toMs need timeColumn: the column that they are compared with.", {
      field: "timeColumn",
    });
  }
  const column = columns.find((each) => each.name === timeColumn);
  if (column?.kind === "time") return;
  const times = columns.filter((each) => each.kind === "time").map((each) => `"${each.name}"`);
  throw invalid(
    `"${timeColumn}" is ${column === undefined ? "not a column" : `of type ${column.type}, no time,`} of "${dataset}"; ` +
      `its times are ${times.join(", ") || "none"}.`,
    { field: "timeColumn" },
  );
}

function nameOf({ dataset, version, fromMs, toMs }: DatasetSlice): string {
  const day = (atMs: number | undefined) => (atMs === undefined ? "" : new Date(atMs).toISOString());
  const range = fromMs === undefined && toMs === undefined ? "" : ` from ${day(fromMs)} to ${day(toMs)}`;
  return `version ${version.slice(0, 12)} of the dataset "${dataset}"${range}`;
}
