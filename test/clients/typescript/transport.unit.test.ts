import { describe, expect, it } from "vitest";
import {
  createMlflowClient,
  isMlflowError,
  type MlflowClientOptions,
} from "../../../clients/mlflow/index.ts";

/** A client whose server answers from a list, and what was asked of it. */
function scripted(
  answers: readonly (() => Response | Promise<Response>)[],
  options: Partial<MlflowClientOptions> = {},
) {
  const asked: Request[] = [];
  const waits: number[] = [];
  const client = createMlflowClient({
    url: "http://mlflow.test/base/",
    random: () => 1,
    wait: async (delayMs) => {
      waits.push(delayMs);
    },
    fetch: async (input, init) => {
      const answer = answers[asked.length];
      asked.push(new Request(input, init));
      if (answer === undefined) throw new Error("One call too many.");
      return answer();
    },
    ...options,
  });
  return { client, asked, waits };
}

const json =
  (body: unknown, status = 200, headers = {}) =>
  () =>
    Response.json(body, { status, headers });
const experiment = { experiment: { experiment_id: 7, name: "x", unknown_member: true } };
const azureUrl =
  "azureml://westeurope.api.azureml.ms/mlflow/v1.0/subscriptions/s/resourceGroups/r/providers/Microsoft.MachineLearningServices/workspaces/w";

describe("a call", () => {
  it("goes below the base path, and its answer is read tolerantly", async () => {
    const { client, asked } = scripted([json(experiment)]);
    const found = await client.experiments.get("7");
    expect(asked[0]?.url).toBe("http://mlflow.test/base/api/2.0/mlflow/experiments/get?experiment_id=7");
    expect(found).toMatchObject({ experiment_id: "7", tags: [], unknown_member: true });
  });

  it.each([
    ["a token", { token: "secret" }, "Bearer secret"],
    ["a user and a password", { username: "ada", password: "pä" }, "Basic YWRhOnDDpA=="],
    ["a function", async () => "fresh", "Bearer fresh"],
  ])("is authorised by %s", async (_, auth, header) => {
    const { client, asked } = scripted([json(experiment)], { auth });
    await client.experiments.get("7");
    expect(asked[0]?.headers.get("authorization")).toBe(header);
  });

  it("reads int64 as text or number, and NaN as text", async () => {
    const metrics = [
      { key: "a", value: "NaN", timestamp: "1700000000000", step: "3" },
      { key: "a", value: "-Infinity", timestamp: 5, step: 0 },
    ];
    const { client, asked } = scripted([json({ metrics })]);
    const page = await client.runs.metricHistoryPage("r", "a");
    expect(page.items).toEqual([
      { key: "a", value: Number.NaN, timestamp: 1_700_000_000_000, step: 3 },
      { key: "a", value: Number.NEGATIVE_INFINITY, timestamp: 5, step: 0 },
    ]);
    expect(new URL(asked[0]?.url ?? "").searchParams.get("max_results")).toBe("25000");
  });

  it("says NaN and infinities as text", async () => {
    const { client, asked } = scripted([json({})]);
    await client.runs.logMetric("r", { key: "a", value: Number.NaN, timestamp: 1 });
    expect(await asked[0]?.json()).toMatchObject({ value: "NaN" });
  });
});

