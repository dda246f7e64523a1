import { invalid } from "../../../shared/errors.ts";
import type { ModelDescription } from "../repository/model.ts";
import { nestedJson } from "../tensors/element-text.ts";
import { described, InexactInteger, tensorFromJson } from "../tensors/elements.ts";
import { parseExactJson, parseTolerantJson } from "../tensors/exact-json.ts";
import { requiredInputs, type TensorSpec } from "../tensors/signature.ts";
import type { Tensor, Tensors } from "../tensors/tensors.ts";
import { checkColumns, parseCsv } from "./csv.ts";
import { type Frame, shapeOfLists, tensorsFromFrame } from "./frame.ts";
import { scalarText } from "./inference.ts";

/*
 * MLflow's scoring protocol (mlflow/pyfunc/scoring_server): one of `dataframe_split`, `dataframe_records`, `instances`
 * and `inputs`, with optional `params`, or CSV.
 */

export interface ScoringRequest {
  /** A parameter of the request, or the first row of a column or input, as text; for sticky routing. */
  field(name: string): string | undefined;
  /** @throws invalid for data that the model cannot take */
  decode(model: ModelDescription): Tensors;
  /** Whether the answer is written row by row, as MLflow does for what it takes for a table, or tensor by tensor. */
  answerByRow(model: ModelDescription): boolean;
}

const formats = ["dataframe_split", "dataframe_records", "instances", "inputs"] as const;
type Format = (typeof formats)[number];

/** @throws invalid for a body that is not a request of this protocol */
export function readScoringRequest(
  body: Uint8Array,
  contentType: "application/json" | "text/csv",
): ScoringRequest {
  const text = textOf(body);
  if (contentType === "text/csv") {
    const frame = parseCsv(text);
    return framePayload(frame, isTable);
  }
  const request = requestOf(parseTolerantJson(text));
  const decode = (payload: Payload, model: ModelDescription) => {
    checkParams(request.params, model);
    return payload.decode(model);
  };
  return {
    field: (name) =>
      (Object.hasOwn(request.params, name) ? scalarText(request.params[name]) : undefined) ??
      request.payload.field(name),
    decode: (model) => {
      try {
        return decode(request.payload, model);
      } catch (error) {
        if (!(error instanceof InexactInteger)) throw error;
        return decodeExactly(text, model);
      }
    },
    answerByRow: request.payload.answerByRow,
  };
}

/** Writes `{"predictions": …}`. */
export function encodePredictions(
  outputs: readonly { readonly name: string; readonly tensor: Tensor }[],
  classLabels: ModelDescription["classLabels"],
  answerByRow: boolean,
): string {
  const rows = outputs[0]?.tensor.shape[0];
  const byRow = answerByRow && rows !== undefined && outputs.every(({ tensor }) => tensor.shape[0] === rows);
  if (!byRow) {
    const members = outputs.map(({ name, tensor }) => `${JSON.stringify(name)}:${nestedJson(tensor)}`);
    return `{"predictions":{${members.join(",")}}}`;
  }
  const columns = outputs.map(({ name, tensor }) => ({
    key: JSON.stringify(name),
    cells: cellTexts(tensor, rows, Object.hasOwn(classLabels, name) ? classLabels[name] : undefined),
  }));
  const records = Array.from(
    { length: rows },
    (_, row) => `{${columns.map(({ key, cells }) => `${key}:${cells[row]}`).join(",")}}`,
  );
  return `{"predictions":[${records.join(",")}]}`;
}

/** One text per row: a bare element, an object of scores by class, or what the row holds as nested lists. */
function cellTexts(tensor: Tensor, rows: number, labels: readonly string[] | undefined): string[] {
  const { shape, data } = tensor;
  const size = rows === 0 ? 0 : data.length / rows;
  const inner = labels === undefined && shape.length === 2 && shape[1] === 1 ? [] : shape.slice(1);
  return Array.from({ length: rows }, (_, row) => {
    const rowData = data.slice(row * size, (row + 1) * size) as Tensor["data"];
    if (labels === undefined || labels.length !== size) {
      return nestedJson({ datatype: tensor.datatype, shape: inner, data: rowData });
    }
    const scores = labels.map((label, i) => {
      const score = nestedJson({
        datatype: tensor.datatype,
        shape: [],
        data: rowData.slice(i, i + 1) as Tensor["data"],
      });
      return `${JSON.stringify(label)}:${score}`;
    });
    return `{${scores.join(",")}}`;
  });
}

