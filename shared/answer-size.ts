/** A list ends here, with a token for the rest: an answer is in memory whole, and so is its JSON. */
export const maxAnswerBytes = 16 * 1024 ** 2;

/** About as many characters as the JSON of a value has, without writing it. */
export function jsonSize(value: unknown): number {
  if (typeof value === "string") return value.length + 2;
  if (typeof value !== "object" || value === null) return 8;
  let size = 2;
  if (Array.isArray(value)) for (const item of value) size += jsonSize(item) + 1;
  else for (const [key, item] of Object.entries(value)) size += key.length + 4 + jsonSize(item);
  return size;
}

/** How many items from the start make an answer of a bearable size; at least one, so that a list always goes on. */
export function countWithinSize(items: readonly unknown[], maxBytes = maxAnswerBytes): number {
  let size = 0;
  const end = items.findIndex((item) => {
    size += jsonSize(item);
    return size > maxBytes;
  });
  return end < 0 ? items.length : Math.max(1, end);
}
