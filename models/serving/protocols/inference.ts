import { invalid } from "../../../shared/errors.ts";
import { flatJson } from "../tensors/element-text.ts";
import { described, InexactInteger, tensorFromJson } from "../tensors/elements.ts";
import { parseExactJson, parseTolerantJson } from "../tensors/exact-json.ts";
import { datatypes, isDatatype, type Tensor, type Tensors } from "../tensors/tensors.ts";
import { bytesOfTensor, tensorFromBytes } from "./binary-tensors.ts";

/*
 * Open Inference Protocol v2 over REST (kserve/open-inference-protocol, specification/protocol/inference_rest.md) with
 * Triton's binary tensor data extension (triton-inference-server/server, docs/protocol/extension_binary_data.md).
 */

/** A request for predictions, read but not yet decoded. */
export interface InferenceRequest {
  readonly id: string | undefined;
  /** Undefined when all are wanted. */
  readonly outputs: readonly string[] | undefined;
  /** Whether an output goes out as bytes behind the JSON. */
  binaryOutput(name: string): boolean;
  /** A parameter of the request, or the first element of an input, as text; for sticky routing. */
  field(name: string): string | undefined;
  /** @throws invalid for data that is not what its shape and datatype say */
  decode(): Tensors;
}

/**
 * @param headerLength the header `Inference-Header-Content-Length`: how many bytes of the body are JSON
 * @throws invalid for a body that is not a request of this protocol
 */
export function readInferenceRequest(body: Uint8Array, headerLength: string | null): InferenceRequest {
  const jsonLength = lengthOfJson(body, headerLength);
  const text = textOf(body.subarray(0, jsonLength));
  const request = objectOf(parseTolerantJson(text), "The body");
  const parameters = parametersOf(request, "The request");
  const inputs = inputsOf(request.inputs);
  const outputs = outputsOf(request.outputs);
  const allBinary = parameters.binary_data_output === true;
  const binary = body.subarray(jsonLength);
  return {
    id: idOf(request.id),
    outputs: outputs?.map(({ name }) => name),
    binaryOutput: (name) => outputs?.find((output) => output.name === name)?.binary ?? allBinary,
    field: (name) => fieldText(parameters, inputs, name),
    decode: () => {
      try {
        return decodeInputs(inputs, binary);
      } catch (error) {
        if (!(error instanceof InexactInteger)) throw error;
        return decodeExactly(text, binary);
      }
    },
  };
}

export interface InferenceReply {
  readonly modelName: string;
  readonly modelVersion: string;
  readonly id: string;
  readonly outputs: readonly { readonly name: string; readonly tensor: Tensor }[];
}

export interface EncodedReply {
  readonly body: string | Uint8Array<ArrayBuffer>;
  readonly headers: Readonly<Record<string, string>>;
}

/** Writes the answer: JSON, followed by the bytes of those outputs that are wanted so. */
export function encodeInferenceReply(
  reply: InferenceReply,
  isBinary: (name: string) => boolean,
): EncodedReply {
  const chunks: Uint8Array[] = [];
  const outputs = reply.outputs.map(({ name, tensor }) => {
    const head = `{"name":${JSON.stringify(name)},"datatype":"${tensor.datatype}","shape":[${tensor.shape.join(",")}]`;
    if (!isBinary(name)) return `${head},"data":${flatJson(tensor)}}`;
    const bytes = bytesOfTensor(tensor);
    chunks.push(bytes);
    return `${head},"parameters":{"binary_data_size":${bytes.byteLength}}}`;
  });
  const json =
    `{"model_name":${JSON.stringify(reply.modelName)},"model_version":${JSON.stringify(reply.modelVersion)},` +
    `"id":${JSON.stringify(reply.id)},"outputs":[${outputs.join(",")}]}`;
  if (chunks.length === 0) return { body: json, headers: { "content-type": "application/json" } };
  const head = new TextEncoder().encode(json);
  return {
    body: concatenated([head, ...chunks]),
    headers: {
      "content-type": "application/octet-stream",
      "inference-header-content-length": String(head.byteLength),
    },
  };
}

interface RawInput {
  readonly name: string;
  readonly shape: readonly number[];
  readonly datatype: Tensor["datatype"];
  readonly data: unknown;
  /** How many bytes behind the JSON are its elements; undefined when they stand in `data`. */
  readonly binarySize: number | undefined;
}

function decodeInputs(inputs: readonly RawInput[], binary: Uint8Array): Tensors {
  const tensors: Record<string, Tensor> = Object.create(null);
  let offset = 0;
  for (const { name, shape, datatype, data, binarySize } of inputs) {
    const where = `Input "${name}"`;
    if (binarySize === undefined) tensors[name] = tensorFromJson(datatype, shape, data, where);
    else {
      if (offset + binarySize > binary.byteLength) {
        throw invalid(
          `${where}: binary_data_size is ${binarySize}, but only ${binary.byteLength - offset} bytes are left behind the JSON.`,
        );
      }
      const bytes = binary.subarray(offset, offset + binarySize);
      tensors[name] = tensorFromBytes(datatype, shape, bytes, where);
      offset += binarySize;
    }
  }
  if (offset !== binary.byteLength) {
    throw invalid(
      `${binary.byteLength} bytes follow the JSON; the inputs' binary_data_size sum to ${offset}. They must be equal.`,
    );
  }
  return tensors;
}

