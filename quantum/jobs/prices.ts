import type { GateCounts } from "../qir/gates.ts";

/** What a run would cost: an estimate from published rules, never an offer. What was billed is known afterwards. */
export interface PriceEstimate {
  /** Null where the price depends on what only the run shows, such as its duration. */
  readonly amount: number | null;
  /** `USD`, or `HQC`: Quantinuum's credits. */
  readonly unit: string;
  /** How it was computed, in a sentence. */
  readonly rule: string;
  /** The month in which the rule was read from the provider's documentation. */
  readonly asOf: string;
}

interface PriceRule {
  /** Of the targets it is for. */
  readonly targets: RegExp;
  readonly unit: string;
  readonly asOf: string;
  readonly rule: string;
  amount(gates: GateCounts, shots: number): number | null;
}

/** IonQ, USD per gate and shot; a gate on n > 2 qubits counts as 6 (n - 2) two-qubit gates. */
const ionq = { oneQubit: 0.00022, twoQubit: 0.000975, minimum: 97.5 };
/** Quantinuum, credits: 5 + shots (n1 + 10 n2 + 5 nm) / 5000. */
const quantinuum = { base: 5, divisor: 5000, twoQubit: 10, measurement: 5 };

const rules: readonly PriceRule[] = [
  {
    targets: /^ketline\./,
    unit: "USD",
    asOf: "2026-08",
    rule: "The simulators of this server cost nothing but its own time.",
    amount: () => 0,
  },
  {
    targets: /^ionq\.simulator$/,
    unit: "USD",
    asOf: "2026-08",
    rule: "IonQ's simulator is free.",
    amount: () => 0,
  },
  {
    targets: /^ionq\.qpu/,
    unit: "USD",
    asOf: "2026-08",
    rule:
      `The larger of ${ionq.minimum} (the minimum with error mitigation, the default) and shots times ` +
      `(${ionq.oneQubit} per one-qubit gate + ${ionq.twoQubit} per two-qubit gate; a gate on n > 2 qubits counts as 6(n - 2)).`,
    amount(gates, shots) {
      const pairs = gates.twoQubit + wideGates(gates, (qubits) => 6 * (qubits - 2));
      return Math.max(ionq.minimum, shots * (ionq.oneQubit * gates.oneQubit + ionq.twoQubit * pairs));
    },
  },
  {
    targets: /^quantinuum\.sim\..*sc$/,
    unit: "HQC",
    asOf: "2026-08",
    rule: "Quantinuum's syntax checkers are free.",
    amount: () => 0,
  },
  {
    targets: /^quantinuum\./,
    unit: "HQC",
    asOf: "2026-08",
    rule:
      "5 + shots (one-qubit gates + 10 two-qubit gates + 5 measurements) / 5000; a gate on n > 2 qubits counted as " +
      "6(n - 2) two-qubit gates.",
    amount(gates, shots) {
      const pairs = gates.twoQubit + wideGates(gates, (qubits) => 6 * (qubits - 2));
      const weight =
        gates.oneQubit + quantinuum.twoQubit * pairs + quantinuum.measurement * gates.measurements;
      return quantinuum.base + (shots * weight) / quantinuum.divisor;
    },
  },
  {
    targets: /^rigetti\.sim\./,
    unit: "USD",
    asOf: "2026-08",
    rule: "Rigetti's simulator is free.",
    amount: () => 0,
  },
  {
    targets: /^rigetti\.qpu/,
    unit: "USD",
    asOf: "2026-08",
    rule: "0.013 per 10 ms of execution, which only the run shows.",
    amount: () => null,
  },
  {
    targets: /^pasqal\.qpu/,
    unit: "USD",
    asOf: "2026-08",
    rule: "3000 per hour of the processor, which only the run shows.",
    amount: () => null,
  },
];

/** @returns null when no rule is known for the target */
export function estimatePrice(target: string, gates: GateCounts, shots: number): PriceEstimate | null {
  const rule = rules.find(({ targets }) => targets.test(target));
  if (rule === undefined) return null;
  const { unit, asOf, rule: text } = rule;
  const amount = rule.amount(gates, shots);
  return { amount: amount === null ? null : Math.round(amount * 10_000) / 10_000, unit, rule: text, asOf };
}

function wideGates(gates: GateCounts, weight: (qubits: number) => number): number {
  return Object.entries(gates.wider).reduce(
    (sum, [qubits, count]) => sum + weight(Number(qubits)) * count,
    0,
  );
}
