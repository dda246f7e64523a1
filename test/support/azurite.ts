import { fork } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";

/** An Azure Storage emulator of this test's own: blobs and queues, on free ports of the loopback. */
export interface Azurite extends AsyncDisposable {
  readonly connectionString: string;
  /** `http://127.0.0.1:<port>/devstoreaccount1` */
  readonly blobUrl: string;
  readonly queueUrl: string;
  /** The emulator's time. */
  readonly clock: () => number;
  /** Moves the emulator's clock, so that nothing has to wait for time to pass. */
  advance(ms: number): Promise<void>;
}

/** The account and key that Microsoft publishes for its emulators. */
const account = "devstoreaccount1";
const accountKey = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

const startupMs = 60_000;

/** @param directory where it keeps everything, for more than fits into memory; in memory when not given */
export async function startAzurite(directory?: string): Promise<Azurite> {
  // Its command line is its documented surface; the servers behind it are internal and change with each release.
  const program = createRequire(import.meta.url).resolve("azurite/dist/src/azurite.js");
  const child = fork(
    program,
    [
      ...["--blobHost", "127.0.0.1", "--blobPort", "0"],
      ...["--queueHost", "127.0.0.1", "--queuePort", "0"],
      ...["--tableHost", "127.0.0.1", "--tablePort", "0"],
      // The SDK speaks a newer version of the protocol than the emulator knows.
      ...["--skipApiVersionCheck", "--disableTelemetry", "--silent"],
      ...(directory === undefined ? ["--inMemoryPersistence"] : ["--location", directory]),
    ],
    {
      execArgv: ["--import", new URL("./azurite-clock.mjs", import.meta.url).href],
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    },
  );
  let output = "";
  const ports = new Promise<{ blob: string; queue: string }>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`Azurite did not start: ${output}`)), startupMs);
    const read = (chunk: Buffer) => {
      output += chunk.toString();
      const blob = /Blob service is successfully listening at (http\S+)/.exec(output)?.[1];
      const queue = /Queue service is successfully listening at (http\S+)/.exec(output)?.[1];
      if (blob === undefined || queue === undefined) return;
      clearTimeout(timer);
      resolve({ blob, queue });
    };
    child.stdout?.on("data", read);
    child.stderr?.on("data", read);
    child.once("exit", (code) => {
      clearTimeout(timer);
      reject(new Error(`Azurite ended with ${code}: ${output}`));
    });
  });
  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill("SIGKILL"); // it keeps nothing that would have to be saved
    await exited;
  };
  try {
    const { blob, queue } = await ports;
    const [blobUrl, queueUrl] = [`${blob}/${account}`, `${queue}/${account}`];
    let aheadMs = 0;
    return {
      blobUrl,
      queueUrl,
      connectionString: [
        "DefaultEndpointsProtocol=http",
        `AccountName=${account}`,
        `AccountKey=${accountKey}`,
        `BlobEndpoint=${blobUrl}`,
        `QueueEndpoint=${queueUrl}`,
      ].join(";"),
      clock: () => Date.now() + aheadMs,
      async advance(ms) {
        aheadMs += ms;
        const taken = once(child, "message");
        child.send(aheadMs);
        await taken;
      },
      [Symbol.asyncDispose]: stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