describe("a call that fails", () => {
  it.each([429, 502, 503, 504])("is tried again after %d", async (status) => {
    const { client, waits } = scripted([json({}, status), json({}, status), json(experiment)]);
    await client.experiments.get("7");
    expect(waits).toEqual([500, 1000]);
  });

  it.each([400, 401, 403, 404, 408, 409, 500, 501])("is not tried again after %d", async (status) => {
    const { client, asked } = scripted([json({ error_code: "X", message: "no" }, status)]);
    await expect(client.experiments.get("7")).rejects.toMatchObject({ status, code: "X", message: "no" });
    expect(asked).toHaveLength(1);
  });

  it("waits as long as Retry-After says", async () => {
    const { client, waits } = scripted([json({}, 429, { "retry-after": "7" }), json(experiment)]);
    await client.experiments.get("7");
    expect(waits).toEqual([7000]);
  });

  it("gives up after the attempts it has", async () => {
    const { client, asked } = scripted([json({}, 503), json({}, 503)], { retries: { count: 1 } });
    await expect(client.experiments.get("7")).rejects.toMatchObject({ status: 503 });
    expect(asked).toHaveLength(2);
  });

  it("is not sent again when it makes something and nobody knows whether it was made", async () => {
    for (const lost of [json({}, 502), () => Promise.reject(new TypeError("fetch failed"))]) {
      const { client, asked } = scripted([lost]);
      await expect(client.runs.create({ experiment_id: "0" })).rejects.toSatisfy((error) =>
        isMlflowError(error),
      );
      expect(asked).toHaveLength(1);
    }
  });

  it("is sent again, also when it makes something, if the connection never came about", async () => {
    const cause = Object.assign(new Error("connect ECONNREFUSED 127.0.0.1:1"), { code: "ECONNREFUSED" });
    const run = { run: { info: { run_uuid: "r", experiment_id: "0" } } };
    const refuse = () => Promise.reject(new TypeError("fetch failed", { cause }));
    const { client } = scripted([refuse, json(run)]);
    expect((await client.runs.create({ experiment_id: "0" })).info.run_id).toBe("r");
  });

  it("says what happened to the connection", async () => {
    const cause = Object.assign(new Error("connect ECONNREFUSED 127.0.0.1:1"), { code: "ECONNREFUSED" });
    const { client } = scripted([() => Promise.reject(new TypeError("fetch failed", { cause }))], {
      retries: { count: 0 },
    });
    await expect(client.experiments.get("7")).rejects.toMatchObject({
      code: "UNREACHABLE",
      status: 0,
      message: expect.stringContaining("connect ECONNREFUSED 127.0.0.1:1"),
    });
  });

  it("ends when nothing moves", async () => {
    const silent = (_: unknown, init: RequestInit | undefined) =>
      new Promise<Response>((_resolve, reject) => {
        init?.signal?.addEventListener("abort", () => reject(init.signal?.reason));
      });
    const { client } = scripted([], { fetch: silent as typeof fetch, timeoutMs: 1, retries: { count: 0 } });
    await expect(client.experiments.get("7")).rejects.toMatchObject({ code: "TIMEOUT" });
  });

  it("fails with the caller's own reason when the caller ends it", async () => {
    const { client } = scripted([() => Promise.reject(new Error("aborted"))]);
    const signal = AbortSignal.abort(new Error("no longer wanted"));
    await expect(client.experiments.get("7", { signal })).rejects.toThrow("no longer wanted");
  });

  it.each([
    ["an HTML page of an older server", "<!doctype html><title>404</title>", 404, "ENDPOINT_NOT_FOUND"],
    ["FastAPI's", '{"detail":"Not Found"}', 404, "ENDPOINT_NOT_FOUND"],
    ["Azure's", '{"error":{"code":"UserError","message":"Bearer token not provided."}}', 401, "UserError"],
    ["a problem of Ketline's own", '{"title":"Conflict","detail":"It moved."}', 409, "RESOURCE_CONFLICT"],
    ["a gateway's text", "upstream is away", 500, "INTERNAL_ERROR"],
  ])("is understood when the answer is %s", async (_, body, status, code) => {
    const { client } = scripted([() => new Response(body, { status })]);
    await expect(client.experiments.get("7")).rejects.toMatchObject({ code, status });
  });

  it("names what is wrong with an answer that is not MLflow's", async () => {
    const { client } = scripted([() => new Response("<html>"), json({ experiment: { name: 5 } })]);
    await expect(client.experiments.get("7")).rejects.toMatchObject({ code: "INVALID_RESPONSE" });
    await expect(client.experiments.get("7")).rejects.toThrow(/experiment/);
  });
});

describe("a download", () => {
  it("cuts the range out itself where the server answers with all", async () => {
    const { client } = scripted([() => new Response("0123456789")]);
    const { stream } = await client.artifacts.download("mlflow-artifacts:/1/r", "x", {
      range: { offset: 2, length: 3 },
    });
    expect(await new Response(stream as ReadableStream<Uint8Array<ArrayBuffer>>).text()).toBe("234");
  });

  it("follows no listing that leads out of its directory", async () => {
    const { client } = scripted([json({ files: [{ path: "../../secret", is_dir: false }] })]);
    await expect(client.artifacts.list("mlflow-artifacts:/1/r")).rejects.toThrow(/leaves its root/);
  });
});

describe("Azure ML", () => {
  it("is reached over https at the path of its tracking URI", async () => {
    const { client, asked } = scripted([json(experiment)], { url: azureUrl, auth: async () => "entra" });
    await client.experiments.get("7");
    expect(asked[0]?.url.startsWith(`${azureUrl.replace("azureml:", "https:")}/api/2.0/mlflow/`)).toBe(true);
    expect(client.kind).toBe("azureml");
  });

  it("is never asked for logged models", async () => {
    const { client, asked } = scripted([], { url: azureUrl });
    expect(await client.loggedModels.areSupported()).toBe(false);
    await expect(client.loggedModels.create({ experiment_id: "0" })).rejects.toMatchObject({
      code: "ENDPOINT_NOT_FOUND",
      message: expect.stringContaining("runs:/"),
    });
    expect(asked).toEqual([]);
  });
});

describe("a server's URL", () => {
  it.each([
    "mlflow.test:5000",
    "ftp://mlflow.test",
    "http://u:secret@mlflow.test",
    "http://mlflow.test/?t=secret",
  ])("is refused when it is %s, without telling secrets", (url) => {
    expect(() => createMlflowClient({ url })).toThrow(TypeError);
    expect(() => createMlflowClient({ url })).not.toThrow(/secret/);
  });
});
