import path from "node:path";
import type { InferenceSession, Tensor as OnnxTensor } from "onnxruntime-node";
import { insufficient, invalid, unsupported } from "../../../shared/errors.ts";
import { localeProbe } from "../repository/locales.ts";
import type { InterfaceHints } from "../repository/model.ts";
import {
  dimensionName,
  type ModelSignature,
  type TensorSpec,
  type UnservedValue,
} from "../tensors/signature.ts";
import {
  datatypeOfOnnx,
  elementType,
  type Tensor,
  type TensorData,
  type Tensors,
} from "../tensors/tensors.ts";

export interface OnnxSession {
  readonly signature: ModelSignature;
  /**
   * Computes the named outputs. Blocks this thread while ONNX Runtime works (onnxruntime #19611).
   *
   * @returns the outputs, and how long the runtime worked, without waiting for its turn
   * @throws invalid when the model refuses the inputs; insufficient when it needs more memory than it may take
   */
  run(inputs: Tensors, outputs: readonly string[]): Promise<{ outputs: Tensors; runMs: number }>;
  release(): Promise<void>;
}

/**
 * Loads a model into ONNX Runtime, by its path, so that external data is read from the model's own folder and nowhere
 * else. One thread: more cost twice the processor time on the small models that are served here (facts in
 * `bench/README.md`), and other requests want the other processors.
 *
 * @throws invalid for a file that ONNX Runtime does not take
 */
export async function openOnnxSession(file: string, hints: InterfaceHints): Promise<OnnxSession> {
  const runtime = await loadRuntime();
  const session = await createSession(runtime, file);
  const signature = signatureOf(session, hints);
  const fed = ({ datatype, data, shape }: Tensor): OnnxTensor =>
    new runtime.Tensor(elementType(datatype).onnxName as "float32", data as Float32Array, shape);
  const defaults: Record<string, OnnxTensor> = Object.create(null);
  for (const [name, tensor] of Object.entries(hints.defaults)) defaults[name] = fed(tensor);
  return {
    signature,
    async run(inputs, outputs) {
      const feeds: Record<string, OnnxTensor> = Object.create(null);
      for (const name in defaults) if (inputs[name] === undefined) feeds[name] = defaults[name] as OnnxTensor;
      for (const name in inputs) {
        const tensor = inputs[name];
        if (tensor !== undefined) feeds[name] = fed(tensor);
      }
      // The runtime works in an immediate of its own: one queued just before it tells when its turn came.
      let startedMs = 0;
      setImmediate(() => {
        startedMs = performance.now();
      });
      const results = await session.run(feeds, outputs).catch((error: unknown) => {
        throw refusal(error);
      });
      return { runMs: performance.now() - startedMs, outputs: tensorsOf(results, outputs) };
    },
    release: () => session.release(),
  };
}

type Runtime = typeof import("onnxruntime-node");

/** Imported at the first use: it is 46 MB. @throws unsupported where there is none for this machine */
export async function loadRuntime(): Promise<Runtime> {
  try {
    return await import("onnxruntime-node");
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw unsupported(`ONNX Runtime does not load on ${process.platform}-${process.arch}: ${reason}`);
  }
}

async function createSession(runtime: Runtime, file: string): Promise<InferenceSession> {
  try {
    return await runtime.InferenceSession.create(file, sessionOptions);
  } catch (error) {
    if (isMemory(messageOf(error))) throw insufficient("It needs more memory to load than models may take.");
    throw invalid(`ONNX Runtime does not load the model: ${loadFailure(error, file)}`);
  }
}

const sessionOptions: InferenceSession.SessionOptions = {
  executionProviders: ["cpu"],
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  executionMode: "sequential",
  graphOptimizationLevel: "all",
  logSeverityLevel: 4,
};

/** Whether StringNormalizer finds a locale on this machine; undefined is the operator's own default. */
export async function hasLocale(locale: string | undefined): Promise<boolean> {
  const { InferenceSession } = await loadRuntime();
  try {
    const session = await InferenceSession.create(localeProbe(locale), sessionOptions);
    await session.release();
    return true;
  } catch {
    return false;
  }
}

