import { invalid } from "../../../../shared/errors.ts";

export type ArithmeticTask =
  | { readonly do: "sum"; readonly numbers: Float64Array }
  | { readonly do: "steps"; readonly steps: number }
  | { readonly do: "refuse" }
  | { readonly do: "break" }
  | { readonly do: "spin" }
  | { readonly do: "hoard" }
  | { readonly do: "exit" };

/** What the tests of the worker pool have it do. */
export default function arithmetic(
  task: ArithmeticTask,
  report: (done: number, message?: string) => void,
): unknown {
  switch (task.do) {
    case "sum":
      return task.numbers.reduce((sum, value) => sum + value, 0);
    case "steps":
      for (let step = 1; step <= task.steps; step++) report(step / task.steps, `step ${step}`);
      return "done";
    case "refuse":
      throw invalid('shots is "many"; it must be a number', { field: "shots" });
    case "break":
      throw new TypeError("undefined is not a matrix");
    case "spin":
      report(0, "spinning");
      for (;;);
    case "hoard": {
      const hoard: string[][] = [];
      for (;;) hoard.push(Array.from({ length: 100_000 }, (_, index) => `hoarded ${index}`));
    }
    case "exit":
      return process.exit(3);
  }
}
