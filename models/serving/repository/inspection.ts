import { randomUUID } from "node:crypto";
import { closeSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { lstat, readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { invalid, tooLarge } from "../../../shared/errors.ts";
import {
  appended,
  type ByteSource,
  type Edit,
  expandedNodeCount,
  fieldBytes,
  fileSource,
  mlDomain,
  modelExternalData,
  modelOperators,
  modelTags,
  numberBytes,
  type OnnxModel,
  opsetTags,
  readModel,
  spliced,
} from "../../../shared/onnx/index.ts";
import { type InlineCost, inlineCostOf } from "../inline/cost.ts";
import { hasLocale } from "../runtime/onnx-session.ts";
import { defaultInputs } from "../tensors/default-inputs.ts";
import { takeOutUnserved } from "../tensors/unserved.ts";
import { substituteLocales } from "./locales.ts";
import { type MlModel, maxMlModelBytes, readMlModel } from "./mlmodel.ts";
import type { InterfaceHints } from "./model.ts";
import { keepsRowsApart } from "./row-operators.ts";
import { checkVersions } from "./runtime-limits.ts";
import { replaceZipMaps } from "./zip-maps.ts";

export interface InspectionLimits {
  /** Of the model and its external data. */
  readonly maxFileBytes: number;
  readonly maxNodes: number;
  /** Of a model that may run in the server: larger ones are not looked at for that. */
  readonly maxInlineBytes: number;
}

/** What a model folder holds, found without running any of it. */
export interface InspectedModel {
  readonly servedFile: string;
  readonly mlModel: MlModel | null;
  readonly classLabels: Readonly<Record<string, readonly string[]>>;
  readonly metadata: Readonly<Record<string, string>>;
  readonly nodeCount: number;
  readonly fileBytes: number;
  /** Null when it must not run in the server (see `inline-cost.ts`). */
  readonly inlineCost: InlineCost | null;
  /** Whether its operators keep rows apart; the signature has to agree. */
  readonly rowWise: boolean;
  readonly hints: InterfaceHints;
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
  const opened = openSync(file, "r");
  try {
    const source = fileSource(opened);
    const model = readModel(source);
    checkVersions(model);
    const nodeCount = checkOperators(model, limits.maxNodes);
    const fileBytes = size + (await externalBytes(model, path.dirname(file)));
    if (fileBytes > limits.maxFileBytes) throw tooLargeModel(fileBytes, limits.maxFileBytes);
    const zipMaps = replaceZipMaps(model, source);
    const { classLabels } = zipMaps;
    const inputs = defaultInputs(model, source);
    const outputs = takeOutUnserved(model, source, new Set(Object.keys(classLabels)));
    const edits = [
      ...zipMaps.edits,
      ...(zipMaps.edits.length === 0 ? [] : opsetFor(model)),
      ...inputs.edits,
      ...outputs.edits,
      ...(await substituteLocales(model, hasLocale)),
    ];
    const servedFile = edits.length === 0 ? file : writeServed(file, source, edits);
    const hints = { unranked: unrankedNames(model), defaults: inputs.defaults, unserved: outputs.unserved };
    // A value that a request may change is no constant that rows could share, or that sizes could follow from.
    const isFixed = Object.keys(inputs.defaults).length === 0;
    const rowWise = isFixed && keepsRowsApart(model);
    const mayInline = isFixed && fileBytes <= limits.maxInlineBytes;
    const inlineCost = mayInline ? inlineCostOf(model, source) : null;
    const metadata = Object.fromEntries(model.metadata);
    return { servedFile, mlModel, classLabels, metadata, nodeCount, fileBytes, inlineCost, rowWise, hints };
  } finally {
    closeSync(opened);
  }
}

/**
 * Writes the changed copy beside the model, so that it finds its external data. Under another name first: another
 * process may read the copy at this moment.
 *
 * @returns its path
 */
function writeServed(file: string, source: ByteSource, edits: readonly Edit[]): string {
  const servedFile = path.join(path.dirname(file), servedName);
  const partial = `${servedFile}.${randomUUID()}`;
  try {
    const written = openSync(partial, "wx");
    try {
      for (const piece of spliced(source, edits)) writeAll(written, piece);
    } finally {
      closeSync(written);
    }
    renameSync(partial, servedFile);
  } finally {
    rmSync(partial, { force: true });
  }
  return servedFile;
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.byteLength; ) at += writeSync(file, bytes, at);
}

/** What is put in needs the standard operators, which a model of others may not name. */
function opsetFor({ opsets, span }: OnnxModel): Edit[] {
  if (opsets.has("")) return [];
  const opset = fieldBytes(modelTags.opsetImport, numberBytes(opsetTags.version, 15));
  return [appended(span, opset)];
}

const servedName = "ketline-served.onnx";

async function readMlModelFile(directory: string): Promise<MlModel | null> {
  const file = path.join(directory, "MLmodel");
  const stat = await lstat(file).catch(() => null);
  if (!stat?.isFile()) return null;
  if (stat.size > maxMlModelBytes) {
    throw tooLarge(`Its MLmodel file has ${stat.size} bytes; at most ${maxMlModelBytes} are read.`);
  }
  return readMlModel(await readFile(file, "utf8"));
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
  const [only, second] = files.filter((name) => name !== servedName);
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

function checkOperators(model: OnnxModel, maxNodes: number): number {
  const own = new Set(model.functions.map(({ domain, name }) => `${domain}/${name}`));
  let count = 0;
  for (const { domain, operator, count: nodes } of modelOperators(model)) {
    count += nodes;
    if (!servedDomains.has(domain) && !own.has(`${domain}/${operator}`)) {
      throw invalid(`It uses the custom operator ${domain}.${operator}; custom operators are not run here.`);
    }
  }
  const expanded = Math.max(count, expandedNodeCount(model));
  if (expanded > maxNodes) {
    const how = expanded === count ? "" : " once its functions are written out";
    throw tooLarge(`It has ${expanded} nodes${how}; at most ${maxNodes} are served.`);
  }
  return expanded;
}

/** Sizes of the files that hold external data, each checked to lie in the model's own folder. */
async function externalBytes(model: OnnxModel, folder: string): Promise<number> {
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

function unrankedNames({ graph }: OnnxModel): string[] {
  return [...graph.inputs, ...graph.outputs]
    .filter(({ type }) => type.kind === "tensor" && type.shape === null)
    .map(({ name }) => name);
}

function tooLargeModel(bytes: number, maxBytes: number) {
  return tooLarge(`Its files have ${bytes} bytes; at most ${maxBytes} are served.`);
}
