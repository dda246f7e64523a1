/** What a boosted model minimises. `quantile` and `huber` are robust; `poisson` is for counts, through a logarithm. */
export type BoostingLoss =
  | { readonly kind: "squared" }
  | { readonly kind: "quantile"; readonly quantile: number }
  /** Squared up to `delta` from the target, linear beyond. */
  | { readonly kind: "huber"; readonly delta: number | null }
  | { readonly kind: "poisson" }
  | { readonly kind: "logistic" }
  | { readonly kind: "softmax"; readonly classes: number };

export interface BoostingSettings {
  readonly loss: BoostingLoss;
  readonly trees: number;
  readonly learningRate: number;
  /** `leaf`: the leaf that gains most is split next. `depth`: level by level. */
  readonly growth: "leaf" | "depth";
  readonly maxLeaves: number;
  /** Splits between the root and a leaf; null for no limit. */
  readonly maxDepth: number | null;
  readonly minLeafRows: number;
  readonly minLeafHessian: number;
  readonly minGain: number;
  readonly l1: number;
  readonly l2: number;
  /** Share of the rows that each tree sees. */
  readonly rowFraction: number;
  /** Share of the features that each tree sees. */
  readonly columnFraction: number;
  /** Stops when the validation loss has not fallen for so many rounds; null to fit all trees. */
  readonly earlyStopping: { readonly rounds: number; readonly fraction: number } | null;
  readonly seed: number;
}

export const plainSettings: Omit<BoostingSettings, "loss"> = {
  trees: 100,
  learningRate: 0.1,
  growth: "leaf",
  maxLeaves: 31,
  maxDepth: null,
  minLeafRows: 20,
  minLeafHessian: 1e-3,
  minGain: 0,
  l1: 0,
  l2: 0,
  rowFraction: 1,
  columnFraction: 1,
  earlyStopping: null,
  seed: 1,
};
