import { InferenceSession, Tensor } from "onnxruntime-node";

// What the model alone costs: the same runtime in a loop, with a tensor that is there already.

export interface RawRequest {
  readonly file: string;
  readonly rows: number;
  readonly features: number;
  readonly durationMs: number;
}

let loaded: { readonly file: string; readonly session: InferenceSession } | undefined;

process.on("message", async ({ file, rows, features, durationMs }: RawRequest) => {
  if (loaded?.file !== file) {
    const options = { intraOpNumThreads: 1, interOpNumThreads: 1 } as const;
    loaded = { file, session: await InferenceSession.create(file, options) };
  }
  const data = Float32Array.from({ length: rows * features }, (_, i) => (i % 97) / 97);
  const feeds = { X: new Tensor("float32", data, [rows, features]) };
  const durations: number[] = [];
  const cpuBefore = process.cpuUsage();
  const started = performance.now();
  for (let now = started; now < started + durationMs; ) {
    await loaded.session.run(feeds);
    const after = performance.now();
    durations.push(after - now);
    now = after;
  }
  const elapsedMs = performance.now() - started;
  const { user, system } = process.cpuUsage(cpuBefore);
  durations.sort((a, b) => a - b);
  const at = (p: number) => durations[Math.floor(p * durations.length)] ?? 0;
  process.send?.({
    measurement: {
      perSecond: (1000 * durations.length) / elapsedMs,
      cpuMicroseconds: (user + system) / durations.length,
      p50Ms: at(0.5),
      p99Ms: at(0.99),
    },
  });
});
