import { readFile } from "node:fs/promises";
import path from "node:path";
import { readScoringRequest } from "../protocols/scoring.ts";
import type { ModelDescription } from "../repository/model.ts";
import { requiredInputs } from "../tensors/signature.ts";
import { elementCount, elementType, type Tensor, type Tensors } from "../tensors/tensors.ts";
import type { OnnxSession } from "./onnx-session.ts";

/**
 * Runs a model once before its first request, so that the request does not pay for what a runtime does once. With the
 * example that MLflow logged beside it (`serving_input_example.json`), else with one row of zeros or empty texts. A
 * model may refuse zeros and be good all the same, so what goes wrong here is passed over.
 */
export async function warmUp(
  session: OnnxSession,
  description: ModelDescription,
  directory: string,
): Promise<void> {
  try {
    const inputs = (await loggedExample(directory, description)) ?? zeros(description);
    await session.run(
      inputs,
      description.signature.outputs.map(({ name }) => name),
    );
  } catch {
    // The first request tells its sender.
  }
}

async function loggedExample(directory: string, description: ModelDescription): Promise<Tensors | null> {
  const bytes = await readFile(path.join(directory, "serving_input_example.json")).catch(() => null);
  if (bytes === null || bytes.byteLength > 1024 ** 2) return null;
  return readScoringRequest(bytes, "application/json").decode(description);
}

/** A model that wants more at once has to do without. */
const maxWarmUpElements = 2 ** 22;

function zeros({ signature }: ModelDescription): Tensors {
  const tensors: Record<string, Tensor> = Object.create(null);
  for (const { name, datatype, shape } of requiredInputs(signature)) {
    const filled = (shape ?? [1]).map((size) => (size < 0 ? 1 : size));
    if (elementCount(filled) > maxWarmUpElements)
      throw new RangeError(`Input "${name}" is too large to warm up.`);
    tensors[name] = { datatype, shape: filled, data: elementType(datatype).create(elementCount(filled)) };
  }
  return tensors;
}
