import type { InferenceSession, Tensor as OnnxTensor } from "onnxruntime-node";
import { invalid, tooLarge, unsupported } from "../../shared/errors.ts";
import type { ModelSignature, TensorSpec } from "./signature.ts";
import { datatypeOfOnnx, elementType, type Tensor, type TensorData, type Tensors } from "./tensors.ts";

export interface OnnxSession {
  readonly signature: ModelSignature;
  /**
   * Computes the named outputs. Blocks this thread while ONNX Runtime works (onnxruntime #19611).
   *
   * @returns the outputs, and how long the runtime worked, without waiting for its turn
   * @throws invalid when the model refuses the inputs; tooLarge when it would need more memory than there is
   */
  run(inputs: Tensors, outputs: readonly string[]): Promise<{ outputs: Tensors; runMs: number }>;
  release(): Promise<void>;
}

/**
 * Loads a model into ONNX Runtime, by its path, so that external data is read from the model's own folder and nowhere
 * else. One thread: more cost twice the processor time on the small models that are served here (facts in
 * `bench/README.md`), and other requests want the other processors.
 *
 * @param unranked names of inputs and outputs whose number of dimensions the model leaves open
 * @throws invalid for a file that ONNX Runtime does not take
 */
export async function openOnnxSession(file: string, unranked: ReadonlySet<string>): Promise<OnnxSession> {
  const runtime = await loadRuntime();
  const session = await createSession(runtime, file);
  const signature = signatureOf(session, unranked);
  return {
    signature,
    async run(inputs, outputs) {
      const feeds: Record<string, OnnxTensor> = Object.create(null);
      for (const name in inputs) {
        const tensor = inputs[name];
        if (tensor === undefined) continue;
        feeds[name] = new runtime.Tensor(
          elementType(tensor.datatype).onnxName as "float32",
          tensor.data as Float32Array,
          tensor.shape,
        );
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
    return await runtime.InferenceSession.create(file, {
      executionProviders: ["cpu"],
      intraOpNumThreads: 1,
      interOpNumThreads: 1,
      executionMode: "sequential",
      graphOptimizationLevel: "all",
      logSeverityLevel: 4,
    });
  } catch (error) {
    throw invalid(`ONNX Runtime does not load the model: ${messageOf(error)}`);
  }
}

function signatureOf(session: InferenceSession, unranked: ReadonlySet<string>): ModelSignature {
  const inputs = session.inputMetadata.map((meta) => {
    if (meta.isTensor) return specOf(meta, unranked);
    throw invalid(`Input "${meta.name}" of the model is not a tensor; only tensors can be sent to it.`);
  });
  // Sequences and maps cannot be fetched through the binding (onnxruntime #8007); the other outputs can.
  const outputs = session.outputMetadata
    .filter((meta) => meta.isTensor)
    .map((meta) => specOf(meta, unranked));
  if (outputs.length === 0) throw invalid("The model has no output that is a tensor.");
  return { inputs, outputs };
}

function specOf(meta: InferenceSession.TensorValueMetadata, unranked: ReadonlySet<string>): TensorSpec {
  const datatype = datatypeOfOnnx(meta.type);
  if (datatype === undefined) {
    throw invalid(
      `"${meta.name}" is of type ${meta.type}, which the Open Inference Protocol has no name for.`,
    );
  }
  const open = unranked.has(meta.name);
  return {
    name: meta.name,
    datatype,
    shape: open ? null : meta.shape.map((size) => (typeof size === "number" ? size : -1)),
    dimensionNames: meta.shape.map((size) => (typeof size === "number" ? "" : size)),
  };
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

/** What went wrong after the inputs were found right: almost always values that the graph cannot work with. */
function refusal(error: unknown) {
  const message = messageOf(error);
  if (/bad_alloc|allocate memory|out of memory/i.test(message)) {
    return tooLarge(`The model needs more memory for these inputs than there is: ${message}`);
  }
  return invalid(`The model refused these inputs: ${message}`);
}

function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/\s+/g, " ").trim().slice(0, 500);
}
