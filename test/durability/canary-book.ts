/** What was seen of a canary: sums, for an hour of answers should not need an hour's memory. */
export interface CanaryBook {
  readonly totals: { requests: number; failed: number; misrouted: number };
  /** By revision. */
  readonly revisions: Map<number, SeenRevision>;
  /** When a change was answered: from then on a request must be answered by it, within `reachLimitMs`. */
  readonly changes: { readonly revision: number; readonly atMs: number }[];
  /** Examples of each kind of thing that went wrong. */
  readonly wrongs: string[];
}

interface SeenRevision {
  /** Answers by variant and version: of requests without a key, and with one. */
  readonly answers: Map<string, { variant: string; version: string; free: number; sticky: number }>;
  /** Where each sticky key was answered first. */
  readonly places: Map<string, string>;
  moves: number;
  readonly tookMs: number[];
  /** How long after the change was answered a request was still sent that an older revision answered. */
  reachMs: number;
}

/** What the deployment's history says of a revision. */
export interface RevisionFacts {
  readonly revision: number;
  readonly variants: readonly { readonly name: string; readonly version: string; readonly weight: number }[];
}

export interface SeenAnswer {
  readonly revision: number;
  readonly variant: string;
  readonly version: string;
  /** Null for a request without a sticky key. */
  readonly key: string | null;
  readonly sentMs: number;
  readonly tookMs: number;
  /** What contradicts the answer's own headers. */
  readonly wrong: string | null;
}

const reachLimitMs = 2000;
const shownWrongs = 20;
/** Of the binomial interval: one sound run in 10,000 is outside. */
const confidence = 0.9999;

export function newBook(): CanaryBook {
  return { totals: { requests: 0, failed: 0, misrouted: 0 }, revisions: new Map(), changes: [], wrongs: [] };
}

export function noteFailure(book: CanaryBook, what: string): void {
  book.totals.requests++;
  book.totals.failed++;
  noteWrong(book, `failed: ${what}`);
}

export function noteAnswer(book: CanaryBook, answer: SeenAnswer): void {
  const { revision, variant, version, key, sentMs, tookMs, wrong } = answer;
  book.totals.requests++;
  if (wrong !== null) {
    book.totals.misrouted++;
    noteWrong(book, `misrouted at revision ${revision}, variant ${variant}: ${wrong}`);
  }
  const seen = seenOf(book, revision);
  const name = `${variant} ${version}`;
  const group = seen.answers.get(name) ?? { variant, version, free: 0, sticky: 0 };
  seen.answers.set(name, group);
  seen.tookMs.push(tookMs);
  if (key === null) group.free++;
  else {
    group.sticky++;
    const place = seen.places.get(key);
    if (place === undefined) seen.places.set(key, variant);
    else if (place !== variant) seen.moves++;
  }
  for (const change of book.changes) {
    if (change.revision <= revision || sentMs < change.atMs) continue;
    const reached = seenOf(book, change.revision);
    reached.reachMs = Math.max(reached.reachMs, sentMs - change.atMs);
  }
}

/** @returns one sentence for each promise that was broken; empty when all were kept */
export function findBreaches(book: CanaryBook, facts: readonly RevisionFacts[]): string[] {
  const breaches = [...book.wrongs];
  const { requests, failed, misrouted } = book.totals;
  if (requests === 0) breaches.push("nothing was asked");
  if (failed + misrouted > book.wrongs.length) {
    breaches.push(`${failed} failed and ${misrouted} misrouted in all`);
  }
  const known = new Set(facts.map(({ revision }) => revision));
  for (const revision of book.revisions.keys()) {
    if (!known.has(revision)) breaches.push(`revision ${revision} answered, and is not in the history`);
  }
  let before = new Set<string>();
  for (const fact of facts) {
    const seen = book.revisions.get(fact.revision);
    if (seen === undefined || seen.answers.size === 0) {
      breaches.push(`revision ${fact.revision} answered nothing`);
      continue;
    }
    const misrouted = misroutedOf(fact, seen);
    if (misrouted > 0) {
      book.totals.misrouted += misrouted;
      breaches.push(`revision ${fact.revision}: ${misrouted} answers by what it does not send requests to`);
    }
    breaches.push(...routingBreaches(fact, seen));
    const canary = keysAt(seen, "canary");
    const canaryGrows = weightOf(fact) > 0;
    const lost = [...before].filter((key) => seen.places.has(key) && !canary.has(key));
    if (canaryGrows && lost.length > 0) {
      breaches.push(`revision ${fact.revision}: ${lost.length} sticky keys left the canary while it grew`);
    }
    before = canary;
  }
  return breaches;
}

