import { createHash } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { call } from "../../support/application.ts";
import { type MlflowGround, mlflowGround } from "../../support/mlflow.ts";
import { expectMlflowError } from "../../support/mlflow-errors.ts";

const base = "/api/2.0/mlflow-artifacts";
const directory = "0/run/artifacts/models";

interface Begun {
  readonly upload_id: string;
  readonly credentials: readonly {
    readonly url: string;
    readonly part_number: number;
    readonly headers: object;
  }[];
}

interface Part {
  readonly part_number: number;
  readonly etag: string;
  readonly url: string;
}

describe("an artifact that is uploaded in parts", () => {
  let ground: MlflowGround;
  beforeEach(async () => {
    ground = await mlflowGround({ KETLINE_MAX_UPLOAD_BYTES: "1024" });
  });
  afterEach(() => ground?.close());

  const post = (step: string, body: object, at = directory) =>
    call(ground.app, "POST", `${base}/mpu/${step}/${at}`, body);
  const begin = async (num_parts: number, path = "/home/ann/weights.bin") => {
    const answer = await post("create", { path, num_parts });
    expect(answer.status, JSON.stringify(answer.body)).toBe(200);
    return answer.body as Begun;
  };
  const send = async ({ credentials }: Begun, contents: readonly string[]): Promise<Part[]> => {
    const parts: Part[] = [];
    for (const [index, { url, part_number }] of credentials.entries()) {
      const { status, headers } = await call(ground.app, "PUT", url, contents[index] ?? "");
      expect(status).toBe(201);
      parts.push({ part_number, etag: headers.get("etag") ?? "", url });
    }
    return parts;
  };
  const complete = (upload_id: string, parts: readonly Part[], path = "/home/ann/weights.bin") =>
    post("complete", { path, upload_id, parts });
  const download = (path = `${directory}/weights.bin`) =>
    call(ground.app, "GET", `${base}/artifacts/${path}`);
  const staged = async () => (await ground.blobs.list("uncommitted-blocks/")).blobs.length;

  it("is there when it is completed, and not before", async () => {
    const begun = await begin(3);
    expect(begun.credentials).toEqual(
      [1, 2, 3].map((part_number) => ({ part_number, headers: {}, url: expect.stringContaining("sig=") })),
    );
    const parts = await send(begun, ["one ", "two ", "three"]);
    expect((await download()).status).toBe(404);
    const answer = await complete(begun.upload_id, parts.toReversed());
    expect([answer.status, answer.body]).toEqual([200, {}]);
    expect((await download()).body).toBe("one two three");
    expect(await staged()).toBe(0);
  });

  it("bears the name that it has on the client's disk, whatever the client's system", async () => {
    const begun = await begin(1, String.raw`C:\Users\ann\plot é.png`);
    const parts = await send(begun, ["png"]);
    await complete(begun.upload_id, parts, String.raw`C:\Users\ann\plot é.png`);
    const read = await download(`${directory}/${encodeURIComponent("plot é.png")}`);
    expect([read.status, read.headers.get("content-type")]).toEqual([200, "image/png"]);
  });

  it("is sent through links that need no other credential, and that end", async () => {
    const begun = await begin(1);
    ground.clock.advance(61 * 60_000);
    const late = await call(ground.app, "PUT", begun.credentials[0]?.url ?? "", "x");
    expect(late.status).toBe(403);
    expectMlflowError(
      await complete(begun.upload_id, [{ part_number: 1, etag: "", url: "" }]),
      400,
      "INVALID_PARAMETER_VALUE",
      /expired at 2026-/,
    );
  });

  it("may take longer the more parts it has", async () => {
    const begun = await begin(240);
    ground.clock.advance(119 * 60_000);
    expect((await send({ ...begun, credentials: begun.credentials.slice(0, 1) }, ["x"])).length).toBe(1);
  });

  it("is completed once, and hears the same when it asks again", async () => {
    const begun = await begin(1);
    const parts = await send(begun, ["x"]);
    const answers = await Promise.all([1, 2, 3].map(() => complete(begun.upload_id, parts)));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect((await complete(begun.upload_id, parts)).status).toBe(200);
    expect((await download()).body).toBe("x");
  });

  it("is refused with the name of the part that is missing, and can be completed after it came", async () => {
    const begun = await begin(2);
    const [first] = await send({ ...begun, credentials: begun.credentials.slice(0, 1) }, ["1"]);
    const second = { part_number: 2, etag: "", url: "" };
    const refused = async (parts: readonly Part[], message: RegExp) =>
      expectMlflowError(await complete(begun.upload_id, parts), 400, "INVALID_PARAMETER_VALUE", message);
    await refused([first!], /Part 2 is missing/);
    await refused([second], /Part 1 is missing/);
    await refused([], /Part 1 is missing/);
    await refused([first!, first!, second], /Part 1 stands twice/);
    await refused([first!, second, { ...second, part_number: 3 }], /no part 3/);
    await refused([first!, second], /Part 2 of the upload has not arrived/);
    const [, sent] = await send(begun, ["1", "2"]);
    expect((await complete(begun.upload_id, [first!, sent!])).status).toBe(200);
    expect((await download()).body).toBe("12");
  });

  it("is refused when a part is not the one whose tag the client was given", async () => {
    const begun = await begin(1);
    const [part] = await send(begun, ["x"]);
    const etag = `"${createHash("sha256").update("y").digest("hex")}"`;
    expectMlflowError(
      await complete(begun.upload_id, [{ ...part!, etag }]),
      400,
      "INVALID_PARAMETER_VALUE",
      /Part 1 has the ETag/,
    );
    expect((await download()).status).toBe(404);
  });

  it("has no more bytes than an artifact may have", async () => {
    const begun = await begin(2);
    const parts = await send(begun, ["x".repeat(600), "x".repeat(600)]);
    expectMlflowError(await complete(begun.upload_id, parts), 413, "INVALID_PARAMETER_VALUE", /1024 bytes/);
    expect((await download()).status).toBe(404);
  });

  it("can be given up, once or twice, and leaves nothing behind", async () => {
    const begun = await begin(2);
    const parts = await send(begun, ["1", "2"]);
    expect(await staged()).toBe(2);
    const abort = () => post("abort", { path: "weights.bin", upload_id: begun.upload_id });
    for (let twice = 0; twice < 2; twice++) {
      const answer = await abort();
      expect([answer.status, answer.body]).toEqual([200, {}]);
    }
    expect(await staged()).toBe(0);
    expectMlflowError(await complete(begun.upload_id, parts), 400, "INVALID_PARAMETER_VALUE", /was aborted/);
  });

  it("is not given up any more when it is complete", async () => {
    const begun = await begin(1);
    await complete(begun.upload_id, await send(begun, ["x"]));
    expectMlflowError(
      await post("abort", { path: "weights.bin", upload_id: begun.upload_id }),
      400,
      "INVALID_PARAMETER_VALUE",
      /is complete/,
    );
    expect((await download()).body).toBe("x");
  });

  it("is swept when its time is over and nobody completed it", async () => {
    const [left, done] = [await begin(1), await begin(1, "done.bin")];
    await send(left, ["left"]);
    await complete(done.upload_id, await send(done, ["done"]), "done.bin");
    ground.clock.advance(2 * 3_600_000);
    const young = await begin(1, "young.bin");
    await send(young, ["young"]);
    await ground.tracking.timers.find(({ name }) => name === "tracking-uploads")?.run();
    expect(await staged()).toBe(1);
    expect((await download(`${directory}/done.bin`)).body).toBe("done");
    expectMlflowError(await complete(left.upload_id, []), 404, "RESOURCE_DOES_NOT_EXIST", /may have expired/);
    expect((await complete(young.upload_id, [], "young.bin")).status).toBe(400);
  });

  it.each([0, -1, 10_001, 1.5, "many"])("has no number of parts like %s", async (num_parts) => {
    expectMlflowError(
      await post("create", { path: "x", num_parts }),
      400,
      "INVALID_PARAMETER_VALUE",
      /num_parts/,
    );
  });

  it("is not begun without the path or the number of its parts", async () => {
    expectMlflowError(await post("create", { num_parts: 1 }), 400, "INVALID_PARAMETER_VALUE", /'path'/);
    expectMlflowError(await post("create", { path: "x" }), 400, "INVALID_PARAMETER_VALUE", /'num_parts'/);
  });

  it.each([
    ["..%2f..%2fetc", "x"],
    ["%252e%252e%252fetc", "x"],
    ["a", ".."],
    ["a", "x/.."],
    ["a", "x/"],
    ["a", "%2e%2e"],
    ["a", "..%2f..%2fx"],
  ])("does not leave the artifacts by %s and %s", async (at, path) => {
    expectMlflowError(
      await post("create", { path, num_parts: 1 }, at),
      400,
      "INVALID_PARAMETER_VALUE",
      "Invalid path",
    );
  });

  it("answers 404 for an upload that it does not know, and 400 for one of another artifact", async () => {
    for (const step of ["complete", "abort"]) {
      const body = { path: "weights.bin", upload_id: "nobody's", parts: [] };
      expectMlflowError(await post(step, body), 404, "RESOURCE_DOES_NOT_EXIST", /no upload 'nobody's'/);
    }
    const { upload_id } = await begin(1);
    const other = { path: "other.bin", upload_id, parts: [] };
    expectMlflowError(await post("complete", other), 400, "INVALID_PARAMETER_VALUE", /another artifact/);
    expectMlflowError(await post("abort", other), 400, "INVALID_PARAMETER_VALUE", /another artifact/);
  });

  it("is announced only where links lead past this server", async () => {
    const { body } = await call(ground.app, "GET", "/api/3.0/mlflow/server-info");
    expect(body).toMatchObject({ multipart_uploads_enabled: false, multipart_downloads_enabled: false });
  });
});
