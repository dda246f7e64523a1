import { invalid } from "../../shared/errors.ts";
import { parseJson } from "../../shared/http/index.ts";

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

/**
 * Reads an `MLmodel` file: YAML as MLflow writes it, or JSON. Its signature is JSON inside the YAML (MLflow,
 * `mlflow/models/signature.py`).
 *
 * @throws invalid for a signature that is not what MLflow writes
 */
export function readMlModel(text: string): MlModel {
  const root = text.trimStart().startsWith("{") ? jsonMap(text) : parseYaml(text);
  const flavors = mapAt(root, "flavors");
  const onnx = mapAt(flavors, "onnx");
  const signature = mapAt(root, "signature");
  const isOnnx = flavors.onnx !== undefined;
  return {
    flavors: Object.keys(flavors),
    onnxData: isOnnx
      ? (textAt(onnx, "data") ?? textAt(mapAt(flavors, "python_function"), "data") ?? "model.onnx")
      : null,
    columns: columnsOf(textAt(signature, "inputs")),
    params: paramsOf(textAt(signature, "params")),
  };
}

function columnsOf(json: string | null): readonly ColumnSpec[] | null {
  const specs = listOf(json, "inputs");
  if (specs.length === 0 || specs.some((spec) => spec.type === "tensor" || typeof spec.name !== "string"))
    return null;
  return specs.map((spec) => ({
    name: String(spec.name),
    type: String(spec.type),
    required: spec.required !== false && spec.optional !== true,
  }));
}

function paramsOf(json: string | null): readonly ParamSpec[] {
  return listOf(json, "params").map((spec) => ({
    name: String(spec.name),
    type: String(spec.type ?? spec.dtype),
    isList: Array.isArray(spec.shape),
  }));
}

function listOf(json: string | null, what: string): Readonly<Record<string, unknown>>[] {
  if (json === null || json === "null" || json === "") return [];
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

type YamlMap = { [key: string]: YamlValue };
type YamlValue = string | YamlMap | undefined;

function jsonMap(text: string): YamlMap {
  try {
    return parseJson(text) as YamlMap;
  } catch (error) {
    throw invalid(`The MLmodel file is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function mapAt(map: YamlMap, key: string): YamlMap {
  const value = Object.hasOwn(map, key) ? map[key] : undefined;
  return typeof value === "object" && value !== null ? value : {};
}

function textAt(map: YamlMap, key: string): string | null {
  const value = Object.hasOwn(map, key) ? map[key] : undefined;
  return typeof value === "string" && value !== "null" && value !== "" ? value : null;
}

/**
 * The mappings of a YAML file as PyYAML's block style writes them: nested by indentation, scalars plain or quoted and
 * folded over lines. Sequences and block scalars are passed over: nothing that serving needs is in them.
 */
function parseYaml(text: string): YamlMap {
  const root: YamlMap = {};
  const open: { indent: number; map: YamlMap }[] = [{ indent: -1, map: root }];
  const lines = text.split(/\r?\n/);
  for (let i = 0; i < lines.length; i++) {
    const entry = /^( *)((?:'(?:[^']|'')*'|"[^"]*"|[^\s#'"-][^:]*?)):(?: +(.*))?$/.exec(lines[i] ?? "");
    if (entry === null) continue;
    const indent = entry[1]?.length ?? 0;
    const key = unquoted(entry[2] ?? "");
    let value = (entry[3] ?? "").trim();
    while (continues(value, lines[i + 1], indent)) {
      i++;
      value = folded(value, lines[i] ?? "");
    }
    while ((open.at(-1)?.indent ?? -1) >= indent) open.pop();
    const parent = open.at(-1)?.map ?? root;
    const opensMap = value === "";
    const map: YamlMap = Object.create(null);
    parent[key] = opensMap ? map : unquoted(value);
    // A mapping inside a value that is itself text or a block scalar belongs to nothing that is read.
    open.push({ indent, map });
  }
  return root;
}

/** Whether a scalar goes on: an open quote always does, plain text when the next line is deeper and not a new entry. */
function continues(value: string, next: string | undefined, indent: number): boolean {
  if (next === undefined) return false;
  if (value.startsWith("'")) return !/^'(?:[^']|'')*'$/.test(value);
  if (value.startsWith('"')) return !/^"(?:[^"\\]|\\.)*"$/.test(value);
  if (value === "" || /^[|>]/.test(value)) return false;
  const depth = /^ */.exec(next)?.[0].length ?? 0;
  return next.trim() !== "" && depth > indent;
}

/** Lines of a scalar join with one space; an empty line is a line break; a trailing backslash joins without a space. */
function folded(value: string, line: string): string {
  const more = line.trim();
  if (value.startsWith('"') && value.endsWith("\\")) return value.slice(0, -1) + more.replace(/^\\ /, " ");
  if (more === "") return `${value}\n`;
  return value.endsWith("\n") ? value + more : `${value} ${more}`;
}

function unquoted(scalar: string): string {
  if (scalar.startsWith("'") && scalar.endsWith("'")) return scalar.slice(1, -1).replaceAll("''", "'");
  if (scalar.startsWith('"') && scalar.endsWith('"')) {
    try {
      // Two escapes of YAML that JSON does not have.
      const json = scalar.replace(/\\(x[\dA-Fa-f]{2}|.)/g, (whole, rest: string) =>
        rest.length === 3 ? `\\u00${rest.slice(1)}` : rest === " " ? " " : whole,
      );
      return JSON.parse(json) as string;
    } catch {
      return scalar.slice(1, -1);
    }
  }
  return scalar;
}