/** Answers by a variant that the revision gives nothing, or by another version than its own. */
function misroutedOf({ variants }: RevisionFacts, { answers }: SeenRevision): number {
  return [...answers.values()]
    .filter(({ variant, version }) =>
      variants.every((said) => said.name !== variant || said.weight === 0 || said.version !== version),
    )
    .reduce((sum, { free, sticky }) => sum + free + sticky, 0);
}

function routingBreaches(fact: RevisionFacts, seen: SeenRevision): string[] {
  const breaches: string[] = [];
  const at = `revision ${fact.revision}`;
  if (seen.moves > 0) breaches.push(`${at}: sticky keys moved ${seen.moves} times`);
  if (seen.reachMs > reachLimitMs) {
    breaches.push(`${at} reached all servers after more than ${Math.round(seen.reachMs)} ms`);
  }
  const { hits, count, low, high } = splitOf(fact, seen);
  if (hits < low || hits > high) {
    breaches.push(`${at}: ${hits} of ${count} went to the canary, outside ${low} to ${high}`);
  }
  return breaches;
}

/** One line per revision. */
export function tableOf(book: CanaryBook, facts: readonly RevisionFacts[]): string[] {
  const head = [
    "revision",
    "canary %",
    "requests",
    "without key",
    "to canary",
    "interval",
    "keys",
    "moves",
    "reach ms",
    "p50 ms",
    "p99 ms",
  ];
  const rows = facts.map((fact) => {
    const seen = seenOf(book, fact.revision);
    const { hits, count, low, high } = splitOf(fact, seen);
    const sorted = seen.tookMs.toSorted((a, b) => a - b);
    const quantile = (share: number) => (sorted[Math.floor(share * (sorted.length - 1))] ?? 0).toFixed(1);
    return [
      fact.revision,
      weightOf(fact),
      seen.tookMs.length,
      count,
      hits,
      `${low}-${high}`,
      seen.places.size,
      seen.moves,
      Math.round(seen.reachMs),
      quantile(0.5),
      quantile(0.99),
    ].map(String);
  });
  return [head, ...rows].map((row) =>
    row.map((cell, column) => cell.padStart(Math.max(head[column]?.length ?? 0, 11))).join(" "),
  );
}

function splitOf(fact: RevisionFacts, seen: SeenRevision) {
  let count = 0;
  let hits = 0;
  for (const { variant, free } of seen.answers.values()) {
    count += free;
    if (variant === "canary") hits += free;
  }
  return { hits, count, ...binomialInterval(count, weightOf(fact) / 100) };
}

/** The fewest and the most hits of `count` that are not too unlikely, by the exact binomial distribution. */
function binomialInterval(count: number, p: number): { low: number; high: number } {
  if (p === 0) return { low: 0, high: 0 };
  if (p === 1) return { low: count, high: count };
  const tail = (1 - confidence) / 2;
  let logMass = count * Math.log1p(-p);
  let below = 0;
  let low: number | undefined;
  for (let hits = 0; hits <= count; hits++) {
    below += Math.exp(logMass);
    if (low === undefined && below > tail) low = hits;
    if (below >= 1 - tail) return { low: low ?? hits, high: hits };
    logMass += Math.log((count - hits) / (hits + 1)) + Math.log(p) - Math.log1p(-p);
  }
  return { low: low ?? 0, high: count };
}

function weightOf({ variants }: RevisionFacts): number {
  return variants.find(({ name }) => name === "canary")?.weight ?? 0;
}

function keysAt({ places }: SeenRevision, variant: string): Set<string> {
  return new Set([...places].filter(([, place]) => place === variant).map(([key]) => key));
}

function seenOf(book: CanaryBook, revision: number): SeenRevision {
  const known = book.revisions.get(revision);
  if (known !== undefined) return known;
  const seen: SeenRevision = { answers: new Map(), places: new Map(), moves: 0, tookMs: [], reachMs: 0 };
  book.revisions.set(revision, seen);
  return seen;
}

function noteWrong(book: CanaryBook, what: string): void {
  if (book.wrongs.length < shownWrongs) book.wrongs.push(what);
}
