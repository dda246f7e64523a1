import pino from "pino";
import { describe, expect, it } from "vitest";
import { type CaptureRules, createCapture } from "../../../../models/monitoring/capture/capture.ts";
import { columnsOf, parseLine } from "../../../../models/monitoring/capture/captured.ts";
import type { Prediction } from "../../../../models/serving/index.ts";
import type { BlobStore } from "../../../../shared/blobs/index.ts";
import { column, prediction, texts } from "../predictions.ts";

const everything: CaptureRules = { sampleRate: 1, drop: [], hash: [] };

/** A capture over a store in memory that can be told to fail, with its timer in the test's hand. */
function captureWith(rules: CaptureRules | null | ((prediction: Prediction) => CaptureRules | null)) {
  const stored = new Map<string, string>();
  const timers: { work: () => void; delayMs: number }[] = [];
  const store = { failing: false };
  const put: BlobStore["put"] = async (key, body) => {
    if (store.failing) throw new Error("the store is away");
    stored.set(key, Buffer.from(body as Uint8Array).toString());
    return { key, sizeBytes: 0, sha256: "" };
  };
  const capture = createCapture({
    blobs: { put },
    logger: pino({ level: "silent" }),
    rulesOf: typeof rules === "function" ? rules : () => rules,
    hashKey: "key",
    codeVersion: "ketline-test",
    instance: "i1",
    later: (work, delayMs) => timers.push({ work, delayMs }),
  });
  const lines = () =>
    [...stored.values()].flatMap((text) => text.trim().split("\n")).map((line) => parseLine(line)!);
  return { capture, stored, timers, store, lines };
}

