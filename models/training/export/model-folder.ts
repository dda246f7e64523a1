import { randomUUID } from "node:crypto";
import type { Recipe } from "../data/recipe.ts";
import type { FitResult } from "../fitting/fit.worker.ts";
import { evaluationPicture, regressionPicture } from "./picture.ts";

export interface ModelFile {
  /** Within the model's folder. */
  readonly path: string;
  readonly content: Uint8Array | string;
  readonly contentType: string;
}

/** What MLflow would have installed to load the folder; the oldest versions that read opset 17. */
const python = "3.11";
const requirements = ["mlflow>=2.9", "numpy", "onnx>=1.12", "onnxruntime>=1.12"];

/**
 * The folder of a model as MLflow's onnx flavour writes it (mlflow/onnx/__init__.py), so that its stock clients load
 * it, and beside that what Ketline keeps of a training: metrics, slices, the profile for monitoring, a picture.
 */
export function modelFolder(
  recipe: Recipe,
  fit: FitResult,
  run: { readonly runId: string; readonly nowMs: number; readonly codeVersion: string },
): ModelFile[] {
  const text = (path: string, content: string, contentType = "text/plain; charset=utf-8"): ModelFile => ({
    path,
    content,
    contentType,
  });
  const json = (path: string, value: unknown) => text(path, JSON.stringify(value), "application/json");
  const {
    metrics,
    rows,
    disagreement,
    calibration,
    roc,
    slices,
    profile,
    example,
    importances,
    baselines,
    intervals,
    confusion,
    groups,
  } = fit;
  return [
    { path: "model.onnx", content: fit.model, contentType: "application/octet-stream" },
    text("MLmodel", mlModel(recipe, fit.model.byteLength, run)),
    text("requirements.txt", requirements.join("\n")),
    text(
      "python_env.yaml",
      `python: "${python}"\nbuild_dependencies:\n- pip\ndependencies:\n- -r requirements.txt\n`,
    ),
    text(
      "conda.yaml",
      `channels:\n- conda-forge\ndependencies:\n- python=${python}\n- pip\n- pip:\n${requirements.map((line) => `  - ${line}\n`).join("")}name: mlflow-env\n`,
    ),
    json("input_example.json", example),
    json("serving_input_example.json", { inputs: example }),
    json("reference-profile.json", profile),
    json("metrics.json", {
      rows,
      holdout: metrics,
      intervals,
      baselines,
      confusion,
      groups,
      disagreement,
      calibration,
      roc,
    }),
    json("slices.json", slices),
    ...(importances.length > 0 ? [json("importances.json", importances)] : []),
    text(
      "evaluation.svg",
      recipe.task === "binary" ? evaluationPicture(roc, calibration) : regressionPicture(groups),
      "image/svg+xml",
    ),
  ];
}

/** YAML whose scalars are quoted as JSON strings, which YAML reads alike. */
function mlModel(
  recipe: Recipe,
  sizeBytes: number,
  run: { runId: string; nowMs: number; codeVersion: string },
): string {
  const tensorSpec = (name: string, dtype: string, shape: number[]) => ({
    name,
    type: "tensor",
    "tensor-spec": { dtype, shape },
  });
  const inputs = recipe.features.map(({ name, input }) =>
    tensorSpec(name, input === "text" ? "object" : "float32", [-1, 1]),
  );
  const outputs =
    recipe.task === "binary"
      ? [tensorSpec("label", "int64", [-1]), tensorSpec("probabilities", "float32", [-1, 2])]
      : [tensorSpec("prediction", "float32", [-1, 1])];
  const quoted = (value: unknown) => `'${JSON.stringify(value).replaceAll("'", "''")}'`;
  return [
    "artifact_path: model",
    "flavors:",
    "  onnx:",
    "    code: null",
    "    data: model.onnx",
    "    onnx_session_options: null",
    '    onnx_version: "1.12.0"',
    "    providers:",
    "    - CPUExecutionProvider",
    "  python_function:",
    "    data: model.onnx",
    "    env:",
    "      conda: conda.yaml",
    "      virtualenv: python_env.yaml",
    "    loader_module: mlflow.onnx",
    `    python_version: "${python}"`,
    "metadata:",
    `  ketline.code_version: ${JSON.stringify(run.codeVersion)}`,
    'mlflow_version: "2.9.0"',
    `model_size_bytes: ${sizeBytes}`,
    `model_uuid: "${randomUUID().replaceAll("-", "")}"`,
    `run_id: "${run.runId}"`,
    "saved_input_example_info:",
    "  artifact_path: input_example.json",
    "  serving_input_path: serving_input_example.json",
    "  type: ndarray",
    "signature:",
    `  inputs: ${quoted(inputs)}`,
    `  outputs: ${quoted(outputs)}`,
    "  params: null",
    `utc_time_created: "${new Date(run.nowMs).toISOString().replace("T", " ").replace("Z", "000")}"`,
    "",
  ].join("\n");
}
