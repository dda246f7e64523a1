import { type CapturedWindow, type WindowSources, withFiles } from "../capture/windows.ts";
import type { Labelled } from "../schemas.ts";
import { createLabelComparison } from "./comparison.ts";
import type { HourPredictions, PredictionsTask } from "./predictions.worker.ts";
import type { LabelStore } from "./store.ts";

/** Requests whose labels are asked for at once. */
const atATime = 500;

/**
 * Joins the captured predictions of a window with their labels, hour by hour: coverage, lag, and how wrong the
 * predictions were. Only labels of the window's own requests are read, however many others there are.
 *
 * @returns null while there are no labels at all
 */
export async function labelledWindow(
  { blobs, workers, labels }: WindowSources & { readonly labels: Pick<LabelStore, "any" | "ofRequests"> },
  window: CapturedWindow,
  signal: AbortSignal,
): Promise<Labelled | null> {
  if (!(await labels.any())) return null;
  const comparison = createLabelComparison();
  for (const hour of window.hours) {
    const keys = hour.blobs.map(({ key }) => key);
    const { ids, atMs, rows } = await withFiles(blobs, keys, (files) =>
      workers.run<PredictionsTask, HourPredictions>(
        new URL("./predictions.worker.ts", import.meta.url),
        { files },
        { signal },
      ),
    );
    for (let from = 0; from < ids.length; from += atATime) {
      const asked = ids.slice(from, from + atATime);
      const known = await labels.ofRequests(asked);
      asked.forEach((id, i) => {
        const ofRows = known.get(id);
        rows[from + i]?.forEach((prediction, row) => {
          comparison.predicted();
          const label = ofRows?.get(row);
          if (label === undefined) return;
          comparison.labelled(prediction, label.value, label.observedMs - (atMs[from + i] ?? 0));
        });
      });
    }
  }
  return comparison.result();
}