describe("captured predictions", () => {
  it("lie by deployment, model, version, day and hour, one JSON line each", async () => {
    const { capture, stored, lines } = captureWith(everything);
    capture.take(prediction());
    capture.take(prediction({ requestId: "request-2", modelVersion: "2", modelName: "näme of/model" }));
    capture.take(prediction({ requestId: "request-3", deployment: null, atMs: Date.UTC(2001, 3, 23, 8) }));
    capture.take(prediction({ requestId: "request-4", shadow: true }));
    await capture.flush();
    expect([...stored.keys()].sort()).toEqual([
      "capture/v1/deployment=_direct/model=late/version=1/dt=2001-04-23/hh=08/i1-000002.jsonl",
      "capture/v1/deployment=flights/model=late/version=1/dt=2001-04-23/hh=07/i1-000000.jsonl",
      "capture/v1/deployment=flights/model=n%C3%A4me%20of%2Fmodel/version=2/dt=2001-04-23/hh=07/i1-000001.jsonl",
      "capture/v1/shadow=flights/model=late/version=1/dt=2001-04-23/hh=07/i1-000003.jsonl",
    ]);
    expect(lines()[0]).toEqual({
      v: 1,
      code: "ketline-test",
      id: "request-1",
      atMs: Date.UTC(2001, 3, 23, 7, 30),
      revision: 1,
      variant: "main",
      status: "ok",
      durationMs: 4,
      rate: 1,
      rows: 1,
      inputs: {
        distance: { type: "FP64", shape: [1, 1], data: [500] },
        origin: { type: "BYTES", shape: [1], data: ["ATL"] },
      },
      outputs: { probability: { type: "FP64", shape: [1, 1], data: [0.25] } },
    });
  });

  it("hold the columns of all kinds of tensors, NaN and infinities too", async () => {
    const { capture, lines } = captureWith(everything);
    capture.take(
      prediction({
        inputs: {
          wide: {
            datatype: "FP32",
            shape: [2, 2],
            data: Float32Array.of(1, 2, Number.NaN, Number.POSITIVE_INFINITY),
          },
          whole: { datatype: "INT64", shape: [2], data: BigInt64Array.of(7n, -8n) },
          flag: { datatype: "BOOL", shape: [2, 1], data: Uint8Array.of(0, 1) },
          half: { datatype: "FP16", shape: [2], data: Uint16Array.of(0x3e00, 0xfc00) },
          image: { datatype: "UINT8", shape: [2, 3000], data: new Uint8Array(6000) },
          long: {
            datatype: "FP64",
            shape: [20],
            data: Float64Array.from({ length: 20 }, (_, i) => (i === 0 ? Number.NaN : i)),
          },
          scalar: { datatype: "FP32", shape: [], data: Float32Array.of(1) },
        },
        outputs: { label: texts(["yes", "no"]) },
      }),
    );
    await capture.flush();
    expect(Object.fromEntries(columnsOf(lines()[0]!))).toEqual({
      "wide[0]": [1, Number.NaN],
      "wide[1]": [2, Number.POSITIVE_INFINITY],
      whole: [7, -8],
      flag: [0, 1],
      half: [1.5, Number.NEGATIVE_INFINITY],
      scalar: [1],
      long: Array.from({ length: 20 }, (_, i) => (i === 0 ? Number.NaN : i)),
      "output:label": ["yes", "no"],
    });
  });

  it("keep a thousand rows of a large request, spread over it", async () => {
    const { capture, lines } = captureWith(everything);
    const values = Array.from({ length: 5000 }, (_, i) => i);
    capture.take(prediction({ inputs: { x: column(values) }, outputs: { y: column(values) } }));
    await capture.flush();
    expect(lines()[0]).toMatchObject({ rows: 5000 });
    const kept = columnsOf(lines()[0]!).get("x");
    expect(kept).toHaveLength(1000);
    expect(kept?.slice(0, 3)).toEqual([0, 5, 10]);
  });

  it("keep fewer rows where they are wide", async () => {
    const { capture, lines } = captureWith(everything);
    const data = Float32Array.from({ length: 1000 * 100 }, (_, i) => i);
    capture.take(prediction({ inputs: { X: { datatype: "FP32", shape: [1000, 100], data } } }));
    await capture.flush();
    const columns = columnsOf(lines()[0]!);
    expect(columns.get("X[99]")).toHaveLength(163); // 64 KiB of 400 bytes each
    expect(columns.get("X[99]")?.[1]).toBe(100 * Math.floor(1000 / 163) + 99);
  });

  it.each([
    ["INT64", BigInt64Array.from({ length: 20 }, (_, i) => BigInt(i) - 5n)],
    ["UINT64", BigUint64Array.from({ length: 20 }, (_, i) => BigInt(i))],
    ["INT32", Int32Array.from({ length: 20 }, (_, i) => -i)],
    ["UINT32", Uint32Array.from({ length: 20 }, (_, i) => i + 2 ** 31)],
    ["INT16", Int16Array.from({ length: 20 }, (_, i) => -i)],
    ["UINT16", Uint16Array.from({ length: 20 }, (_, i) => i)],
    ["INT8", Int8Array.from({ length: 20 }, (_, i) => -i)],
    ["UINT8", Uint8Array.from({ length: 20 }, (_, i) => i)],
    ["FP32", Float32Array.from({ length: 20 }, (_, i) => i / 3)],
  ] as const)("hold long tensors of %s as their bytes and give the numbers back", async (datatype, data) => {
    const { capture, lines } = captureWith(everything);
    capture.take(prediction({ inputs: { x: { datatype, shape: [20], data } } }));
    await capture.flush();
    expect(lines()[0]?.inputs.x?.base64).toBeDefined();
    expect(columnsOf(lines()[0]!).get("x")).toEqual(Array.from<number | bigint, number>(data, Number));
  });

  it("leave out dropped fields and keep a keyed hash of hashed ones", async () => {
    const { capture, lines } = captureWith({ sampleRate: 1, drop: ["distance"], hash: ["origin"] });
    capture.take(prediction());
    capture.take(prediction({ requestId: "request-2" }));
    await capture.flush();
    const [first, second] = lines();
    expect(Object.keys(first?.inputs ?? {})).toEqual(["origin"]);
    expect(first?.inputs.origin?.data?.[0]).toMatch(/^[0-9a-f]{16}$/);
    expect(second?.inputs.origin).toEqual(first?.inputs.origin);
  });
});

describe("the sample", () => {
  const requests = Array.from({ length: 4000 }, (_, i) => `request-${i}`);

  it("holds the asked share of requests, and the same ones on every instance", async () => {
    const rules = { ...everything, sampleRate: 0.25 };
    const [one, other] = [captureWith(rules), captureWith(rules)];
    for (const requestId of requests) one.capture.take(prediction({ requestId }));
    for (const requestId of requests.toReversed()) other.capture.take(prediction({ requestId }));
    await Promise.all([one.capture.flush(), other.capture.flush()]);
    const ids = (lines: { id: string }[]) => lines.map((line) => line.id).sort();
    expect(ids(one.lines())).toEqual(ids(other.lines()));
    // Four standard deviations of a binomial.
    expect(Math.abs(one.lines().length - 1000)).toBeLessThan(4 * Math.sqrt(4000 * 0.25 * 0.75));
  });

  it("always holds errors", async () => {
    const { capture, lines } = captureWith({ ...everything, sampleRate: 0 });
    capture.take(prediction());
    capture.take(prediction({ requestId: "bad", status: "error", errorKind: "timeout", outputs: {} }));
    await capture.flush();
    expect(lines().map(({ id, errorKind }) => [id, errorKind])).toEqual([["bad", "timeout"]]);
  });

  it("holds nothing where there are no rules", async () => {
    const { capture, stored } = captureWith(null);
    capture.take(prediction());
    await capture.flush();
    expect(stored.size).toBe(0);
    expect(capture.counts("flights")).toMatchObject({ seen: 1, skipped: 1 });
  });
});

