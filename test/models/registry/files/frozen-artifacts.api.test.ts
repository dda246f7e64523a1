import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createRegistry, type Registry, registryMigrations } from "../../../../models/registry/index.ts";
import { createTracking, trackingMigrations } from "../../../../models/tracking/index.ts";
import { createBlobEndpoint, createBlobLinks } from "../../../../shared/blobs/index.ts";
import { call, type TestApplication, testGround, testSigningKey } from "../../../support/application.ts";
import { bearer, createTokenFor, testAdminToken } from "../../../support/tokens.ts";

const artifacts = "/api/2.0/mlflow-artifacts/artifacts";
const baseUrl = "http://ketline.test";

describe("the files of a registered version", () => {
  let ground: TestApplication;
  let registry: Registry;
  let contributor: Record<string, string>;
  let folder: string;

  beforeEach(async () => {
    ground = await testGround({
      env: { KETLINE_ADMIN_TOKEN: testAdminToken },
      migrations: [...trackingMigrations, ...registryMigrations],
      capabilities(base) {
        const refuseFrozen = (key: string, change: "write" | "delete") => registry.refuseFrozen(key, change);
        const tracking = createTracking({ ...base, refuseFrozen });
        registry = createRegistry({ ...base, tracking });
        const links = createBlobLinks({ signingKey: testSigningKey, clock: base.clock });
        const endpoint = createBlobEndpoint({
          store: base.blobs,
          links,
          clock: base.clock,
          maxUploadBytes: 1000,
          refuseFrozen,
        });
        return [tracking, registry, endpoint];
      },
    });
    contributor = bearer(await createTokenFor(ground.app, "contributor"));
    const run = await ask("POST", "/runs/create", { experiment_id: "0" });
    const { run_id, artifact_uri } = (run as { run: { info: { run_id: string; artifact_uri: string } } }).run
      .info;
    folder = `${artifact_uri.replace("mlflow-artifacts:/", "")}/model`;
    for (const name of ["model.onnx", "a%b.txt"]) {
      expect((await send("PUT", `${folder}/${encodeURIComponent(name)}`)).status).toBe(200);
    }
    await ask("POST", "/registered-models/create", { name: "late" });
    await ask("POST", "/model-versions/create", { name: "late", source: `runs:/${run_id}/model`, run_id });
  });
  afterEach(() => ground?.close());

  const ask = async (method: string, path: string, fields: object) => {
    const answer = await call(ground.app, method, `/api/2.0/mlflow${path}`, fields, bearer(testAdminToken));
    expect(answer.status, JSON.stringify(answer.body)).toBe(200);
    return answer.body;
  };
  const send = (method: string, path: string) =>
    call(ground.app, method, `${artifacts}/${path}`, method === "PUT" ? "other" : undefined, contributor);
  const parentOf = (path: string) => path.slice(0, path.lastIndexOf("/"));
  const stored = async () =>
    (await ground.blobs.list(`artifacts/${folder}/`)).blobs.map(({ key, sizeBytes }) => [key, sizeBytes]);

  it.each<[string, string, (folder: string) => string]>([
    ["overwritten", "PUT", (at) => `${at}/model.onnx`],
    ["added to", "PUT", (at) => `${at}/new/file.txt`],
    ["replaced by a file", "PUT", (at) => at],
    ["overwritten through doubled slashes", "PUT", (at) => `${at.replaceAll("/", "//")}/model.onnx`],
    ["overwritten through dots", "PUT", (at) => `${at}/%2e/model.onnx`],
    ["overwritten through an encoded name", "PUT", (at) => `${at}/%6dodel.onnx`],
    ["deleted one by one", "DELETE", (at) => `${at}/model.onnx`],
    ["deleted as a folder", "DELETE", (at) => at],
    ["deleted as a folder with a slash", "DELETE", (at) => `${at}/`],
    ["deleted with the folder above", "DELETE", (at) => parentOf(at)],
    ["deleted with the run's folder", "DELETE", (at) => parentOf(parentOf(at))],
  ])("cannot be %s", async (_, method, pathOf) => {
    const before = await stored();
    const answer = await send(method, pathOf(folder));
    expect(answer.status, JSON.stringify(answer.body)).toBe(409);
    expect(JSON.stringify(answer.body)).toContain("version 1 of the registered model 'late'");
    expect(await stored()).toEqual(before);
  });

  it("cannot be overwritten by an upload in parts", async () => {
    const begin = await call(
      ground.app,
      "POST",
      `/api/2.0/mlflow-artifacts/mpu/create/${folder}`,
      { path: "model.onnx", num_parts: 1 },
      contributor,
    );
    expect(begin.status, JSON.stringify(begin.body)).toBe(409);
  });

  it("cannot be overwritten by a signed link", async () => {
    const key = `artifacts/${folder}/model.onnx`;
    const url = await ground.blobs.signedUrl(key, { method: "PUT", expiresInMs: 60_000, baseUrl });
    for (const more of ["", "&comp=blocklist"]) {
      const body = more === "" ? "other" : "<BlockList></BlockList>";
      const answer = await ground.app.request(url + more, { method: "PUT", body });
      expect(answer.status).toBe(409);
      expect(await answer.text()).toContain("registered model 'late'");
    }
  });

  it("cannot be overwritten by an upload that began before the registration and ends after it", async () => {
    const other = `${parentOf(folder)}/slow`;
    let finish = () => {};
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(new TextEncoder().encode("late bytes"));
        finish = () => controller.close();
      },
    });
    const answer = Promise.resolve(
      ground.app.request(`${baseUrl}${artifacts}/${other}/model.onnx`, {
        method: "PUT",
        body,
        duplex: "half",
        headers: contributor,
      } as RequestInit),
    );
    await ask("POST", "/model-versions/create", { name: "late", source: `mlflow-artifacts:/${other}` });
    finish();
    expect((await answer).status).toBe(409);
    expect(await ground.blobs.stat(`artifacts/${other}/model.onnx`)).toBeNull();
  });

  it("leave files beside them, and folders of a similar name, as they were", async () => {
    for (const path of [`${folder}2/x`, `${parentOf(folder)}/other`]) {
      expect((await send("PUT", path)).status).toBe(200);
      expect((await send("DELETE", path)).status).toBe(200);
    }
  });

  it("can be deleted once an operator has deleted the version", async () => {
    await ask("DELETE", "/model-versions/delete", { name: "late", version: "1" });
    expect((await send("DELETE", folder)).status).toBe(200);
    expect(await stored()).toEqual([]);
  });

  it("do not close a whole experiment, or everything", async () => {
    for (const source of ["mlflow-artifacts:/", `mlflow-artifacts:/${folder.split("/")[0]}`]) {
      await ask("POST", "/model-versions/create", { name: "late", source });
    }
    expect((await send("PUT", `${parentOf(folder)}/other`)).status).toBe(200);
  });
});
