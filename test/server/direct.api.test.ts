import type { OutgoingHttpHeaders } from "node:http";
import { connect } from "node:net";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { RequestObservation } from "../../shared/http/index.ts";
import { type ServingGround, servingGround } from "../models/serving/ground.ts";
import { linearModel, oneHotModel } from "../models/serving/models.ts";
import { basic, bearer, testAdminToken } from "../support/tokens.ts";
import { openTwoWays, type Sent, type TwoWays } from "./two-ways.ts";

let ground: ServingGround;
let ways: TwoWays;
let observed: RequestObservation[];
const both = (sent: Sent) => ways.both(sent);

async function begin(env: Readonly<Record<string, string>>): Promise<void> {
  ground = await servingGround({ env, random: () => 0.25 });
  const { identity, logger, serving } = ground;
  observed = [];
  ways = await openTwoWays({
    routes: serving.routes,
    identity,
    logger,
    observe: (observation) => void observed.push(observation),
  });
  await ground.models.register("linear", { "model.onnx": linearModel([1, 2, 3]) });
  await ground.models.register("linear", { "model.onnx": linearModel([10, 20, 30]) });
  await ground.models.register("colours", { "model.onnx": oneHotModel(["red", "blue"]) });
  const variants = [
    { name: "old", model: "linear", version: "1", weight: 50 },
    { name: "new", model: "linear", version: "2", weight: 50 },
  ];
  const sticky = { by: "cookie", name: "customer" } as const;
  await ground.serving.changeDeployment(
    "split",
    { variants, sticky },
    { actor: ground.actor, reason: "to be asked" },
  );
}
const end = async () => {
  await ways.stop();
  await ground.close();
};

const json = { "content-type": "application/json" };
const infer = "/v2/models/linear/infer";
const row = (data: unknown = [1, 2, 3], shape: readonly number[] = [1, 3]) => ({
  inputs: [{ name: "X", shape, datatype: "FP32", data }],
});
const text = (value: unknown) => JSON.stringify(value);
const requestOf = (more: object = {}, headers: OutgoingHttpHeaders = {}): Sent => ({
  path: infer,
  headers: { ...json, ...headers },
  body: text({ id: "7", ...row(), ...more }),
});
/** @param padding spaces behind the JSON, which move the bytes behind it */
function binary(rows: number, padding = 0): Sent {
  const values = Float32Array.from({ length: 3 * rows }, (_, index) => index % 1000);
  const parameters = { binary_data_size: values.byteLength };
  const head = text({
    inputs: [{ name: "X", shape: [rows, 3], datatype: "FP32", parameters }],
    parameters: { binary_data_output: true },
  }).padEnd(200 + padding);
  return {
    path: infer,
    headers: {
      "content-type": "application/octet-stream",
      "inference-header-content-length": head.length,
    },
    body: Buffer.concat([Buffer.from(head), Buffer.from(values.buffer)]),
  };
}
const frame = text({ dataframe_split: { columns: ["a", "b", "c"], data: [[1, 2, 3]] } });