describe("the buffer", () => {
  const wide = (requestId: string) => {
    const values = Array.from({ length: 1000 }, (_, i) => i + 0.123456789);
    return prediction({ requestId, inputs: { x: column(values) }, outputs: { y: column(values) } });
  };
  const sum = ({ seen, ...others }: Record<string, number>) => [
    seen,
    Object.values(others).reduce((total, count) => total + count, 0),
  ];

  it("is written a second after the first prediction, and at once when it holds half a megabyte", () => {
    const { capture, timers } = captureWith(everything);
    capture.take(prediction());
    capture.take(prediction({ requestId: "request-2" }));
    expect(timers.map((timer) => timer.delayMs)).toEqual([1000]);
    for (let i = 0; i < 40; i++) capture.take(wide(`wide-${i}`));
    expect(timers.map((timer) => timer.delayMs)).toEqual([1000, 0]);
  });

  it("accounts for every prediction when the store fails and comes back", async () => {
    const { capture, store, lines } = captureWith(everything);
    store.failing = true;
    for (let i = 0; i < 10; i++) capture.take(prediction({ requestId: `first-${i}` }));
    await capture.flush();
    for (let i = 0; i < 5; i++) capture.take(prediction({ requestId: `second-${i}` }));
    expect(capture.counts("flights")).toMatchObject({ captured: 0, buffered: 15 });
    store.failing = false;
    await capture.flush();
    expect(capture.counts("flights")).toMatchObject({ seen: 15, captured: 15, buffered: 0, failed: 0 });
    expect(new Set(lines().map((line) => line.id)).size).toBe(15);
  });

  it("gives up after five failures and counts what was lost", async () => {
    const { capture, store } = captureWith(everything);
    store.failing = true;
    for (let i = 0; i < 7; i++) capture.take(prediction({ requestId: `request-${i}` }));
    for (let attempt = 0; attempt < 5; attempt++) await capture.flush();
    expect(capture.counts("flights")).toMatchObject({ seen: 7, failed: 7, buffered: 0, captured: 0 });
  });

  it("drops and counts what does not fit into 16 MiB, and takes again once there is room", async () => {
    const { capture, store, lines } = captureWith(everything);
    store.failing = true;
    for (let i = 0; i < 1000; i++) capture.take(wide(`wide-${i}`));
    const { dropped, buffered, ...rest } = capture.counts("flights");
    expect(dropped).toBeGreaterThan(0);
    expect(sum({ ...rest, dropped, buffered })).toEqual([1000, 1000]);
    store.failing = false;
    await capture.flush();
    capture.take(prediction());
    await capture.flush();
    expect(lines()).toHaveLength(buffered + 1);
  });

  it("drops and counts a prediction that is too large by itself", () => {
    const { capture } = captureWith(everything);
    const long = "x".repeat(200);
    const columns = Object.fromEntries(
      Array.from({ length: 2000 }, (_, i) => [`column ${i}`, texts([long])]),
    );
    capture.take(prediction({ inputs: columns }));
    expect(capture.counts("flights")).toMatchObject({ seen: 1, dropped: 1, buffered: 0 });
  });

  it("never throws at the one who predicts", () => {
    const { capture } = captureWith(() => {
      throw new Error("rules are away");
    });
    capture.take(prediction());
    expect(capture.counts("flights")).toMatchObject({ seen: 1, dropped: 1 });
  });

  it("loses nothing between flushes that run at the same time", async () => {
    const { capture, lines } = captureWith(everything);
    const flushes: Promise<void>[] = [];
    for (let i = 0; i < 100; i++) {
      capture.take(prediction({ requestId: `request-${i}` }));
      if (i % 10 === 0) flushes.push(capture.flush());
    }
    await Promise.all([...flushes, capture.flush()]);
    expect(
      lines()
        .map((line) => line.id)
        .sort(),
    ).toHaveLength(100);
    expect(capture.counts("flights")).toMatchObject({ seen: 100, captured: 100, buffered: 0 });
  });
});

describe("a damaged line", () => {
  it.each(["", "{", "null", "[]", '{"v":2}', '{"v":1,"id":"a","atMs":1,"inputs":{"x":5},"outputs":{}}'])(
    "%s reads as null",
    (line) => {
      expect(parseLine(line)).toBeNull();
    },
  );
});
