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

/** One cluster says nothing of how clusters differ; its rows are all there is, which the method says. */
const fewestClusters = 2;

/**
 * Rows of one day share their weather, so they are no independent witnesses: the variance is that of the clusters'
 * sums (Cameron & Miller, A Practitioner's Guide to Cluster-Robust Inference, 2015, §II), with Student's t for as many
 * clusters as there are: few of them make a wide interval, which is what they know. To take the rows of a week for
 * independent would promote one in seven models that are no better. Days of very unequal size still make it too narrow.
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

/** The 97.5 % quantiles of Student's t for 1 to 9 degrees of freedom (scipy.stats.t.ppf). */
const fewDegrees = [
  12.706205, 4.302653, 3.182446, 2.776445, 2.570582, 2.446912, 2.364624, 2.306004, 2.262157,
];

/** The 97.5 % quantile of Student's t; beyond the table by Abramowitz & Stegun 26.7.5, within 0.001 there. */
function studentQuantile(degrees: number): number {
  const known = fewDegrees[degrees - 1];
  if (known !== undefined) return known;
  const z = 1.959963984540054;
  const v = degrees;
  return (
    z +
    (z ** 3 + z) / (4 * v) +
    (5 * z ** 5 + 16 * z ** 3 + 3 * z) / (96 * v ** 2) +
    (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / (384 * v ** 3)
  );
}
