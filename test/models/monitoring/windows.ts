import { Thresholds } from "../../../models/monitoring/schemas.ts";
import { emptyWindow, type ReferenceProfile, type WindowProfile } from "../../../shared/statistics/index.ts";
import { addValues } from "../../../shared/statistics/profiles/window-profile.ts";

export const defaultThresholds = Thresholds.parse({});

/** A window with these columns, its rows keyed by their number. */
export function windowOf(
  reference: ReferenceProfile,
  columns: Readonly<Record<string, ArrayLike<unknown>>>,
): WindowProfile {
  const window = emptyWindow(reference);
  for (const [name, values] of Object.entries(columns)) {
    addValues(window, reference, [{ name, values }]);
  }
  return window;
}
