import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { call } from "../../support/application.ts";
import { listen, type MlflowGround, mlflowGround } from "../../support/mlflow.ts";
import { expectMlflowError } from "../../support/mlflow-errors.ts";

const store = "/api/2.0/mlflow-artifacts/artifacts";

describe("artifacts", () => {
  let ground: MlflowGround;
  let runId: string;
  let root: string;
  beforeAll(async () => {
    ground = await mlflowGround({ KETLINE_MAX_UPLOAD_BYTES: "100000" });
    const { run } = await ground.ask<{ run: { info: { run_id: string } } }>("POST", "/runs/create", {
      experiment_id: "0",
    });
    runId = run.info.run_id;
    root = `${store}/0/${runId}/artifacts`;
  });
  afterAll(() => ground?.close());

  const put = (path: string, content: string | Uint8Array) =>
    call(
      ground.app,
      "PUT",
      `${root}/${path}`,
      typeof content === "string" ? new TextEncoder().encode(content) : content,
    );
  const get = (path: string, headers = {}) => call(ground.app, "GET", `${root}/${path}`, undefined, headers);

  it("are files or folders, never both: what could not be downloaded again is refused", async () => {
    expect((await put("twist/a.txt", "file")).status).toBe(200);
    const under = await put("twist/a.txt/under/it.txt", "below");
    expectMlflowError(
      under,
      400,
      "INVALID_PARAMETER_VALUE",
      /a\.txt' is a file, and no file can lie in another/,
    );
    const over = await put("twist", "above");
    expectMlflowError(
      over,
      400,
      "INVALID_PARAMETER_VALUE",
      /it is a directory, in which '.*twist\/a\.txt' lies/,
    );
    expect((await put("twist/a.txt", "again")).status).toBe(200);
  });

  it("come back as they went, for download and nothing else", async () => {
    const answer = await put("notes/read%20me.txt", "hello");
    expect([answer.status, answer.body]).toEqual([200, {}]);
    expect(answer.headers.get("x-checksum-sha256")).toBe(
      "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
    );
    const read = await get("notes/read%20me.txt");
    expect([read.status, read.body]).toEqual([200, "hello"]);
    expect(read.headers.get("content-type")).toMatch(/^text\/plain/);
    expect(read.headers.get("x-content-type-options")).toBe("nosniff");
    expect(read.headers.get("content-disposition")).toBe('attachment; filename="read me.txt"');
    expect(read.headers.get("content-length")).toBe("5");
  });

  it("may be empty, and may be written over", async () => {
    await put("empty", "");
    expect((await get("empty")).body).toBe("");
    await put("again.txt", "one");
    await put("again.txt", "two");
    expect((await get("again.txt")).body).toBe("two");
  });

  it("bear names in any alphabet", async () => {
    await put(encodeURIComponent("naïve 航班.txt"), "x");
    const read = await get(encodeURIComponent("naïve 航班.txt"));
    expect(read.headers.get("content-disposition")).toBe(
      "attachment; filename=\"naive .txt\"; filename*=UTF-8''na%C3%AFve%20%E8%88%AA%E7%8F%AD.txt",
    );
  });

  it("come in ranges", async () => {
    await put("range.txt", "0123456789");
    for (const [range, status, body, contentRange] of [
      ["bytes=2-4", 206, "234", "bytes 2-4/10"],
      ["bytes=7-", 206, "789", "bytes 7-9/10"],
      ["bytes=-3", 206, "789", "bytes 7-9/10"],
      ["bytes=0-99", 206, "0123456789", "bytes 0-9/10"],
      ["bytes=10-", 416, "", "bytes */10"],
      ["bytes=4-2", 200, "0123456789", null],
      ["bytes=0-1,3-4", 200, "0123456789", null],
    ] as const) {
      const answer = await get("range.txt", { range });
      expect([answer.status, answer.body, answer.headers.get("content-range")]).toEqual([
        status,
        body,
        contentRange,
      ]);
    }
  });

  it("tell their size to HEAD without sending anything", async () => {
    await put("head.txt", "12345");
    const answer = await call(ground.app, "HEAD", `${root}/head.txt`);
    expect([answer.status, answer.body, answer.headers.get("content-length")]).toEqual([200, "", "5"]);
  });

  it("are listed by directory: of the store by name, of a run by path", async () => {
    await put("list/a.txt", "1");
    await put("list/b/c.txt", "22");
    const listed = await call(ground.app, "GET", `${store}?path=0/${runId}/artifacts/list`);
    expect(listed.body).toEqual({
      files: [
        { path: "a.txt", is_dir: false, file_size: 1 },
        { path: "b", is_dir: true },
      ],
    });
    expect(await ground.ask("GET", "/artifacts/list", { run_id: runId, path: "list" })).toEqual({
      root_uri: `mlflow-artifacts:/0/${runId}/artifacts`,
      files: [
        { path: "list/a.txt", is_dir: false, file_size: 1 },
        { path: "list/b", is_dir: true },
      ],
    });
    expect((await call(ground.app, "GET", `${store}?path=0/nothing`)).body).toEqual({});
    expect((await call(ground.app, "GET", `${store}?path=0/${runId}/artifacts/list/a.txt`)).body).toEqual({});
  });

  it("are all listed, however many lie in a directory", async () => {
    const names = Array.from({ length: 5003 }, (_, index) => `f${String(index).padStart(5, "0")}`);
    for (const name of names) await ground.blobs.put(`artifacts/many/${name}`, new Uint8Array(1));
    const listed = await call(ground.app, "GET", `${store}?path=many`);
    const { files } = listed.body as { files: { path: string }[] };
    expect(files.map(({ path }) => path)).toEqual(names);
  }, 120_000);

  it("are 404 when they are not there, and 400 for a directory", async () => {
    expectMlflowError(await get("nothing"), 404, "RESOURCE_DOES_NOT_EXIST", /no artifact/);
    await put("directory/file", "x");
    expectMlflowError(await get("directory"), 400, "INVALID_PARAMETER_VALUE", /directory, not a file/);
  });

  it("can be deleted, alone or with their directory; once more changes nothing", async () => {
    await put("gone/a", "1");
    await put("gone/b/c", "1");
    await put("gone2", "1");
    for (let twice = 0; twice < 2; twice++) {
      const answer = await call(ground.app, "DELETE", `${root}/gone`);
      expect([answer.status, answer.body]).toEqual([200, {}]);
    }
    expect((await get("gone/b/c")).status).toBe(404);
    expect((await get("gone2")).status).toBe(200);
  });

  it("do not grow past the limit, and leave nothing behind when they try", async () => {
    const stream = new ReadableStream<Uint8Array>({
      pull(controller) {
        controller.enqueue(new Uint8Array(60_000));
      },
    });
    expectMlflowError(await call(ground.app, "PUT", `${root}/big`, stream), 413, "INVALID_PARAMETER_VALUE");
    expect((await get("big")).status).toBe(404);
  });

  it.each([
    "..%2f..%2fketline.db",
    "%2e%2e%2fx",
    "%252e%252e%252fx",
    "a%2f..%2f..%2fb",
    "%2fetc%2fpasswd",
    "C:%5cx",
    "a%5c..%5cb",
    "a%23b",
  ])("never leave their root: %s", async (path) => {
    for (const method of ["GET", "PUT", "DELETE"]) {
      const answer = await call(
        ground.app,
        method,
        `${store}/${path}`,
        method === "PUT" ? new Uint8Array(1) : undefined,
      );
      expectMlflowError(answer, 400, "INVALID_PARAMETER_VALUE", /^Invalid path$/);
    }
    expectMlflowError(
      await call(ground.app, "GET", `${store}?path=${path}`),
      400,
      "INVALID_PARAMETER_VALUE",
      /^Invalid path$/,
    );
    expectMlflowError(
      await call(ground.app, "GET", `/api/2.0/mlflow/artifacts/list?run_id=${runId}&path=${path}`),
      400,
      "INVALID_PARAMETER_VALUE",
      /^Invalid path$/,
    );
  });

  it("are also at the address that MLflow's page uses", async () => {
    await put("page.html", "<script>");
    const answer = await call(ground.app, "GET", `/get-artifact?run_uuid=${runId}&path=page.html`);
    expect([answer.status, answer.body]).toEqual([200, "<script>"]);
    expect(answer.headers.get("content-disposition")).toMatch(/^attachment/);
  });

  it("have links straight to the store, and multipart uploads that clients fall back from", async () => {
    await put("linked.txt", "12345");
    const path = `0/${runId}/artifacts/linked.txt`;
    const link = await call(ground.app, "GET", `/api/2.0/mlflow-artifacts/presigned/${path}`);
    expect(link.body).toEqual({ url: expect.stringContaining("sig="), headers: {}, file_size: 5 });
  });

  it("of an experiment that keeps them elsewhere are not served here", async () => {
    const { experiment_id } = await ground.ask<{ experiment_id: string }>("POST", "/experiments/create", {
      name: "elsewhere",
      artifact_location: "s3://bucket",
    });
    const { run } = await ground.ask<{ run: { info: { run_id: string; artifact_uri: string } } }>(
      "POST",
      "/runs/create",
      { experiment_id },
    );
    expect(run.info.artifact_uri).toBe(`s3://bucket/${run.info.run_id}/artifacts`);
    expectMlflowError(
      await ground.send("GET", "/artifacts/list", { run_id: run.info.run_id }),
      400,
      "INVALID_PARAMETER_VALUE",
      /not kept by this server/,
    );
  });

  it("pass over a real socket at flat memory", async () => {
    const server = await listen(ground);
    try {
      const content = new Uint8Array(90_000).map((_, index) => index % 251);
      const address = `${server.url}${root}/socket.bin`;
      expect((await fetch(address, { method: "PUT", body: content })).status).toBe(200);
      const read = new Uint8Array(await (await fetch(address)).arrayBuffer());
      expect(Buffer.from(read).equals(Buffer.from(content))).toBe(true);
    } finally {
      await server.close();
    }
  });
});
