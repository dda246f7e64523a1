import { execFileSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { cpus, loadavg, tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { boostingTrainer } from "../../models/training/boosting/boosting-trainer.ts";
import { binaryMetrics, regressionMetrics } from "../../models/training/evaluation/evaluation.ts";
import { TrainingSpec } from "../../models/training/schemas.ts";
import { levels, makeTable, requestOf, trainingRows, writeTable } from "./rows.ts";

// npm run bench -- training [--rows 1000000] [--python .venv/bin/python]
// Boosting on 26 numbers and 4 categories, 100 trees of 31 leaves, one thread, beside scikit-learn and LightGBM on the same
// rows: CPU of the fit, binning included, and AUC or RMSE on the last fifth. Then many models of 500 rows. The Python needs
// bench/training/requirements.txt.

const { values } = parseArgs({
  options: {
    rows: { type: "string", default: "1000000" },
    python: { type: "string", default: ".venv/bin/python" },
    small: { type: "string", default: "200" },
  },
});
const rows = Number(values.rows);
const train = Math.floor(rows * 0.8);
const smallModels = Number(values.small);

interface Found {
  readonly name: string;
  readonly task: string;
  /** Seconds. */
  readonly cpu: number;
  readonly score: number;
}

const cpuSeconds = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};
const algorithmOf = (settings: object) => {
  const { algorithm } = TrainingSpec.parse({
    dataset: "bench",
    task: "regression",
    target: { column: "y" },
    features: [{ column: "x" }],
    split: { holdoutFraction: 0.5 },
    algorithm: { kind: "boosting", ...settings },
  });
  if (algorithm === undefined) throw new Error("The algorithm is given.");
  return algorithm;
};

const directory = await mkdtemp(path.join(tmpdir(), "ketline-bench-training-"));
try {
  console.log(
    `${cpus()[0]?.model}, ${cpus().length} cores, load ${loadavg()[0]?.toFixed(1)}, Node.js ${process.version}`,
  );
  const table = makeTable(rows, 1);
  const small = makeTable(500, 2, 10, []);
  await writeTable(table, directory);
  await writeTable(small, path.join(directory, "small"));
  const found: Found[] = [];

  for (const task of ["binary", "regression"] as const) {
    const target = task === "binary" ? table.late : table.value;
    const data = trainingRows(table, target, train);
    const algorithm = algorithmOf({});
    const before = cpuSeconds();
    const fitted = boostingTrainer.fit(data, { task, algorithm, report: () => undefined });
    const cpu = cpuSeconds() - before;
    const predicted = fitted.predict(requestOf(table, train), rows - train);
    const rest = target.subarray(train);
    const score =
      task === "binary" ? (binaryMetrics(rest, predicted).auc ?? 0) : regressionMetrics(rest, predicted).rmse;
    found.push({ name: "Ketline", task, cpu, score });
  }
  const data = trainingRows(small, small.value, 500);
  const algorithm = algorithmOf({ trees: 50 });
  const before = cpuSeconds();
  for (let model = 0; model < smallModels; model++) {
    boostingTrainer.fit(data, { task: "regression", algorithm, report: () => undefined });
  }
  found.push({ name: "Ketline", task: "500 rows", cpu: cpuSeconds() - before, score: smallModels });

  const script = path.join(import.meta.dirname, "peers.py");
  const args = [script, directory, String(rows), String(train), JSON.stringify(levels)];
  const env = { ...process.env, OMP_NUM_THREADS: "1" };
  const output = execFileSync(path.resolve(values.python), args, { env, encoding: "utf8", maxBuffer: 1e7 });
  for (const line of output.trim().split("\n")) found.push(JSON.parse(line));

  console.log(
    `\n| ${rows.toLocaleString("en")} rows x 30 | CPU s | to scikit-learn's | AUC or RMSE |\n|---|---:|---:|---:|`,
  );
  for (const { name, task, cpu, score } of found.filter((one) => one.task !== "500 rows")) {
    const peer = found.find((one) => one.name === "scikit-learn" && one.task === task);
    console.log(
      `| ${name}, ${task} | ${cpu.toFixed(1)} | ${(cpu / (peer?.cpu ?? cpu)).toFixed(2)} | ${score.toFixed(4)} |`,
    );
  }
  console.log("\n| 500 rows x 10, 50 trees | CPU ms a model |\n|---|---:|");
  for (const { name, cpu, score } of found.filter((one) => one.task === "500 rows")) {
    console.log(`| ${name} | ${((1000 * cpu) / score).toFixed(1)} |`);
  }
} finally {
  await rm(directory, { recursive: true, force: true });
}
