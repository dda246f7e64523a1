import { parseArgs } from "node:util";
import type { ModelSource } from "../../models/serving/repository/model-source.ts";
import {
  createSessions,
  defaultSessionLimits,
  type Sessions,
} from "../../models/serving/runtime/sessions.ts";
import type { Tensors } from "../../models/serving/tensors/tensors.ts";
import { openBlobStore } from "../../shared/blobs/index.ts";
import { systemClock } from "../../shared/clock.ts";
import { encodeModel } from "../../shared/onnx/index.ts";
import { linearModel } from "../../test/models/serving/models.ts";
import { temporaryDirectory } from "../../test/support/temporary-directory.ts";

// npm run bench -- model-hosts [--rounds 9] [--seconds 0.5]
// What a prediction costs in a process of its own, held against the same in the server's: without HTTP and JSON, one
// request at a time and 64 at a time, for one row and for 256 rows of 20 numbers. The two take turns within each round;
// the ratio is the median over the rounds.

const { values } = parseArgs({
  options: { rounds: { type: "string", default: "9" }, seconds: { type: "string", default: "0.5" } },
});
const columns = 20;
const directory = await temporaryDirectory();
const blobs = await openBlobStore(
  { kind: "file", directory: `${directory.path}/blobs` },
  { signingKey: "no links are signed here", clock: systemClock },
);
await blobs.put("model/model.onnx", encodeModel(linearModel(new Array(columns).fill(0.5))));
const version = { name: "linear", version: 1, storageLocation: "bench" };
const models: Pick<ModelSource, "artifactPrefix" | "manifest"> = {
  artifactPrefix: async () => "model",
  manifest: async () => null,
};

const sessionsWith = (place: string, afterRuns: number): Sessions =>
  createSessions({
    blobs,
    models,
    directory: `${directory.path}/${place}`,
    clock: systemClock,
    logger: { error: console.error },
    limits: {
      ...defaultSessionLimits,
      hosts: 1,
      inlineRule: { ...defaultSessionLimits.inlineRule, afterRuns, maxLoadMs: 10_000 },
    },
  });
const inline = sessionsWith("inline", 3);
const hosted = sessionsWith("hosted", Number.POSITIVE_INFINITY);

async function perSecond(sessions: Sessions, inputs: Tensors, inFlight: number): Promise<number> {
  const endMs = performance.now() + 1000 * Number(values.seconds);
  let count = 0;
  await sessions.withModel(version, 60_000, (model) =>
    Promise.all(
      Array.from({ length: inFlight }, async () => {
        while (performance.now() < endMs) {
          await model.run(inputs, ["Y"], { timeoutMs: 60_000, budgetMs: 60_000 });
          count++;
        }
      }),
    ),
  );
  return count / Number(values.seconds);
}

for (const rows of [1, 256]) {
  const data = new Float32Array(rows * columns).fill(1);
  const inputs: Tensors = { X: { datatype: "FP32", shape: [rows, columns], data } };
  for (const sessions of [inline, hosted]) await perSecond(sessions, inputs, 8);
  for (const inFlight of [1, 64]) {
    const rounds: { inline: number; hosted: number }[] = [];
    for (let round = 0; round < Number(values.rounds); round++) {
      rounds.push({
        inline: await perSecond(inline, inputs, inFlight),
        hosted: await perSecond(hosted, inputs, inFlight),
      });
    }
    const ratio = median(rounds.map((round) => round.hosted / round.inline));
    console.log(
      `${rows} x ${columns}, ${inFlight} at a time: inline ${Math.round(median(rounds.map((round) => round.inline)))}/s, ` +
        `in a process ${Math.round(median(rounds.map((round) => round.hosted)))}/s, ratio ${ratio.toFixed(2)}`,
    );
  }
}
await inline.close();
await hosted.close();
await directory.remove();

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;
}