describe("without an identity", () => {
  beforeAll(() => begin({}));
  afterAll(end);

  const shorter: readonly [label: string, status: number, sent: Sent][] = [
    ["a row", 200, requestOf()],
    ["no id of its own", 200, { path: infer, headers: json, body: text(row()) }],
    ["a request id", 200, requestOf({}, { "x-request-id": "run-7:a.b" })],
    ["a request id that is none", 200, requestOf({}, { "x-request-id": 'a b"' })],
    ["a trace", 200, requestOf({}, { traceparent: `00-${"a".repeat(32)}-${"b".repeat(16)}-01` })],
    ["nested data", 200, requestOf(row([[1, 2, 3]]))],
    ["many rows", 200, requestOf(row(new Array(30_000).fill(0.5), [10_000, 3]))],
    ["a version", 200, { ...requestOf(), path: "/v2/models/linear/versions/1/infer" }],
    ["one output", 200, requestOf({ outputs: [{ name: "Y" }] })],
    ["bytes", 200, binary(1)],
    ...[0, 1, 2, 3, 4, 5, 6, 7].map((padding): [string, number, Sent] => [
      `many bytes behind a JSON of ${200 + padding}`,
      200,
      binary(30_000, padding),
    ]),
    ["a packed body", 200, { ...requestOf({}, { "content-encoding": "gzip" }), body: gzipSync(text(row())) }],
    [
      "text",
      200,
      {
        path: "/v2/models/colours/infer",
        headers: json,
        body: text({ inputs: [{ name: "colour", shape: [1, 1], datatype: "BYTES", data: ["réd"] }] }),
      },
    ],
    ["a query", 200, { ...requestOf(), path: `${infer}?a=b&c=d%20e` }],
    ["a deployment", 200, { ...requestOf(), path: "/v2/models/split/infer" }],
    [
      "a forced variant",
      200,
      { ...requestOf({}, { "ketline-variant": "new" }), path: "/v2/models/split/infer" },
    ],
    ["a cookie", 200, { ...requestOf({}, { cookie: "a=b; customer=42" }), path: "/v2/models/split/infer" }],
    [
      "a variant that is not there",
      400,
      { ...requestOf({}, { "ketline-variant": "gone" }), path: "/v2/models/split/infer" },
    ],
    ["what is not JSON", 400, { path: infer, headers: json, body: "{" }],
    ["what is not UTF-8", 400, { path: infer, headers: json, body: Buffer.from([0x22, 0xff, 0x22]) }],
    ["another shape", 400, requestOf(row([1, 2], [1, 2]))],
    ["another name", 400, requestOf({ inputs: [{ ...row().inputs[0], name: "Z" }] })],
    ["an output that is not there", 400, requestOf({ outputs: [{ name: "Z" }] })],
    ["a wrong length of the JSON", 400, requestOf({}, { "inference-header-content-length": "9999" })],
    ["a coding that is not offered", 400, requestOf({}, { "content-encoding": "br" })],
    ["an unknown model", 404, { ...requestOf(), path: "/v2/models/unknown/infer" }],
    ["an unknown version", 404, { ...requestOf(), path: "/v2/models/linear/versions/9/infer" }],
    ["what is no version", 400, { ...requestOf(), path: "/v2/models/linear/versions/x/infer" }],
    ["a frame", 200, { path: "/serving/linear/invocations", headers: json, body: frame }],
    ["a frame to a deployment", 200, { path: "/serving/split/invocations", headers: json, body: frame }],
    [
      "a table",
      200,
      {
        path: "/serving/linear/invocations",
        headers: { "content-type": "text/csv" },
        body: "a,b,c\n1,2,3\n",
      },
    ],
    ["a table that is none", 400, { path: "/serving/linear/invocations", headers: json, body: "[]" }],
    [
      "another content type",
      415,
      { path: "/serving/linear/invocations", headers: { "content-type": "text/xml" }, body: "<a/>" },
    ],
    ["no content type", 415, { path: "/serving/linear/invocations", body: frame }],
    ["the page of another host", 403, requestOf({}, { origin: "http://other.example" })],
    ["the name of another host", 403, requestOf({}, { host: "other.example" })],
  ];
  for (const [label, status, sent] of shorter) {
    it(`the shorter way answers ${label} as the usual one`, async () => {
      expect(await both(sent)).toMatchObject({ status, isShort: true });
    });
  }

  const longer: readonly [label: string, status: number, sent: Sent][] = [
    ["a body of unknown length", 200, { ...requestOf(), chunked: true }],
    ["no body", 400, { path: infer, headers: json }],
    ["a name that is written with percent signs", 200, { ...requestOf(), path: "/v2/models/lin%65ar/infer" }],
    ["a path with dots", 404, { ...requestOf(), path: "/v2/models/../infer" }],
    ["a path that ends in a slash", 404, { ...requestOf(), path: `${infer}/` }],
    ["another method", 405, { ...requestOf(), method: "PUT" }],
    ["another route", 200, { path: "/v2/repository/index", headers: json, body: "{}" }],
    ["a host in capitals", 200, requestOf({}, { host: "LOCALHOST" })],
    [
      "a header that comes twice",
      200,
      { ...requestOf(), headers: ["host", "localhost", "x-a", "1", "x-a", "2"] },
    ],
  ];
  for (const [label, status, sent] of longer) {
    it(`leaves ${label} to the usual way`, async () => {
      expect(await both(sent)).toMatchObject({ status, isShort: false });
    });
  }

  it("logs and observes alike", async () => {
    const marked = observed.length;
    await both({ ...requestOf({}, { "x-request-id": "the-same" }) });
    await both({ ...requestOf({}, { "x-request-id": "the-same" }), path: "/v2/models/unknown/infer" });
    const lines = ground.logged.filter(({ requestId }) => requestId === "the-same");
    const still = lines.map(({ durationMs: _, time: __, ...line }) => line);
    expect(still).toHaveLength(4);
    expect(still[0]).toEqual(still[1]);
    expect(still[2]).toEqual(still[3]);
    const marks = observed.slice(marked).map(({ durationMs: _, ...mark }) => mark);
    expect(marks[0]).toEqual(marks[1]);
    expect(marks[2]).toEqual(marks[3]);
  });

  it("goes on after a caller that leaves in the middle of a body", async () => {
    const socket = connect(Number(new URL(ways.shorterUrl).port), "127.0.0.1");
    socket.write(`POST ${infer} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5000\r\n\r\n{"inputs":`);
    const [came, seen] = [ways.shortened, observed.length];
    while (ways.shortened === came) await new Promise((resolve) => setImmediate(resolve));
    socket.destroy();
    while (observed.length === seen) await new Promise((resolve) => setImmediate(resolve));
    expect(observed.at(-1)).toMatchObject({ status: 503 });
    expect(await both(requestOf())).toMatchObject({ status: 200 });
  });
});

describe("with an identity", () => {
  beforeAll(() => begin({ KETLINE_ADMIN_TOKEN: testAdminToken }));
  afterAll(end);

  it("asks who calls, in the same words", async () => {
    expect(await both(requestOf())).toMatchObject({ status: 401, isShort: true });
    expect(await both(requestOf({}, bearer("wrong")))).toMatchObject({ status: 401, isShort: true });
    expect(await both(requestOf({}, { authorization: "Digest x" }))).toMatchObject({
      status: 401,
      isShort: true,
    });
    expect(await both(requestOf({}, bearer(testAdminToken)))).toMatchObject({ status: 200, isShort: true });
    expect(await both(requestOf({}, basic(testAdminToken)))).toMatchObject({ status: 200, isShort: true });
  });

  it("takes neither of two credentials", async () => {
    const good = `Bearer ${testAdminToken}`;
    const twice = ["host", "localhost", "authorization", good, "authorization", "Bearer wrong"];
    expect(await both({ ...requestOf(), headers: twice })).toMatchObject({ status: 401, isShort: false });
  });
});
