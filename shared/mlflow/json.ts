/**
 * The JSON of MLflow's answers, as protobuf writes it: snake case, absent where unset, lists absent where empty, int64
 * as numbers, doubles that JSON does not know as strings.
 */

/** A repeated field: absent when empty. (`JSON.stringify` leaves undefined out.) */
export function many<Item>(items: readonly Item[]): readonly Item[] | undefined {
  return items.length === 0 ? undefined : items;
}

/** A string field that is only set when it says something. */
export function unlessEmpty(value: string | null | undefined): string | undefined {
  return value === null || value === "" ? undefined : value;
}

export function doubleJson(value: number): number | string {
  if (Number.isNaN(value)) return "NaN";
  if (value === Number.POSITIVE_INFINITY) return "Infinity";
  return value === Number.NEGATIVE_INFINITY ? "-Infinity" : value;
}
