/** The mean of paired differences, with its 95 % interval. */
export interface PairedDifference {
  readonly rows: number;
  readonly mean: number;
  readonly low: number;
  readonly high: number;
  readonly method: string;
}

export interface PairedAccumulator {
  add(difference: number, cluster: number): void;
  result(): PairedDifference;
}

/** With fewer clusters their variance is too uncertain; then rows are taken for independent, which the method says. */
const fewestClusters = 10;

/**
 * Rows of one day share their weather, so they are no independent witnesses: the variance is that of the clusters'
 * sums (Cameron & Miller, A Practitioner's Guide to Cluster-Robust Inference, 2015, §II), with Student's t for as many
 * clusters as there are.
 */
export function pairedDifference(): PairedAccumulator {
  const clusters = new Map<number, { rows: number; sum: number }>();
  let rows = 0;
  let sum = 0;
  let squares = 0;
  return {
    add(difference, cluster) {
      rows++;
      sum += difference;
      squares += difference ** 2;
      const found = clusters.get(cluster);
      if (found === undefined) clusters.set(cluster, { rows: 1, sum: difference });
      else {
        found.rows++;
        found.sum += difference;
      }
    },
    result() {
      const mean = sum / rows;
      const clustered = clusters.size >= fewestClusters;
      const groups = clustered ? clusters.size : rows;
      let spread = 0;
      if (clustered) for (const group of clusters.values()) spread += (group.sum - group.rows * mean) ** 2;
      else spread = Math.max(0, squares - rows * mean ** 2);
      const error =
        groups < 2 ? Number.POSITIVE_INFINITY : Math.sqrt((groups / (groups - 1)) * spread) / rows;
      const margin = groups < 2 ? Number.MAX_VALUE : error * studentQuantile(groups - 1);
      return {
        rows,
        mean,
        low: mean - margin,
        high: mean + margin,
        method: clustered ? `paired, clustered by ${groups} days` : "paired by rows",
      };
    },
  };
}

/** The 97.5 % quantile of Student's t, by Abramowitz & Stegun 26.7.5: within 0.02 from 5 degrees of freedom on. */
function studentQuantile(degrees: number): number {
  const z = 1.959963984540054;
  const v = degrees;
  return (
    z +
    (z ** 3 + z) / (4 * v) +
    (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * v ** 2) +
    (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / (384 * v ** 3)
  );
}
