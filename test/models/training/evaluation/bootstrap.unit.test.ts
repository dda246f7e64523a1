import { describe, expect, it } from "vitest";
import { seededRandom } from "../../../../models/training/boosting/random.ts";
import { bootstrapIntervals } from "../../../../models/training/evaluation/bootstrap.ts";
import { confusionAtThresholds, predictionGroups } from "../../../../models/training/evaluation/confusion.ts";
import { binaryMetrics, regressionMetrics } from "../../../../models/training/evaluation/evaluation.ts";
import { regressionPicture } from "../../../../models/training/export/picture.ts";

const random = seededRandom(5);
const rows = 4000;
const said = Float64Array.from({ length: rows }, () => random());
const labels = said.map((chance) => Number(random() < chance));
const plain = { seed: 1, resamples: 400, maxRows: rows };

describe("bootstrap intervals", () => {
  it("are as wide as theory says for a mean, and hold the metric", () => {
    const { accuracy } = bootstrapIntervals(binaryMetrics, labels, said, plain);
    const found = binaryMetrics(labels, said).accuracy;
    // 1.96 standard errors of a share; 400 resamples know the ends to some 10 %.
    const half = 1.96 * Math.sqrt((found * (1 - found)) / rows);
    const width = ((accuracy?.high ?? 0) - (accuracy?.low ?? 0)) / 2;
    expect(Math.abs(width / half - 1)).toBeLessThan(0.15);
    expect(Math.abs(((accuracy?.high ?? 0) + (accuracy?.low ?? 0)) / 2 - found)).toBeLessThan(0.3 * half);
  });

  it("are as wide from a part of the rows as from all", () => {
    const all = bootstrapIntervals(binaryMetrics, labels, said, plain);
    const part = bootstrapIntervals(binaryMetrics, labels, said, { ...plain, maxRows: 1000 });
    const widthOf = (found: typeof all) => (found.auc?.high ?? 0) - (found.auc?.low ?? 0);
    // Not scaled, the part would be twice as wide; a thousand rows know their own spread to some 10 %.
    expect(Math.abs(widthOf(part) / widthOf(all) - 1)).toBeLessThan(0.35);
  });

  it("repeat for a seed, and leave open what one class cannot tell", () => {
    const again = bootstrapIntervals(binaryMetrics, labels, said, plain);
    expect(again).toEqual(bootstrapIntervals(binaryMetrics, labels, said, plain));
    const one = bootstrapIntervals(
      binaryMetrics,
      labels.map(() => 1),
      said,
      plain,
    );
    expect(one.auc).toBeUndefined();
    expect(one.brier).toBeDefined();
    expect(one.rows).toBeUndefined();
  });
});

describe("an evaluation", () => {
  it("counts right and wrong answers at each threshold", () => {
    const found = confusionAtThresholds([0, 1, 1, 0], [0.1, 0.5, 0.9, 0.7]);
    expect(found).toHaveLength(19);
    const counts = { truePositives: 2, falsePositives: 1, trueNegatives: 1, falseNegatives: 0 };
    expect(found[9]).toEqual({ threshold: 0.5, ...counts });
    expect(found[18]).toMatchObject({ truePositives: 0, falsePositives: 0, falseNegatives: 2 });
  });

  it("has scikit-learn's pinball loss", () => {
    // sklearn.metrics.mean_pinball_loss([1, 2, 3], [0, 2, 5], alpha=0.9) = 0.36666666666666664
    expect(regressionMetrics([1, 2, 3], [0, 2, 5], 0.9).quantileLoss).toBeCloseTo(0.36666666666666664, 12);
  });

  it("draws what came against what was said, of ten groups", () => {
    const truth = said.map((value) => 2 * value);
    const groups = predictionGroups(truth, said);
    expect(groups.map((group) => group.rows)).toEqual(new Array(10).fill(400));
    for (const { meanPredicted, meanTarget } of groups) expect(meanTarget).toBeCloseTo(2 * meanPredicted, 9);
    expect(regressionPicture(groups).match(/<circle/g)).toHaveLength(10);
    expect(regressionPicture(predictionGroups(Float64Array.of(1, 1), Float64Array.of(1, 1)))).not.toContain(
      "NaN",
    );
  });
});
