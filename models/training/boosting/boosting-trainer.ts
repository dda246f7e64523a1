import { invalid } from "../../../shared/errors.ts";
import { checkClasses, weightsOfClasses } from "../data/classes.ts";
import { isEmpty } from "../data/encoding.ts";
import type { TrainingRows } from "../data/training-rows.ts";
import type { FitRequest, FittedModel, Importance, Trainer } from "../fitting/trainer.ts";
import type { BoostingAlgorithm } from "../schemas.ts";
import { codeRows, type FeatureCoding, fitCoding, treeColumns } from "./bins/features.ts";
import { type BoostedTrees, boost } from "./boost.ts";
import { gainImportances, permutationImportances } from "./importance.ts";
import { scoreRows } from "./predict.ts";
import type { BoostingLoss, BoostingSettings } from "./settings.ts";
import { treesGraph } from "./trees-graph.ts";

/**
 * Graph and trainer take the same branches in double precision; the sum of the leaves is rounded to float32 in the graph,
 * and through Poisson's exponential a rounding of 6e-8 of the score grows by its size.
 */
const tolerance = 1e-5;
/** Rows that permutation importances are measured on. */
const maxPermuted = 5000;

/** Gradient-boosted trees over numbers and categories as they are. */
export const boostingTrainer: Trainer = {
  fit(rows, { task, algorithm, report }: FitRequest): FittedModel {
    if (algorithm.kind !== "boosting") throw new Error(`"${algorithm.kind}" is not boosted.`);
    checkClasses(rows, task);
    const settings = settingsOf(task, algorithm);
    checkCounts(rows, settings.loss);
    const coding = fitCoding(rows, {
      minLevelRows: algorithm.minLevelRows,
      monotone: monotoneOf(rows, algorithm),
      seed: algorithm.seed,
    });
    report(0, "binned the features");
    const data = codeRows(rows, coding);
    const weights = task === "binary" ? (weightsOfClasses(rows, algorithm) ?? null) : null;
    const fit = boost(data, rows.target, weights, settings, (round, loss) =>
      report(round / settings.trees, `tree ${round} of ${settings.trees}: mean loss ${loss.toPrecision(6)}`),
    );
    const predict = (columns: readonly ArrayLike<number>[], count: number) => {
      const scores = scoreRows(fit.trees, fit.start, coding, columns, count);
      fit.loss.link(scores);
      return scores;
    };
    return {
      predictTraining() {
        const predicted = fit.scores.slice();
        fit.loss.link(predicted);
        return predicted;
      },
      predict: (inputs, count) => predict(treeColumns(inputs, count, coding), count),
      graph: () => graphOf(fit, coding, settings.loss),
      parameters: {
        fitted_trees: String(fit.trees.length),
        fitted_leaves: String(fit.trees.reduce((sum, { nodes }) => sum + (nodes + 1) / 2, 0)),
      },
      losses: fit.losses,
      tolerance,
      magnitude: settings.loss.kind === "poisson" ? 1 : largestSize(fit),
      importances: () => importancesOf(rows, coding, fit, algorithm.seed),
      notes: notesOf(rows, coding, fit, settings),
    };
  },
};

function settingsOf(task: FitRequest["task"], algorithm: BoostingAlgorithm): BoostingSettings {
  return {
    ...algorithm,
    loss: task === "binary" ? { kind: "logistic" } : regressionLoss(algorithm),
    maxDepth: algorithm.maxDepth ?? null,
    earlyStopping: algorithm.earlyStopping ?? null,
  };
}

function regressionLoss({ loss = "squared", quantile, huberDelta }: BoostingAlgorithm): BoostingLoss {
  if (loss === "quantile") return { kind: loss, quantile };
  if (loss === "huber") return { kind: loss, delta: huberDelta ?? null };
  return { kind: loss };
}

function monotoneOf(rows: TrainingRows, { monotone }: BoostingAlgorithm): Record<string, -1 | 1> {
  for (const name of Object.keys(monotone)) {
    const feature = rows.features.find((one) => one.name === name);
    if (feature?.kind === "numeric") continue;
    const why =
      feature === undefined ? "there is no such feature" : "it is categorical, and categories have no order";
    const numeric = rows.features.filter(({ kind }) => kind === "numeric").map((one) => one.name);
    throw invalid(
      `algorithm.monotone: "${name}": ${why}; numeric features are ${numeric.join(", ") || "none"}.`,
      {
        field: "algorithm.monotone",
      },
    );
  }
  return Object.fromEntries(
    Object.entries(monotone).map(([name, direction]) => [name, direction === "increasing" ? 1 : -1]),
  );
}