function signatureOf(
  session: InferenceSession,
  { unranked, defaults, unserved }: InterfaceHints,
): ModelSignature {
  const open = new Set(unranked);
  const specOf = (meta: InferenceSession.ValueMetadata): TensorSpec | string => {
    const datatype = meta.isTensor ? datatypeOfOnnx(meta.type) : undefined;
    if (!meta.isTensor || datatype === undefined) return meta.isTensor ? meta.type : "no tensor";
    const { name, shape } = meta;
    return {
      name,
      datatype,
      shape: open.has(name) ? null : shape.map((size) => (typeof size === "number" ? size : -1)),
      dimensionNames: shape.map((size) => (typeof size === "number" ? "" : dimensionName(size))),
      ...(Object.hasOwn(defaults, name) ? { optional: true } : {}),
    };
  };
  const inputs = session.inputMetadata.map((meta) => {
    const spec = specOf(meta);
    if (typeof spec !== "string") return spec;
    throw invalid(`Input "${meta.name}" of the model is ${spec}, which cannot be sent to it.`);
  });
  const outputs: TensorSpec[] = [];
  const others: UnservedValue[] = [];
  for (const meta of session.outputMetadata) {
    const spec = specOf(meta);
    if (typeof spec !== "string") outputs.push(spec);
    else others.push({ kind: "output", name: meta.name, type: spec });
  }
  if (outputs.length === 0)
    throw invalid("The model has no output that is a tensor of a type that is served.");
  return { inputs, outputs, unserved: [...unserved, ...others] };
}

function tensorsOf(results: InferenceSession.ReturnType, names: readonly string[]): Tensors {
  const tensors: Record<string, Tensor> = Object.create(null);
  for (const name of names) {
    const result = results[name];
    if (result === undefined) continue;
    const datatype = datatypeOfOnnx(result.type);
    if (datatype === undefined)
      throw invalid(`Output "${name}" is of type ${result.type}, which has no name here.`);
    tensors[name] = { datatype, shape: result.dims, data: result.data as TensorData };
  }
  return tensors;
}

function isMemory(message: string): boolean {
  return /bad_alloc|allocate memory|out of memory|allocation failed|length_error/i.test(message);
}

/** What went wrong after the inputs were found right: almost always values that the graph cannot work with. */
function refusal(error: unknown) {
  const message = messageOf(error);
  if (isMemory(message)) {
    return insufficient(`The model needs more memory for these inputs than models may take: ${message}`);
  }
  return invalid(`The model refused these inputs: ${message}`);
}

/** Words of the runtime, without the places of its source and of our files: they are nobody's business. */
function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text
    .replace(sourcePlace, "")
    .replace(/\[ONNXRuntimeError\] : \d+ : \w+ : /g, "")
    .replace(/\s+/g, " ")
    .trim()
    .slice(0, 500);
}

/** `/onnxruntime_src/…/model.cc:202 onnxruntime::Model::Model(onnx::ModelProto&&, …) `, or `utils.cc:12 Validate `. */
const sourcePlace =
  /\/onnxruntime_src\/\S+:\d+ [^()\n]*\((?:[^()]|\([^()]*\))*\)(?:::<lambda\([^()]*\)>)?(?: const)? ?|\b[\w-]+\.(?:cc|h|cpp|hpp):\d+ \S+ /g;

function loadFailure(error: unknown, file: string): string {
  const text = error instanceof Error ? error.message : String(error);
  const withoutFile = text
    .replace(`Load model from ${file} failed:`, "")
    .replaceAll(file, path.basename(file))
    .replaceAll(path.dirname(file) + path.sep, "")
    .replaceAll(path.dirname(file), "its folder");
  const code = /^Unsupported data type: (\d+)$/.exec(withoutFile)?.[1];
  if (code === undefined) return messageOf(withoutFile);
  // The binding counts as the runtime does, not as the files: ONNXTensorElementDataType.
  return "one of its inputs or outputs is of a type that the binding for Node.js has none for (such as bfloat16).";
}
