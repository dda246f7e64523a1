import { mergeWindows, type ReferenceProfile, type WindowProfile } from "../../../shared/statistics/index.ts";
import type { DriftReport } from "../schemas.ts";
import { type DriftRules, judgeDrift } from "./drift.ts";

export interface JudgeTask {
  readonly reference: ReferenceProfile;
  /** Parts of one window. */
  readonly parts: readonly WindowProfile[];
  readonly rules: DriftRules;
}

/** Merges a window's parts and judges it, on a worker thread: floors of many columns take a while. */
export default function judge({ reference, parts, rules }: JudgeTask): DriftReport {
  return judgeDrift(reference, mergeWindows(reference, parts), rules);
}
