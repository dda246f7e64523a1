import { attributeIntegers, attributeTexts } from "../../../shared/onnx/index.ts";
import { attributeOf, type Step } from "./values.ts";

/** What one step down a tree costs at most: two reads that miss the processor's caches. */
const operationsPerStep = 20;

/**
 * How much work one row is at most: the longest way down each tree, all added. ONNX Runtime follows whatever the lists
 * say, so a tree whose branch leads back up would never end, and a number beyond a list would read what is not its own.
 *
 * @param prefix of the attributes about leaves: "target" or "class"
 * @param columns how many numbers a row has
 * @param outcomes how many targets or classes there are
 * @returns undefined for lists that do not fit each other, and for nodes that are no trees
 */
export function treeOperationsOf(
  step: Step,
  prefix: "target" | "class",
  columns: number,
  outcomes: number,
): number | undefined {
  const { node, source } = step;
  const list = (name: string): readonly number[] => {
    const attribute = attributeOf(node, name);
    return attribute === undefined ? [] : attributeIntegers(source, attribute).map(Number);
  };
  const modesAttribute = attributeOf(node, "nodes_modes");
  const modes = modesAttribute === undefined ? [] : attributeTexts(source, modesAttribute);
  const trees = list("nodes_treeids");
  const ids = list("nodes_nodeids");
  const features = list("nodes_featureids");
  const yes = list("nodes_truenodeids");
  const no = list("nodes_falsenodeids");
  const count = trees.length;
  const values = attributeOf(node, "nodes_values")?.floatCount;
  const fits = [ids, features, yes, no, modes].every(({ length }) => length === count) && values === count;
  if (!fits || count === 0 || !features.every((feature) => feature >= 0 && feature < columns))
    return undefined;
  const leaves = list(`${prefix}_ids`);
  const leafTrees = list(`${prefix}_treeids`);
  const leafNodes = list(`${prefix}_nodeids`);
  const weights = attributeOf(node, `${prefix}_weights`)?.floatCount;
  const leavesFit = [leafTrees, leafNodes].every(({ length }) => length === leaves.length);
  if (!leavesFit || weights !== leaves.length) return undefined;
  if (!leaves.every((outcome) => outcome >= 0 && outcome < outcomes)) return undefined;

  const places = new Map<string, number>();
  for (let at = 0; at < count; at++) {
    const key = `${trees[at]} ${ids[at]}`;
    if (places.has(key)) return undefined;
    places.set(key, at);
  }
  const outcomesAt = new Int32Array(count);
  for (const [index, tree] of leafTrees.entries()) {
    const at = places.get(`${tree} ${leafNodes[index]}`);
    if (at === undefined || modes[at] !== "LEAF") return undefined;
    outcomesAt[at] = (outcomesAt[at] ?? 0) + 1;
  }
  const branches = (at: number): readonly (number | undefined)[] =>
    modes[at] === "LEAF" ? [] : [places.get(`${trees[at]} ${yes[at]}`), places.get(`${trees[at]} ${no[at]}`)];
  const longest = longestWays(count, branches);
  if (longest === undefined) return undefined;
  const byTree = new Map<number, { way: number; added: number }>();
  for (let at = 0; at < count; at++) {
    const { way, added } = byTree.get(trees[at] ?? 0) ?? { way: 0, added: 0 };
    byTree.set(trees[at] ?? 0, {
      way: Math.max(way, longest[at] ?? 0),
      added: Math.max(added, outcomesAt[at] ?? 0),
    });
  }
  let operations = 0;
  for (const { way, added } of byTree.values()) operations += operationsPerStep * way + 4 * added;
  return operations;
}

/** The longest way down from each node, in nodes. @returns undefined where a way leads nowhere, or back */
function longestWays(
  count: number,
  branches: (at: number) => readonly (number | undefined)[],
): Int32Array | undefined {
  const longest = new Int32Array(count);
  const onWay = -1;
  for (let start = 0; start < count; start++) {
    if (longest[start] !== 0) continue;
    const way = [start];
    while (way.length > 0) {
      const at = way[way.length - 1] ?? 0;
      if (longest[at] !== 0 && longest[at] !== onWay) {
        way.pop();
        continue;
      }
      longest[at] = onWay;
      let length = 1;
      let isOpen = false;
      for (const next of branches(at)) {
        if (next === undefined) return undefined;
        const found = longest[next] ?? 0;
        if (found === onWay) return undefined;
        if (found === 0) {
          way.push(next);
          isOpen = true;
        } else length = Math.max(length, 1 + found);
      }
      if (isOpen) continue;
      longest[at] = length;
      way.pop();
    }
  }
  return longest;
}
