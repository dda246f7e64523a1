import { lstat, readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { create } from "@bufbuild/protobuf";
import {
  type ModelProto,
  type NodeProto,
  OperatorSetIdProtoSchema,
  TensorProto_DataType,
  TensorShapeProto_DimensionSchema,
  TensorShapeProtoSchema,
  TypeProto_TensorSchema,
  TypeProtoSchema,
} from "onnx-buf";
import { invalid, tooLarge } from "../../shared/errors.ts";
import {
  decodeModel,
  encodeModel,
  mlDomain,
  modelExternalData,
  modelMetadata,
  modelOperators,
  node,
} from "../../shared/onnx/index.ts";
import { type MlModel, readMlModel } from "./mlmodel.ts";
import { keepsRowsApart } from "./row-operators.ts";

export interface InspectionLimits {
  /** Of the model and its external data. */
  readonly maxFileBytes: number;
  readonly maxNodes: number;
}

/** What a model folder holds, found without running any of it. */
export interface InspectedModel {
  readonly servedFile: string;
  readonly mlModel: MlModel | null;
  readonly classLabels: Readonly<Record<string, readonly string[]>>;
  readonly metadata: Readonly<Record<string, string>>;
  readonly nodeCount: number;
  readonly fileBytes: number;
  readonly bounded: boolean;
  /** Whether its operators keep rows apart; the signature has to agree. */
  readonly rowWise: boolean;
  /** Inputs and outputs whose number of dimensions the model leaves open. */
  readonly unranked: ReadonlySet<string>;
}

/**
 * Finds the ONNX model in a folder, checks it, and rewrites what ONNX Runtime's binding cannot answer. Runs in a host
 * process: the files are somebody's, and may be built to do harm.
 *
 * @throws invalid or tooLarge, saying why this folder cannot be served
 */
export async function inspectModel(directory: string, limits: InspectionLimits): Promise<InspectedModel> {
  const mlModel = await readMlModelFile(directory);
  const file = await findModelFile(directory, mlModel);
  const { size } = await lstat(file);
  if (size > limits.maxFileBytes) throw tooLargeModel(size, limits.maxFileBytes);
  const model = decodeModel(await readFile(file));
  const nodeCount = checkOperators(model, limits.maxNodes);
  const fileBytes = size + (await externalBytes(model, path.dirname(file)));
  if (fileBytes > limits.maxFileBytes) throw tooLargeModel(fileBytes, limits.maxFileBytes);
  const bounded = isBounded(model);
  const unranked = unrankedNames(model);
  const classLabels = replaceZipMaps(model);
  const rowWise = keepsRowsApart(model);
  let servedFile = file;
  if (Object.keys(classLabels).length > 0) {
    servedFile = path.join(path.dirname(file), "ketline-served.onnx");
    await writeFile(servedFile, encodeModel(model));
  }
  const metadata = Object.fromEntries(modelMetadata(model));
  return { servedFile, mlModel, classLabels, metadata, nodeCount, fileBytes, bounded, rowWise, unranked };
}

async function readMlModelFile(directory: string): Promise<MlModel | null> {
  const text = await readFile(path.join(directory, "MLmodel"), "utf8").catch(() => null);
  return text === null ? null : readMlModel(text);
}

async function findModelFile(directory: string, mlModel: MlModel | null): Promise<string> {
  if (mlModel !== null && mlModel.onnxData === null) {
    throw invalid(
      `It is an MLflow model of the flavours ${mlModel.flavors.join(", ")}; only onnx is served. ` +
        "Log it with mlflow.onnx.log_model.",
    );
  }
  const named = path.resolve(directory, mlModel?.onnxData ?? ".");
  if (named !== directory && !named.startsWith(directory + path.sep)) {
    throw invalid(`Its MLmodel file names "${mlModel?.onnxData}", which is outside of the model's folder.`);
  }
  const stat = await lstat(named).catch(() => null);
  if (stat?.isFile()) return named;
  const files = stat?.isDirectory() ? (await readdir(named)).filter((name) => name.endsWith(".onnx")) : [];
  const [only, second] = files.filter((name) => name !== "ketline-served.onnx");
  if (only !== undefined && (second === undefined || files.includes("model.onnx"))) {
    return path.join(named, second === undefined ? only : "model.onnx");
  }
  throw invalid(
    second === undefined
      ? `There is no ONNX file in it${mlModel === null ? "" : ` at "${mlModel.onnxData}"`}.`
      : `It has ${files.length} ONNX files and none is called model.onnx.`,
  );
}

/** The standard operators, those of classical machine learning, and ONNX Runtime's own; all others need foreign code. */
const servedDomains = new Set(["", mlDomain, "com.microsoft"]);

function checkOperators(model: ModelProto, maxNodes: number): number {
  const own = new Set(model.functions.map(({ domain, name }) => `${domain}/${name}`));
  let count = 0;
  for (const { domain, operator, count: nodes } of modelOperators(model)) {
    count += nodes;
    if (!servedDomains.has(domain) && !own.has(`${domain}/${operator}`)) {
      throw invalid(`It uses the custom operator ${domain}.${operator}; custom operators are not run here.`);
    }
  }
  if (count > maxNodes) throw tooLarge(`It has ${count} nodes; at most ${maxNodes} are served.`);
  return count;
}

/** Sizes of the files that hold external data, each checked to lie in the model's own folder. */
async function externalBytes(model: ModelProto, folder: string): Promise<number> {
  const locations = new Set(modelExternalData(model).map(({ location }) => location));
  let bytes = 0;
  for (const location of locations) {
    const file = path.resolve(folder, location);
    const inside = location !== "" && !path.isAbsolute(location) && file.startsWith(folder + path.sep);
    if (!inside) {
      throw invalid(`It keeps tensors in "${location}", which is outside of the model's folder.`);
    }
    const stat = await lstat(file).catch(() => null);
    if (!stat?.isFile())
      throw invalid(`It keeps tensors in "${location}", and there is no such file beside it.`);
    bytes += stat.size;
  }
  return bytes;
}

/**
 * Operators that repeat, or make tensors as large as a number in the data says. What a model without them costs follows
 * from its size and that of its inputs, so that what was measured once tells what the next request will take.
 */
const unboundedOperators = new Set([
  "Loop",
  "Scan",
  "SequenceMap",
  "Range",
  "ConstantOfShape",
  "Expand",
  "Tile",
  "Resize",
  "Upsample",
  "Pad",
  "OneHot",
]);

function isBounded(model: ModelProto): boolean {
  return modelOperators(model).every(
    ({ domain, operator }) => domain !== "" || !unboundedOperators.has(operator),
  );
}

function unrankedNames(model: ModelProto): ReadonlySet<string> {
  const infos = [...(model.graph?.input ?? []), ...(model.graph?.output ?? [])];
  return new Set(
    infos
      .filter(({ type }) => type?.value.case === "tensorType" && type.value.value.shape === undefined)
      .map(({ name }) => name),
  );
}

/**
 * scikit-learn classifiers end in ZipMap, which gives a sequence of maps that ONNX Runtime's binding for Node cannot
 * return (onnxruntime #8007). Each becomes an Identity: the output keeps its name and is the matrix of the scores.
 *
 * @returns the classes of the columns, by the name of the output
 */
function replaceZipMaps(model: ModelProto): Record<string, readonly string[]> {
  const graph = model.graph;
  const classLabels: Record<string, readonly string[]> = Object.create(null);
  if (graph === undefined) return classLabels;
  for (const [index, zipMap] of graph.node.entries()) {
    const [scores] = zipMap.input;
    const [output] = zipMap.output;
    if (
      zipMap.opType !== "ZipMap" ||
      zipMap.domain !== mlDomain ||
      scores === undefined ||
      output === undefined
    ) {
      continue;
    }
    const labels = labelsOf(zipMap);
    graph.node[index] = node("Identity", [scores], [output]);
    const info = graph.output.find(({ name }) => name === output);
    if (info === undefined) continue;
    classLabels[output] = labels;
    info.type = create(TypeProtoSchema, {
      value: {
        case: "tensorType",
        value: create(TypeProto_TensorSchema, {
          elemType: TensorProto_DataType.FLOAT,
          shape: create(TensorShapeProtoSchema, {
            dim: [
              create(TensorShapeProto_DimensionSchema, {}),
              create(TensorShapeProto_DimensionSchema, {
                value: { case: "dimValue", value: BigInt(labels.length) },
              }),
            ],
          }),
        }),
      },
    });
  }
  const hasStandard = model.opsetImport.some(({ domain }) => domain === "" || domain === "ai.onnx");
  if (Object.keys(classLabels).length > 0 && !hasStandard) {
    model.opsetImport.push(create(OperatorSetIdProtoSchema, { domain: "", version: 15n }));
  }
  return classLabels;
}

function labelsOf(zipMap: NodeProto): string[] {
  const of = (name: string) => zipMap.attribute.find((attribute) => attribute.name === name);
  const texts = of("classlabels_strings")?.strings ?? [];
  if (texts.length > 0) return texts.map((bytes) => new TextDecoder().decode(bytes));
  return (of("classlabels_int64s")?.ints ?? []).map(String);
}

function tooLargeModel(bytes: number, maxBytes: number) {
  return tooLarge(`Its files have ${bytes} bytes; at most ${maxBytes} are served.`);
}
