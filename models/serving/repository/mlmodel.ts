import { type Document, isAlias, isMap, isScalar, Lexer, parseDocument } from "yaml";
import { invalid, tooLarge } from "../../../shared/errors.ts";
import { parseJson } from "../../../shared/http/index.ts";

/** What serving reads of an MLflow model folder's `MLmodel` file. */
export interface MlModel {
  /** The flavours it can be loaded as, e.g. `onnx`, `python_function`, `sklearn`. */
  readonly flavors: readonly string[];
  /** The ONNX file or folder within the model's folder; null without the flavour `onnx`. */
  readonly onnxData: string | null;
  /** Named columns of a column-based signature, in its order; null for tensors or when there is no signature. */
  readonly columns: readonly ColumnSpec[] | null;
  readonly params: readonly ParamSpec[];
}

export interface ColumnSpec {
  readonly name: string;
  /** MLflow's type: `double`, `float`, `long`, `integer`, `string`, `boolean`, `binary`, `datetime`. */
  readonly type: string;
  readonly required: boolean;
}

export interface ParamSpec {
  readonly name: string;
  readonly type: string;
  /** Lists of any length where it has a shape. */
  readonly isList: boolean;
}

/** MLflow's files have some kilobytes; a signature of ten thousand columns has one megabyte. */
export const maxMlModelBytes = 4 * 1024 ** 2;

/**
 * Reads an `MLmodel` file: YAML as MLflow writes it, or JSON, which is YAML too. Its signature is JSON inside the YAML
 * (MLflow, `mlflow/models/signature.py`). Only the keys that serving needs are looked at, so what else stands in the
 * file costs no more than its parsing.
 *
 * @throws invalid for what is no YAML or has a key twice where it is read, and for a signature that is not what MLflow
 * writes
 */
export function readMlModel(text: string): MlModel {
  const root = rootOf(text);
  const flavors = root.map("flavors");
  const onnx = flavors.map("onnx");
  const signature = root.map("signature");
  return {
    flavors: flavors.keys,
    onnxData: flavors.keys.includes("onnx")
      ? (onnx.text("data") ?? flavors.map("python_function").text("data") ?? "model.onnx")
      : null,
    columns: columnsOf(signature.text("inputs")),
    params: paramsOf(signature.text("params")),
  };
}

function columnsOf(json: string | undefined): readonly ColumnSpec[] | null {
  const specs = listOf(json, "inputs");
  if (specs.length === 0 || specs.some((spec) => spec.type === "tensor" || typeof spec.name !== "string"))
    return null;
  return specs.map((spec) => ({
    name: String(spec.name),
    type: String(spec.type),
    required: spec.required !== false && spec.optional !== true,
  }));
}

function paramsOf(json: string | undefined): readonly ParamSpec[] {
  return listOf(json, "params").map((spec) => ({
    name: String(spec.name),
    type: String(spec.type ?? spec.dtype),
    isList: Array.isArray(spec.shape),
  }));
}

function listOf(json: string | undefined, what: string): Readonly<Record<string, unknown>>[] {
  if (json === undefined || json === "null" || json === "") return [];
  let list: unknown;
  try {
    list = parseJson(json);
  } catch {
    list = undefined;
  }
  if (Array.isArray(list) && list.every((entry) => typeof entry === "object" && entry !== null)) return list;
  throw invalid(
    `The MLmodel file's signature.${what} is not a JSON list of specifications: ${json.slice(0, 80)}`,
  );
}

/** A mapping of the file; one without entries where there is none. */
interface Mapping {
  readonly keys: readonly string[];
  /** @throws invalid when it is something else, as long as it is anything */
  map(key: string): Mapping;
  /** Undefined for nothing and null. @throws invalid when it is a mapping or a list */
  text(key: string): string | undefined;
}

function rootOf(text: string): Mapping {
  checkSize(text);
  const document = parsed(text);
  const [error] = document.errors;
  if (error !== undefined) throw notYaml(error.message);
  return mappingOf(document, document.contents, "");
}

/** MLflow writes some hundred words, its signature being one of them; the parser slows down with the square of them. */
const maxTokens = 100_000;

function checkSize(text: string): void {
  if (text.length > maxMlModelBytes) {
    throw tooLarge(`The MLmodel file has ${text.length} characters; at most ${maxMlModelBytes} are read.`);
  }
  let tokens = 0;
  for (const _ of new Lexer().lex(text)) {
    if (++tokens > maxTokens) throw tooLarge(`The MLmodel file has more than ${maxTokens} words and signs.`);
  }
}

/** Every scalar as its text: what looks like a number or a date is one for nobody here. */
function parsed(text: string): Document.Parsed {
  try {
    // Keys are compared below: the parser's own way is slow for many.
    return parseDocument(text, { schema: "failsafe", uniqueKeys: false, logLevel: "error" });
  } catch (error) {
    throw notYaml(error instanceof Error ? error.message : String(error));
  }
}

function notYaml(message: string) {
  const [first = ""] = message.split("\n");
  // The parser goes down into what is nested until the stack is full.
  const reason = first.includes("call stack") ? "it is nested too deep" : first;
  return invalid(`The MLmodel file is not YAML as MLflow writes it: ${reason}`);
}

function mappingOf(document: Document.Parsed, node: unknown, where: string): Mapping {
  const found = target(document, node);
  if (found !== undefined && found !== null && !isMap(found) && !isNothing(found)) {
    throw invalid(`The MLmodel file${where} is not a mapping of keys to values.`);
  }
  const entries = new Map<string, unknown>();
  for (const { key, value } of isMap(found) ? found.items : []) {
    if (!isScalar(key)) continue;
    const name = String(key.value);
    if (entries.has(name))
      throw invalid(`The MLmodel file has the key "${name.slice(0, 100)}"${where} twice.`);
    entries.set(name, value);
  }
  const inside = (key: string) => `${where === "" ? ": " : `${where}.`}${key}`;
  return {
    keys: [...entries.keys()],
    map: (key) => mappingOf(document, entries.get(key), inside(key)),
    text(key) {
      const scalar = target(document, entries.get(key));
      if (scalar === undefined || scalar === null || isNothing(scalar)) return undefined;
      if (isScalar(scalar)) return String(scalar.value);
      throw invalid(`The MLmodel file${inside(key)} is not text.`);
    },
  };
}

/** What an alias stands for. */
function target(document: Document.Parsed, node: unknown): unknown {
  if (!isAlias(node)) return node;
  const found = node.resolve(document);
  if (found === undefined)
    throw notYaml(`there is no "&${node.source.slice(0, 100)}" before "*${node.source.slice(0, 100)}"`);
  return found;
}

/** What YAML writes for nothing, unless it is quoted. */
function isNothing(node: unknown): boolean {
  return isScalar(node) && node.type === "PLAIN" && /^(~|null|Null|NULL)?$/.test(String(node.value));
}