interface Payload {
  field(name: string): string | undefined;
  decode(model: ModelDescription): Tensors;
  answerByRow(model: ModelDescription): boolean;
}

const isTable = () => true;
/** Objects of values are a table for models whose signature names columns, and tensors by name for all others. */
const hasColumns = ({ columns }: ModelDescription) => columns !== null;
const isTensors = () => false;

function requestOf(json: unknown): { payload: Payload; params: Readonly<Record<string, unknown>> } {
  const right = `a JSON object with exactly one of ${formats.join(", ")} would be right`;
  if (!isObject(json)) throw invalid(`The body is ${described(json)}; ${right}.`);
  const given = formats.filter((format) => Object.hasOwn(json, format));
  const [format] = given;
  if (format === undefined || given.length > 1) {
    const keys = Object.keys(json).slice(0, 10).join(", ");
    throw invalid(`The body has ${given.length > 1 ? given.join(" and ") : `the keys [${keys}]`}; ${right}.`);
  }
  const { params = {} } = json;
  if (params !== null && !isObject(params)) {
    throw invalid(`params is ${described(params)}; an object would be right.`, { field: "params" });
  }
  return { payload: payloadOf(format, json[format]), params: params ?? {} };
}

function payloadOf(format: Format, value: unknown): Payload {
  switch (format) {
    case "dataframe_split":
      return framePayload(frameOfSplit(value), isTable);
    case "dataframe_records":
      return framePayload(frameOfRecords(value, format), isTable);
    case "instances":
      return Array.isArray(value) && isObject(value[0])
        ? framePayload(frameOfRecords(value, format), hasColumns)
        : tensorPayload(value, format);
    case "inputs":
      if (isObject(value)) return namedPayload(value);
      return Array.isArray(value) && isObject(value[0])
        ? framePayload(frameOfRecords(value, format), hasColumns)
        : tensorPayload(value, format);
  }
}

function framePayload(frame: Frame, answerByRow: Payload["answerByRow"]): Payload {
  return { ...framed(frame), decode: (model) => tensorsFromFrame(frame, model), answerByRow };
}

function framed(frame: Frame): { field(name: string): string | undefined } {
  return { field: (name) => scalarText(frame.rows[0]?.[frame.columns.indexOf(name)]) };
}

/** Lists for a model of one input. */
function tensorPayload(value: unknown, format: Format): Payload {
  if (!Array.isArray(value)) throw invalid(`${format} is ${described(value)}; a list would be right.`);
  return {
    field: () => undefined,
    decode: ({ signature }) => {
      const [spec, second] = requiredInputs(signature);
      if (spec === undefined || second !== undefined) {
        const names = signature.inputs.map(({ name }) => `"${name}"`).join(", ");
        throw invalid(`The model has ${signature.inputs.length} inputs; give each by its name: ${names}.`);
      }
      return withName(spec.name, tensorOf(spec, value, format));
    },
    answerByRow: isTensors,
  };
}

/** Columns of a table for a model whose signature names them, tensors by the names of the inputs for all others. */
function namedPayload(value: Readonly<Record<string, unknown>>): Payload {
  const isFrame = ({ signature, columns }: ModelDescription) => {
    const isGiven = ({ name }: { readonly name: string }) => Object.hasOwn(value, name);
    return columns?.some(isGiven) === true || !signature.inputs.some(isGiven);
  };
  return {
    field: (name) => {
      let first = Object.hasOwn(value, name) ? value[name] : undefined;
      while (Array.isArray(first)) first = first[0];
      return scalarText(first);
    },
    decode: (model) =>
      isFrame(model) ? tensorsFromFrame(frameOfColumns(value), model) : namedTensors(value, model),
    answerByRow: (model) => hasColumns(model) && isFrame(model),
  };
}

function namedTensors(value: Readonly<Record<string, unknown>>, { signature }: ModelDescription): Tensors {
  const { inputs } = signature;
  const tensors: Record<string, Tensor> = Object.create(null);
  for (const [name, json] of Object.entries(value)) {
    const spec = inputs.find((input) => input.name === name);
    if (spec === undefined) {
      const known = inputs.map((input) => `"${input.name}"`).join(", ");
      throw invalid(`The model has no input "${name}"; it has ${known}.`, { field: "inputs" });
    }
    tensors[name] = tensorOf(spec, json, `Input "${name}"`);
  }
  return tensors;
}

