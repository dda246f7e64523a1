import type { Clock } from "./clock.ts";

const dayMs = 86_400_000;
/** Within the time that a host gives one run of a timer; what is left is for the next one. */
const maxRoundMs = 4 * 60_000;

/** The moment before which what is kept for so many days may go; null when it is kept for ever. */
export function keptSince(days: number | null, nowMs: number): number | null {
  return days === null ? null : nowMs - days * dayMs;
}

/**
 * Removes in portions, so that no statement holds others up for long, until nothing is left or the round has taken long
 * enough.
 *
 * @param removeSome removes up to `most` and returns how many it was; fewer mean that nothing is left
 * @returns how many were removed
 */
export async function removeInPortions(
  removeSome: (most: number) => Promise<number>,
  { clock, most = 1000 }: { readonly clock: Clock; readonly most?: number },
): Promise<number> {
  const isOver = roundEnd(clock);
  for (let total = 0; ; ) {
    const removed = await removeSome(most);
    total += removed;
    if (removed < most || isOver()) return total;
  }
}

/** @returns whether a round that begins now has taken long enough. */
export function roundEnd(clock: Clock): () => boolean {
  const endMs = clock() + maxRoundMs;
  return () => clock() >= endMs;
}
