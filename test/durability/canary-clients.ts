import { Agent, type IncomingHttpHeaders, request } from "node:http";
import { type CanaryBook, noteAnswer, noteFailure } from "./canary-book.ts";

export interface ClientsOptions {
  /** The servers; connections are spread over them in turn. */
  readonly urls: readonly string[];
  readonly connections: number;
  readonly deployment: string;
  /** Version to factor: y = factor · x. */
  readonly factors: Readonly<Record<string, number>>;
  readonly random: () => number;
  readonly book: CanaryBook;
}

const users = 400;
const requestTimeoutMs = 10_000;

/** Clients that ask one request after the other, each over one connection that stays open, until they are stopped. */
export function openClients(options: ClientsOptions): { stop(): Promise<void>; opened(): number } {
  let running = true;
  let opened = 0;
  const clients = Array.from({ length: options.connections }, async (_, index) => {
    const url = options.urls[index % options.urls.length] ?? "";
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const connect = agent.createConnection.bind(agent);
    agent.createConnection = (...how) => {
      opened++;
      return connect(...how);
    };
    for (let turn = 0; running; turn++) await ask(options, agent, url, `c${index}-${turn}`, turn);
    agent.destroy();
  });
  return {
    opened: () => opened,
    async stop() {
      running = false;
      await Promise.all(clients);
    },
  };
}

async function ask(
  { deployment, factors, random, book }: ClientsOptions,
  agent: Agent,
  url: string,
  requestId: string,
  turn: number,
): Promise<void> {
  // Whole numbers that a 32-bit float holds exactly, so that answers are equal or wrong.
  const x = 1 + Math.floor(random() * 1000);
  const key = turn % 2 === 0 ? `user-${Math.floor(random() * users)}` : null;
  const inputs = [{ name: "X", shape: [1, 1], datatype: "FP32", data: [x] }];
  const body = JSON.stringify({ id: requestId, inputs });
  const sentMs = performance.now();
  let answer: Answer;
  try {
    answer = await post(agent, `${url}/v2/models/${deployment}/infer`, body, {
      "x-request-id": requestId,
      ...(key === null ? {} : { "x-user": key }),
    });
  } catch (error) {
    noteFailure(book, `no answer: ${error instanceof Error ? error.message : String(error)}`);
    return;
  }
  const { status, headers, text } = answer;
  if (status !== 200) {
    noteFailure(book, `${status}: ${text.slice(0, 200)}`);
    return;
  }
  const version = String(headers["ketline-model-version"]);
  const wrong = whatIsWrong(answer, {
    requestId,
    deployment,
    version,
    y: (factors[version] ?? Number.NaN) * x,
  });
  noteAnswer(book, {
    revision: Number(headers["ketline-revision"]),
    variant: String(headers["ketline-variant"]),
    version,
    key,
    sentMs,
    tookMs: performance.now() - sentMs,
    wrong,
  });
}

interface Expected {
  readonly requestId: string;
  readonly deployment: string;
  readonly version: string;
  /** What the version that the headers claim answers. */
  readonly y: number;
}

/** @returns null when the answer is what its headers say, and an answer to this request */
function whatIsWrong({ headers, text }: Answer, expected: Expected): string | null {
  const { id, outputs } = JSON.parse(text) as { id?: string; outputs?: { data: number[] }[] };
  const y = outputs?.[0]?.data[0];
  const checks: [string, unknown, unknown][] = [
    ["x-request-id", headers["x-request-id"], expected.requestId],
    ["ketline-deployment", headers["ketline-deployment"], expected.deployment],
    ["ketline-model", headers["ketline-model"], "times"],
    ["id", id, expected.requestId],
    [`the prediction of version ${expected.version}`, y, expected.y],
  ];
  const bad = checks.find(([, got, wanted]) => got !== wanted);
  return bad === undefined ? null : `${bad[0]} is ${String(bad[1])}, not ${String(bad[2])}`;
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

function post(
  agent: Agent,
  url: string,
  body: string,
  headers: Readonly<Record<string, string>>,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, {
      agent,
      method: "POST",
      headers: { "content-type": "application/json", "content-length": Buffer.byteLength(body), ...headers },
      timeout: requestTimeoutMs,
    });
    outgoing.on("timeout", () => outgoing.destroy(new Error(`nothing for ${requestTimeoutMs} ms`)));
    outgoing.on("error", reject);
    outgoing.on("response", (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (part: string) => {
        text += part;
      });
      response.on("error", reject);
      response.on("end", () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
      );
    });
    outgoing.end(body);
  });
}