function checkCounts({ target }: TrainingRows, loss: BoostingLoss): void {
  if (loss.kind !== "poisson") return;
  const negative = target.find((value) => value < 0);
  if (negative !== undefined) {
    throw invalid(`target: the value ${negative} is negative; the loss poisson is for counts of 0 or more.`, {
      field: "target",
    });
  }
  if (target.every((value) => value === 0)) {
    throw invalid("target: every training row is 0; the loss poisson has nothing to learn from.", {
      field: "target",
    });
  }
}

/** Poisson's score is a logarithm. */
function graphOf(fit: BoostedTrees, coding: readonly FeatureCoding[], loss: BoostingLoss) {
  return treesGraph(fit.trees, fit.start, coding, loss.kind === "poisson");
}

/** The largest sum of leaves on the training rows: what the graph rounds. */
function largestSize({ scores, start, loss }: BoostedTrees): number {
  if (loss.maxHessian !== 1) return 1;
  return scores.reduce((most, score) => Math.max(most, Math.abs(score - (start[0] ?? 0))), 1);
}

function importancesOf(
  rows: TrainingRows,
  coding: readonly FeatureCoding[],
  fit: BoostedTrees,
  seed: number,
): Importance[] {
  const step = Math.ceil(rows.rows / maxPermuted);
  const kept = <Values extends Float32Array | Int32Array | Float64Array>(values: Values) =>
    values.filter((_, row) => row % step === 0) as Values;
  const columns = rows.features.map((feature, index) => {
    const coded = coding[index];
    if (feature.kind === "numeric" || coded?.kind !== "categorical")
      return kept((feature as { values: Float32Array }).values);
    const unknown = coded.levels.length;
    return kept(feature.codes).map((code) => (code >= 0 && code < unknown ? code : unknown));
  });
  const target = kept(rows.target);
  const gains = gainImportances(fit.trees, coding.length);
  const losses = permutationImportances(columns, seed, (shuffled) => {
    const scores = scoreRows(fit.trees, fit.start, coding, shuffled, target.length);
    let sum = 0;
    for (const [row, value] of target.entries()) sum += fit.loss.value(value, scores, row * fit.loss.outputs);
    return sum / target.length;
  });
  return coding
    .map(({ name }, index) => ({ feature: name, gain: gains[index] ?? 0, permutation: losses[index] ?? 0 }))
    .sort((a, b) => b.gain - a.gain);
}

function notesOf(
  rows: TrainingRows,
  coding: readonly FeatureCoding[],
  fit: BoostedTrees,
  settings: BoostingSettings,
): string[] {
  const notes: string[] = [];
  for (const [index, coded] of coding.entries()) {
    const feature = rows.features[index];
    if (coded.kind === "numeric" && feature?.kind === "numeric") {
      if (!feature.values.some(Number.isFinite))
        notes.push(`"${coded.name}" has no value in any training row; the trees do not use it.`);
      else if (feature.values.some((value) => Number.isFinite(value) && Math.abs(value) > wholeInFloat32)) {
        notes.push(
          `"${coded.name}" has values beyond 2^24; the model gets them as float32, which merges near ones.`,
        );
      }
    }
    if (coded.kind === "categorical" && feature !== undefined && feature.kind !== "numeric") {
      if (isEmpty(feature)) {
        notes.push(`"${coded.name}" has no value in any training row; the trees do not use it.`);
        continue;
      }
      const rare = feature.levels.length - coded.levels.length;
      if (rare > 0)
        notes.push(
          `${coded.levels.length} levels of "${coded.name}" are told apart; ${rare} rarer ones count as unknown.`,
        );
    }
  }
  if (fit.trees.length === 0 || fit.trees.every(({ nodes }) => nodes === 1)) {
    notes.push(
      `No split gains anything with at least ${settings.minLeafRows} rows on either side: the model predicts a constant. Lower algorithm.minLeafRows or give it more rows.`,
    );
  }
  if (settings.earlyStopping !== null) {
    notes.push(`Early stopping kept ${fit.losses.length} of ${fit.validationLosses.length} rounds.`);
  }
  return notes;
}

/** From here on float32 cannot tell whole numbers apart. */
const wholeInFloat32 = 2 ** 24;
