import { existsSync, writeFileSync } from "node:fs";
import { invalid } from "../../../../shared/errors.ts";

export type ArithmeticTask =
  | { readonly do: "sum"; readonly numbers: Float64Array }
  | { readonly do: "steps"; readonly steps: number }
  | { readonly do: "refuse" }
  | { readonly do: "break" }
  | { readonly do: "spin" }
  | { readonly do: "hoard" }
  | { readonly do: "allocate" }
  | { readonly do: "die once"; readonly mark: string }
  | { readonly do: "say"; readonly words: string }
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
    case "allocate": {
      const hoard: Float64Array[] = [];
      for (;;) hoard.push(new Float64Array(4 * 1024 ** 2).fill(1));
    }
    case "die once":
      if (existsSync(task.mark)) return process.pid;
      writeFileSync(task.mark, "");
      return process.abort();
    case "say":
      process.stderr.write(task.words);
      return { pid: process.pid, environment: Object.keys(process.env).sort() };
    case "exit":
      return process.exit(3);
  }
}
