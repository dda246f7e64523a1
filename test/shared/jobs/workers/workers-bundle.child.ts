// What workers-bundle.unit.test.ts bundles and runs.
import { isKetlineError } from "../../../../shared/errors.ts";
import { createWorkerPool } from "../../../../shared/jobs/workers/workers.ts";
import type { ArithmeticTask } from "./arithmetic.worker.ts";

async function main(): Promise<void> {
  const pool = createWorkerPool({ threads: 1 });
  const { signal } = new AbortController();
  const run = (task: ArithmeticTask) =>
    pool.run<ArithmeticTask, unknown>(new URL("./arithmetic.worker.ts", import.meta.url), task, {
      signal,
    });
  const sum = await run({ do: "sum", numbers: Float64Array.of(1, 2, 3) });
  const refused = await run({ do: "refuse" }).catch((error: unknown) => error);
  const apart = await pool.runApart<ArithmeticTask, unknown>(
    new URL("./arithmetic.worker.ts", import.meta.url),
    { do: "sum", numbers: Float64Array.of(4, 5) },
    { signal },
  );
  const kind = isKetlineError(refused) ? refused.kind : String(refused);
  process.stdout.write(
    JSON.stringify({ sum, apart, refused: { kind, isKetlineError: isKetlineError(refused) } }),
  );
  await pool.close();
}

void main();
