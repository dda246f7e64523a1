import type { RandomSource } from "../../../support/random.ts";

/** A run as plain data, for searches that are decided in memory. */
export interface PlainRun {
  readonly runId: string;
  readonly name: string;
  readonly status: string;
  readonly userId: string;
  readonly startMs: number;
  readonly endMs: number | null;
  readonly metrics: ReadonlyMap<string, number>;
  readonly params: ReadonlyMap<string, string>;
  readonly tags: ReadonlyMap<string, string>;
  readonly datasets: readonly { readonly name: string; readonly digest: string; readonly context: string }[];
}

/** A filter as text, and what it means. */
export interface RandomFilter {
  readonly text: string;
  holds(run: PlainRun): boolean;
}

export interface RandomOrder {
  readonly items: readonly string[];
  compare(a: PlainRun, b: PlainRun): number;
}

const metricKeys = ["loss", "val/loss", "a b", "m.x"];
const paramKeys = ["depth", "p-1", "9"];
const tagKeys = ["team", "mlflow.note", "a:b"];
const numbers = [-1.5, -1, 0, 0.5, 1, 2, 1e300, Number.MAX_VALUE, Number.NaN];
const words = ["", "a", "A", "ab", "Ab", "aB", "b%", "b_", "it's", 'say "hi"', "é", "a\\b", "1", "ba ab"];
const patterns = ["%", "a%", "%b", "_b", "A_", "%a%", "b\\%", "b%", "%'%", "", "%é", "AB", "_"];

export function randomRuns(random: RandomSource, count: number): PlainRun[] {
  const pick = picker(random);
  const map = <Value>(keys: readonly string[], values: readonly Value[]) =>
    new Map(keys.filter(() => random.uniform() < 0.7).map((key) => [key, pick(values)]));
  return Array.from({ length: count }, (_, index) => ({
    runId: `${pick(["a", "b", "c"])}${String(index).padStart(4, "0")}`,
    name: pick(words),
    status: pick(["RUNNING", "FINISHED", "FAILED"]),
    userId: pick(["ada", "Ada", "bob"]),
    startMs: pick([0, 1000, 2000, 3000]),
    endMs: pick([null, 1500, 2500]),
    metrics: map(metricKeys, numbers),
    params: map(paramKeys, words),
    tags: map(tagKeys, words),
    datasets: ["d1", "d2"]
      .filter(() => random.uniform() < 0.4)
      .map((name) => ({ name, digest: pick(["x", "y"]), context: pick(["train", "test"]) })),
  }));
}

export function randomFilter(random: RandomSource): RandomFilter {
  const pick = picker(random);
  const clauses = Array.from({ length: pick([0, 1, 1, 2, 2, 3, 4]) }, () => randomClause(random));
  const and = () => pick([" AND ", " and ", "  And\n"]);
  return {
    text: clauses.reduce((text, clause) => (text === "" ? clause.text : text + and() + clause.text), ""),
    holds: (run) => clauses.every((clause) => clause.holds(run)),
  };
}

function randomClause(random: RandomSource): RandomFilter {
  const pick = picker(random);
  switch (pick(["metric", "metric", "param", "tag", "text", "number", "list", "dataset"] as const)) {
    case "metric": {
      const key = pick([...metricKeys, "none"]);
      const operator = pick(comparisons);
      const value = pick(numbers.filter((number) => !Number.isNaN(number)));
      return {
        text: `${pick(["metrics", "metric"])}.${quoteKey(key, pick)} ${operator} ${numberText(value, pick)}`,
        holds: (run) => {
          const is = run.metrics.get(key);
          return is !== undefined && compareNumbers(is, operator, value);
        },
      };
    }
    case "param":
      return keyValueClause(
        random,
        ["params", "param", "parameter", "parameters"],
        [...paramKeys, "none"],
        (run) => run.params,
      );
    case "tag":
      return keyValueClause(random, ["tags", "tag"], [...tagKeys, "none"], (run) => run.tags);
    case "text": {
      const [key, read] = pick(textAttributes);
      const { operator, value, test } = textTest(random);
      return {
        text: `${pick(attributePrefixes)}${key} ${operator} ${quoteText(value, pick)}`,
        holds: (run) => test(read(run)),
      };
    }
    case "number": {
      const [key, read] = pick(numberAttributes);
      const operator = pick(comparisons);
      const value = pick([0, 1000, 1500.5, 2500, -3, 1e300]);
      return {
        text: `${pick(attributePrefixes)}${key} ${operator} ${numberText(value, pick)}`,
        holds: (run) => {
          const is = read(run);
          return is !== null && compareNumbers(is, operator, value);
        },
      };
    }
    case "list": {
      const ids = Array.from(
        { length: pick([1, 2, 5]) },
        () => `${pick(["a", "b", "c"])}${String(pick(indexes)).padStart(4, "0")}`,
      );
      const negated = random.uniform() < 0.5;
      return {
        text: `${pick(attributePrefixes)}run_id ${negated ? "NOT IN" : pick(["IN", "in"])} (${ids.map((id) => quoteText(id, pick)).join(pick([",", " , "]))})`,
        holds: (run) => ids.includes(run.runId) !== negated,
      };
    }
    case "dataset": {
      const key = pick(["name", "digest", "context"] as const);
      const operator = pick(["=", "!="] as const);
      const value = pick(["d1", "x", "train"]);
      return {
        text: `${pick(["dataset", "datasets"])}.${key} ${operator} ${quoteText(value, pick)}`,
        holds: (run) => run.datasets.some((dataset) => (dataset[key] === value) === (operator === "=")),
      };
    }
  }
}