/** Again from the text, where integers beyond 2^53 still have all their digits. */
function decodeExactly(text: string, binary: Uint8Array): Tensors {
  const request = objectOf(parseExactJson(text), "The body");
  try {
    return decodeInputs(inputsOf(request.inputs), binary);
  } catch (error) {
    if (!(error instanceof InexactInteger)) throw error;
    throw invalid("A 64-bit integer beyond 2^53 is written with an exponent; write all of its digits.");
  }
}

function lengthOfJson(body: Uint8Array, header: string | null): number {
  if (header === null) return body.byteLength;
  const length = /^\d{1,10}$/.test(header) ? Number(header) : Number.NaN;
  if (length <= body.byteLength) return length;
  throw invalid(
    `Inference-Header-Content-Length is "${header}"; it must be the length of the JSON, at most the ${body.byteLength} bytes of the body.`,
  );
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

function textOf(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw invalid("The JSON of the body is not UTF-8.");
  }
}

type JsonObject = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function objectOf(value: unknown, where: string): JsonObject {
  if (isObject(value)) return value;
  throw invalid(`${where} is ${described(value)}; a JSON object would be right.`);
}

function parametersOf(owner: JsonObject, where: string): JsonObject {
  return owner.parameters === undefined ? {} : objectOf(owner.parameters, `${where}: parameters`);
}

function idOf(id: unknown): string | undefined {
  if (id === undefined || id === null || id === "") return undefined;
  if (typeof id === "string") return id;
  throw invalid(`id is ${described(id)}; text would be right.`, { field: "id" });
}

function inputsOf(list: unknown): RawInput[] {
  if (!Array.isArray(list)) {
    throw invalid(
      `inputs is ${described(list)}; a list of {"name", "shape", "datatype", "data"} would be right.`,
      { field: "inputs" },
    );
  }
  const names = new Set<string>();
  return list.map((entry: unknown, index) => {
    const input = inputOf(entry, `inputs[${index}]`);
    if (names.has(input.name)) throw invalid(`Input "${input.name}" is given twice.`, { field: "inputs" });
    names.add(input.name);
    return input;
  });
}

function inputOf(entry: unknown, where: string): RawInput {
  const input = objectOf(entry, where);
  const { name, datatype } = input;
  if (typeof name !== "string" || name === "") {
    throw invalid(`${where}.name is ${described(name)}; the name of an input of the model would be right.`);
  }
  if (!isDatatype(datatype)) {
    throw invalid(
      `Input "${name}": datatype is ${described(datatype)}; one of ${datatypes.join(", ")} would be right.`,
    );
  }
  const parameters = parametersOf(input, `Input "${name}"`);
  if (parameters.shared_memory_region !== undefined) {
    throw invalid(`Input "${name}": shared memory is not offered here; send the data itself.`);
  }
  const binarySize = binarySizeOf(parameters.binary_data_size, name);
  if (binarySize !== undefined && input.data !== undefined) {
    throw invalid(`Input "${name}" has both data and binary_data_size; one of them would be right.`);
  }
  return { name, datatype, shape: shapeOf(input.shape, name), data: input.data, binarySize };
}

function binarySizeOf(size: unknown, name: string): number | undefined {
  if (size === undefined) return undefined;
  if (typeof size === "number" && Number.isSafeInteger(size) && size >= 0) return size;
  throw invalid(`Input "${name}": binary_data_size is ${described(size)}; a number of bytes would be right.`);
}

const maxDimensions = 16;

function shapeOf(shape: unknown, name: string): readonly number[] {
  const isDimension = (size: unknown) =>
    typeof size === "number" && Number.isInteger(size) && size >= 0 && size < 2 ** 31;
  if (Array.isArray(shape) && shape.length <= maxDimensions && shape.every(isDimension)) return shape;
  const sent = Array.isArray(shape) ? JSON.stringify(shape.slice(0, maxDimensions)) : described(shape);
  throw invalid(
    `Input "${name}": shape is ${sent}; a list of up to ${maxDimensions} sizes, each a whole number from 0, would be right.`,
  );
}

function outputsOf(list: unknown): { name: string; binary: boolean | undefined }[] | undefined {
  if (list === undefined || list === null) return undefined;
  if (!Array.isArray(list)) {
    throw invalid(`outputs is ${described(list)}; a list of {"name"} would be right.`, { field: "outputs" });
  }
  return list.map((entry: unknown, index) => {
    const output = objectOf(entry, `outputs[${index}]`);
    const { name } = output;
    if (typeof name !== "string") {
      throw invalid(`outputs[${index}].name is ${described(name)}; the name of an output would be right.`);
    }
    const {
      binary_data: binary,
      shared_memory_region,
      classification,
    } = parametersOf(output, `Output "${name}"`);
    if (shared_memory_region !== undefined || (classification !== undefined && classification !== 0)) {
      throw invalid(`Output "${name}": shared memory and classification are not offered here.`);
    }
    return { name, binary: typeof binary === "boolean" ? binary : undefined };
  });
}

function fieldText(parameters: JsonObject, inputs: readonly RawInput[], name: string): string | undefined {
  if (Object.hasOwn(parameters, name)) return scalarText(parameters[name]);
  let first = inputs.find((input) => input.name === name)?.data;
  while (Array.isArray(first)) first = first[0];
  return scalarText(first);
}

/** What a sticky key may be: text, a number or a truth value. */
export function scalarText(value: unknown): string | undefined {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean"
    ? String(value)
    : undefined;
}

function concatenated(chunks: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0));
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return whole;
}
