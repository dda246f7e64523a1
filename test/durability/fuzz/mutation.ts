import type { FuzzRequest } from "./exchange.ts";
import { malformed } from "./malformed.ts";
import { headerLines, literals, numbers, pick, type Random, targets, texts } from "./odd-values.ts";

/** One to three things wrong with a good request; one in twelve stays good, so that there is something to break. */
export function mutate(random: Random, seed: FuzzRequest): FuzzRequest {
  if (random() < 0.08) return seed;
  if (random() < 0.04) return { ...seed, raw: malformed(random, seed) };
  let request = seed;
  for (let change = 0; change <= random() * 1.6; change++) {
    const kind = random();
    if (kind < 0.6 && request.body !== undefined) {
      request = { ...request, body: mutateBody(random, request.body) };
    } else if (kind < 0.85) request = { ...request, target: mutateTarget(random, request.target) };
    else if (kind < 0.97) request = { ...request, headers: mutateHeaders(random, request.headers) };
    else
      request = {
        ...request,
        method: pick(random, ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]),
      };
  }
  return request;
}

function mutateBody(random: Random, body: Uint8Array): Uint8Array {
  const text = Buffer.from(body).toString("utf8");
  // What is deep already cannot be walked through.
  const json = text.length > 20_000 ? undefined : parsed(text);
  if (json === undefined || random() < 0.1) return mutateBytes(random, body);
  if (random() < 0.2) return Buffer.from(mutateJsonText(random, text));
  return Buffer.from(JSON.stringify(mutateValue(random, json)) ?? "");
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export function oddText(random: Random): string {
  return pick(random, texts);
}

export function oddValue(random: Random): unknown {
  const kind = random();
  if (kind < 0.4) return oddText(random);
  if (kind < 0.7) return pick(random, numbers);
  return pick<unknown>(random, [null, true, false, [], {}, [[]], [null], [{}], { a: 1 }, [1, "a", null]]);
}

/** Changes one place in a JSON value, in place where it can; returns what stands there now. */
export function mutateValue(random: Random, value: unknown, depth = 0): unknown {
  if (Array.isArray(value)) {
    if (value.length === 0 || random() < 0.2 / (depth + 1)) return pick(random, listChanges)(random, value);
    const at = Math.floor(random() * value.length);
    value[at] = mutateValue(random, value[at], depth + 1);
    return value;
  }
  if (typeof value === "object" && value !== null) {
    const record = value as Record<string, unknown>;
    const keys = Object.keys(record);
    const key = keys.length === 0 ? undefined : pick(random, keys);
    const change = random();
    if (key === undefined || change < 0.06) {
      define(record, oddText(random), oddValue(random));
    } else if (change < 0.12) delete record[key];
    else if (change < 0.15) {
      define(record, oddText(random), record[key]);
      delete record[key];
    } else if (change < 0.18 && depth > 0) return oddValue(random);
    else define(record, key, mutateValue(random, record[key], depth + 1));
    return record;
  }
  // Mostly of the same type: what has another one is refused at the door.
  if (typeof value === "number" && random() < 0.8) {
    return pick(random, [value + 1, -value, value * 1e9, value / 3, 0, pick(random, numbers)]);
  }
  if (typeof value === "string" && random() < 0.8) return mutateText(random, value);
  if (typeof value === "boolean" && random() < 0.8) return !value;
  return oddValue(random);
}

const listChanges: readonly ((random: Random, list: unknown[]) => unknown)[] = [
  (random, list) => [...list, oddValue(random)],
  (_, list) => [...list, ...list],
  () => [],
  (_, list) => list.slice(1),
  (_, list) => Array.from({ length: 2000 }, (_, index) => list[index % Math.max(list.length, 1)] ?? null),
  (random, list) => [oddValue(random), ...list],
  (_, list) => [list],
  (_, list) => list.toReversed(),
];

function define(record: Record<string, unknown>, key: string, value: unknown): void {
  Object.defineProperty(record, key, { value, configurable: true, enumerable: true, writable: true });
}

export function mutateText(random: Random, text: string): string {
  const at = Math.floor(random() * (text.length + 1));
  const other = Math.floor(random() * (text.length + 1));
  return pick(random, [
    () => text.slice(0, at) + oddText(random) + text.slice(at),
    () => text.slice(0, Math.min(at, other)) + text.slice(Math.max(at, other)),
    () => text + text,
    () => text.toUpperCase(),
    () => `${text} `,
    () => text.slice(0, at) + String.fromCharCode(Math.floor(random() * 0x250)) + text.slice(at + 1),
    () => text.repeat(Math.min(200, Math.ceil(5000 / Math.max(text.length, 1)))),
    () => oddText(random),
  ])();
}

export function mutateBytes(random: Random, bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(bytes);
  const change = random();
  if (copy.length === 0 || change < 0.1) return new Uint8Array(0);
  if (change < 0.6) {
    for (let i = 0; i <= random() * 8; i++) {
      copy[Math.floor(random() * copy.length)] = pick(random, [
        0,
        0xff,
        0x80,
        0x22,
        0x7b,
        Math.floor(random() * 256),
      ]);
    }
    return copy;
  }
  const at = Math.floor(random() * copy.length);
  if (change < 0.8) return copy.slice(0, at);
  return Uint8Array.from([...copy.slice(0, at), ...copy.slice(Math.floor(at / 2))]);
}

/** Into the JSON's text itself: what no value can say. */
export function mutateJsonText(random: Random, json: string): string {
  const tokens = [...json.matchAll(/"(?:[^"\\]|\\.)*"|-?[\d.]+(?:e[+-]?\d+)?|true|false|null|[[\]{},:]/g)];
  const token = tokens[Math.floor(random() * tokens.length)];
  const at = token?.index ?? 0;
  const end = at + (token?.[0].length ?? 0);
  return random() < 0.7
    ? json.slice(0, at) + pick(random, literals) + json.slice(end)
    : pick(random, [
        json.slice(0, at),
        json.slice(0, at) + json.slice(end),
        json.slice(0, end) + json.slice(at),
      ]);
}

export function mutateTarget(random: Random, target: string): string {
  const [path = "", query] = target.split("?");
  const change = random();
  if (change < 0.25) {
    const segments = path.split("/");
    const at = 1 + Math.floor(random() * (segments.length - 1));
    segments[at] = random() < 0.3 ? pick(random, targets) : encode(oddText(random));
    return [segments.join("/"), query].filter((part) => part !== undefined).join("?");
  }
  if (change < 0.35) return path + pick(random, targets) + (query === undefined ? "" : `?${query}`);
  if (change < 0.45) return query === undefined ? `${path}?` : path;
  const pairs = (query ?? "").split("&").filter((pair) => pair !== "");
  const [key = "", value = ""] = pick(random, pairs.length === 0 ? ["a=b"] : pairs).split("=");
  const added = pick(random, [
    `${key}=${encode(oddText(random))}`,
    `${key}=${value}&${key}=${encode(oddText(random))}`,
    `${encode(oddText(random))}=${value}`,
    `${key}=${pick(random, targets)}`,
    `${key}[]=${value}`,
  ]);
  return `${path}?${[...pairs.filter((pair) => random() < 0.7 || !pair.startsWith(key)), added].join("&")}`;
}

function encode(text: string): string {
  return encodeURIComponent(text.toWellFormed()).slice(0, 6000);
}

export function mutateHeaders(random: Random, headers: FuzzRequest["headers"]): FuzzRequest["headers"] {
  const [name, value] = pick(random, headerLines);
  return { ...headers, [name]: value };
}
