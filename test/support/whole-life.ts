import type { ChildProcess } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { flightsBytes } from "./flights.ts";
import { lateFlights } from "./late-flights.ts";

/** Waits for the greeting of a server that another process runs, whose stderr is a pipe. */
export function addressOf(server: ChildProcess): Promise<string> {
  let said = "";
  return new Promise((resolve, reject) => {
    // Read to its end: whoever closes the pipe takes from the server the last thing it wants to say.
    server.stderr?.on("data", (text) => {
      said += String(text);
      const url = /listens on\s+(http:\S+)/.exec(said)?.[1];
      if (url !== undefined) resolve(url);
    });
    server.once("exit", () => reject(new Error(`The server did not start: ${said}`)));
  });
}

/**
 * DuckDB reads a file, a model is fitted and held against ONNX Runtime, served, and the Q# compiler runs a program: what
 * loads every native library and leaves every kind of file.
 */
export async function wholeLife(url: string): Promise<void> {
  const send = async (method: string, target: string, body?: unknown): Promise<Record<string, unknown>> => {
    const isBytes = body instanceof Uint8Array;
    const answer = await fetch(url + target, {
      method,
      headers: { "content-type": isBytes ? "application/octet-stream" : "application/json" },
      ...(body === undefined ? {} : { body: isBytes ? Buffer.from(body) : JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${target} answered ${answer.status}: ${text}`);
    return JSON.parse(text) as Record<string, unknown>;
  };
  const finished = async (id: unknown): Promise<void> => {
    for (;;) {
      const job = await send("GET", `/api/v1/jobs/${id}`);
      if (job.state === "succeeded") return;
      if (job.state === "failed" || job.state === "cancelled") throw new Error(String(job.error));
      await sleep(200);
    }
  };
  const flights = await flightsBytes({ share: 0.01, format: "parquet" });
  const { job } = await send("POST", "/api/v1/datasets/flights/versions?format=parquet", flights);
  await finished((job as { id: string }).id);
  const training = await send("POST", "/api/v1/training", { ...lateFlights, registeredModel: "late" });
  await finished(training.id);
  const model = (await send("GET", "/v2/models/late")) as {
    inputs: { name: string; datatype: string }[];
  };
  const inputs = model.inputs.map(({ name, datatype }) => ({
    name,
    datatype,
    shape: [1, 1],
    data: [datatype === "BYTES" ? "x" : 1],
  }));
  await send("POST", "/v2/models/late/infer", { inputs });
  const source = "operation Main() : Result { use q = Qubit(); H(q); return MResetZ(q); }";
  await send("POST", "/api/v1/quantum/check", { language: "qsharp", source });
}