const indexes = Array.from({ length: 40 }, (_, index) => index);
const comparisons = ["=", "!=", "<", "<=", ">", ">="] as const;
const attributePrefixes = ["", "attributes.", "attribute.", "attr.", "run."];
const textAttributes: readonly [string, (run: PlainRun) => string][] = [
  ["status", (run) => run.status],
  ["run_name", (run) => run.name],
  ["`Run Name`", (run) => run.name],
  ["user_id", (run) => run.userId],
  ["run_id", (run) => run.runId],
];
const numberAttributes: readonly [string, (run: PlainRun) => number | null][] = [
  ["start_time", (run) => run.startMs],
  ["created", (run) => run.startMs],
  ["end_time", (run) => run.endMs],
];

function keyValueClause(
  random: RandomSource,
  prefixes: readonly string[],
  keys: readonly string[],
  read: (run: PlainRun) => ReadonlyMap<string, string>,
): RandomFilter {
  const pick = picker(random);
  const key = pick(keys);
  const field = `${pick(prefixes)}.${quoteKey(key, pick)}`;
  if (random.uniform() < 0.2) {
    const isNull = random.uniform() < 0.5;
    return {
      text: `${field} ${isNull ? pick(["IS NULL", "is null"]) : pick(["IS NOT NULL", "is  not null"])}`,
      holds: (run) => read(run).has(key) !== isNull,
    };
  }
  const { operator, value, test } = textTest(random);
  return {
    text: `${field} ${operator} ${quoteText(value, pick)}`,
    holds: (run) => {
      const is = read(run).get(key);
      return is !== undefined && test(is);
    },
  };
}

function textTest(random: RandomSource): { operator: string; value: string; test: (is: string) => boolean } {
  const pick = picker(random);
  const operator = pick(["=", "!=", "LIKE", "like", "ILIKE"]);
  if (operator === "=" || operator === "!=") {
    const value = pick(words);
    return { operator, value, test: (is) => (is === value) === (operator === "=") };
  }
  const value = pick(patterns);
  const source = value
    .replace(/[.*+?^${}()|[\]\\]/g, "\\$&")
    .replaceAll("%", "[^]*")
    .replaceAll("_", "[^]");
  const pattern = new RegExp(`^${source}$`, operator === "ILIKE" ? "i" : "");
  return { operator, value, test: (is) => pattern.test(is) };
}

function compareNumbers(is: number, operator: (typeof comparisons)[number], value: number): boolean {
  switch (operator) {
    case "=":
      return is === value;
    case "!=":
      return is !== value;
    case "<":
      return is < value;
    case "<=":
      return is <= value;
    case ">":
      return is > value;
    case ">=":
      return is >= value;
  }
}

type Pick = ReturnType<typeof picker>;

function picker(random: RandomSource) {
  return <Item>(items: readonly Item[]): Item => items[Math.floor(random.uniform() * items.length)]!;
}

function quoteKey(key: string, pick: Pick): string {
  const plain = /^\w+(\.\w+)*$/.test(key) ? [key] : [];
  return pick([...plain, `\`${key}\``, `"${key}"`]);
}

function quoteText(text: string, pick: Pick): string {
  return pick([`'${text.replaceAll("'", "''")}'`, `"${text.replaceAll('"', '""')}"`]);
}

function numberText(value: number, pick: Pick): string {
  return pick([String(value), value.toExponential(), ...(value >= 0 ? [`+${value}`] : [])]);
}

export function randomOrder(random: RandomSource): RandomOrder {
  const pick = picker(random);
  const chosen = orderKeys
    .filter(() => random.uniform() < 0.25)
    .map((key) => ({ key, descending: random.uniform() < 0.5 }));
  // The order that all others end in.
  const byStart = { key: orderKeys[0]!, descending: true };
  const rules = chosen.some(({ key }) => key === orderKeys[0]) ? chosen : [...chosen, byStart];
  return {
    items: chosen.map(({ key, descending }) => {
      const direction = descending ? pick([" DESC", " desc"]) : pick(["", " ASC", " asc"]);
      return pick(key.texts) + direction;
    }),
    compare: (a, b) => {
      for (const { key, descending } of rules) {
        const difference = compareKeys(key.read(a), key.read(b), descending);
        if (difference !== 0) return difference;
      }
      return a.runId < b.runId ? -1 : a.runId > b.runId ? 1 : 0;
    },
  };
}

const orderKeys: readonly {
  readonly texts: readonly string[];
  readonly read: (run: PlainRun) => number | string | null | undefined;
}[] = [
  { texts: ["start_time", "attributes.start_time", "Created"], read: (run) => run.startMs },
  { texts: ["end_time"], read: (run) => run.endMs },
  { texts: ["status", "attribute.status"], read: (run) => run.status },
  { texts: ["run_name", "`Run Name`"], read: (run) => run.name },
  { texts: ["metrics.loss", "metric.`loss`"], read: (run) => run.metrics.get("loss") },
  { texts: ["metrics.`a b`", 'metrics."a b"'], read: (run) => run.metrics.get("a b") },
  { texts: ["params.depth"], read: (run) => run.params.get("depth") },
  { texts: ["tags.`a:b`", "tag.a:b"], read: (run) => run.tags.get("a:b") },
];

/** Numbers, then NaN, then nothing, whatever the direction. */
function compareKeys(
  a: number | string | null | undefined,
  b: number | string | null | undefined,
  descending: boolean,
): number {
  const rank = (value: typeof a) => (value === null || value === undefined ? 2 : Number.isNaN(value) ? 1 : 0);
  if (rank(a) !== rank(b)) return rank(a) - rank(b);
  if (rank(a) !== 0 || a === b) return 0;
  return (a! < b! ? -1 : 1) * (descending ? -1 : 1);
}
