import {
  type Attribute,
  attributeOf,
  entityOf,
  type MapEntity,
  orderError,
  type SearchTarget,
} from "./target.ts";

/** One item of an order. */
export type OrderItem = { readonly ascending: boolean } & (
  | { readonly entity: "attribute"; readonly name: string; readonly attribute: Attribute }
  | { readonly entity: MapEntity; readonly key: string; readonly dataset?: DatasetRef }
);

/** Narrows a metric of a logged model to those that were measured on a data set. */
export interface DatasetRef {
  readonly name?: string;
  readonly digest?: string;
}

const itemPattern =
  /^(?:(?<prefix>\w+)\.)?(?<key>`[^`]+`|"[^"]+"|'[^']+'|\S+?)(?:\s+(?<direction>asc|desc))?$/i;

/** SQLite joins at most 64 tables, and each metric, parameter or tag is one. */
const maxItems = 30;

/**
 * Parses `<key> [ASC|DESC]` items.
 *
 * @throws invalid for an item that cannot be parsed, is not known to the target or stands there twice.
 */
export function orderOf(items: readonly string[], target: SearchTarget): OrderItem[] {
  const order = items.map((item) => {
    const groups = itemPattern.exec(item.trim())?.groups;
    if (groups?.key === undefined)
      throw orderError(item, "Could not be parsed: '<key> [ASC|DESC]' is expected.");
    const ascending = groups.direction?.toLowerCase() !== "desc";
    return orderItem(item, groups.prefix, groups.key.replace(/^([`"'])(.+)\1$/, "$2"), ascending, target);
  });
  return withoutTwins(order, items);
}

/** @throws invalid. @param item as the caller wrote it, for messages */
export function orderItem(
  item: string,
  prefix: string | undefined,
  key: string,
  ascending: boolean,
  target: SearchTarget,
): OrderItem {
  const entity = entityOf(prefix, target, () => 0, item);
  if (entity === "dataset") throw orderError(item, "Runs cannot be ordered by their data sets.");
  if (entity !== "attribute") return { entity, key, ascending };
  const attribute = attributeOf(key, target);
  if (attribute === undefined) {
    const known = Object.keys(target.attributes).join(", ");
    throw orderError(item, `Invalid attribute key '${key}' specified. Valid keys are ${known}.`);
  }
  return { entity, name: key, attribute, ascending };
}

/** @throws invalid when two items order by the same thing, or there are too many. */
export function withoutTwins(order: OrderItem[], items: readonly string[]): OrderItem[] {
  if (order.length > maxItems)
    throw orderError(items[maxItems] ?? "", `At most ${maxItems} items are taken.`);
  const seen = new Set<string>();
  for (const [index, item] of order.entries()) {
    const name =
      item.entity === "attribute"
        ? item.attribute.sql
        : JSON.stringify([item.entity, item.key, item.dataset?.name, item.dataset?.digest]);
    if (seen.has(name))
      throw orderError(items[index] ?? "", `\`order_by\` contains duplicate fields: ${items.join(", ")}`);
    seen.add(name);
  }
  return order;
}