function withName(name: string, tensor: Tensor): Tensors {
  const tensors: Record<string, Tensor> = Object.create(null);
  tensors[name] = tensor;
  return tensors;
}

/** A flat list for an input of one column per row is taken as that column. */
function tensorOf(spec: TensorSpec, json: unknown, where: string): Tensor {
  const shape = shapeOfLists(json);
  const tensor = tensorFromJson(spec.datatype, shape, json, where);
  const isColumn = shape.length === 1 && spec.shape?.length === 2 && Math.abs(spec.shape[1] ?? 0) === 1;
  return isColumn ? { ...tensor, shape: [shape[0] ?? 0, 1] } : tensor;
}

function frameOfSplit(value: unknown): Frame {
  if (!isObject(value) || !Array.isArray(value.data)) {
    throw invalid(
      `dataframe_split is ${described(value)}; {"columns": […], "data": [[…], …]} would be right.`,
      { field: "dataframe_split" },
    );
  }
  const { columns, data } = value;
  if (columns !== undefined && !Array.isArray(columns)) {
    throw invalid(`dataframe_split.columns is ${described(columns)}; a list of names would be right.`);
  }
  const width = columns?.length ?? (Array.isArray(data[0]) ? data[0].length : 0);
  const rows = data.map((row: unknown, index) => {
    if (Array.isArray(row) && row.length === width) return row;
    const sent = Array.isArray(row) ? `${row.length} cells` : described(row);
    throw invalid(`dataframe_split.data[${index}] is ${sent}; a list of ${width} cells would be right.`);
  });
  const names = (columns ?? Array.from({ length: width }, (_, i) => i)).map(String);
  checkColumns(names, "dataframe_split");
  return { columns: names, rows };
}

function frameOfRecords(value: unknown, format: Format): Frame {
  if (!Array.isArray(value)) {
    throw invalid(`${format} is ${described(value)}; a list of objects, one per row, would be right.`);
  }
  const places = new Map<string, number>();
  const records = value.map((record: unknown, index) => {
    if (!isObject(record))
      throw invalid(`${format}[${index}] is ${described(record)}; an object would be right.`);
    for (const key in record) if (!places.has(key)) places.set(key, places.size);
    return record;
  });
  const columns = [...places.keys()];
  return {
    columns,
    rows: records.map((record) => columns.map((name) => (Object.hasOwn(record, name) ? record[name] : null))),
  };
}

function frameOfColumns(value: Readonly<Record<string, unknown>>): Frame {
  const columns = Object.keys(value);
  const lists = columns.map((name) => (Array.isArray(value[name]) ? value[name] : [value[name]]));
  const length = lists[0]?.length ?? 0;
  const odd = lists.findIndex((list) => list.length !== length);
  if (odd >= 0) {
    throw invalid(
      `inputs: column "${columns[odd]}" has ${lists[odd]?.length} values, column "${columns[0]}" ${length}; they must have as many.`,
    );
  }
  return { columns, rows: Array.from({ length }, (_, row) => lists.map((list) => list[row])) };
}

/** MLflow's types of parameters (mlflow/types/schema.py). Parameters that the model does not declare are passed over. */
function checkParams(
  params: Readonly<Record<string, unknown>>,
  { params: declared }: ModelDescription,
): void {
  for (const { name, type, isList } of declared) {
    if (!Object.hasOwn(params, name)) continue;
    const value = params[name];
    const values = isList && Array.isArray(value) ? value : [value];
    if (values.every((item) => fitsParam(type, item))) continue;
    throw invalid(
      `params.${name} is ${described(value)}; the model declares ${isList ? "a list of " : ""}${type}.`,
      {
        field: `params.${name}`,
      },
    );
  }
}

function fitsParam(type: string, value: unknown): boolean {
  if (value === null) return true;
  if (/^(integer|long|int)/.test(type)) return Number.isInteger(value);
  if (/^(float|double)/.test(type)) return typeof value === "number";
  if (/^(string|datetime)/.test(type)) return typeof value === "string";
  return !/^bool/.test(type) || typeof value === "boolean";
}

function decodeExactly(text: string, model: ModelDescription): Tensors {
  try {
    return requestOf(parseExactJson(text)).payload.decode(model);
  } catch (error) {
    if (!(error instanceof InexactInteger)) throw error;
    throw invalid("A 64-bit integer beyond 2^53 is written with an exponent; write all of its digits.");
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function textOf(body: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(body);
  } catch {
    throw invalid("The body is not UTF-8.");
  }
}
