import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { type Checks, createChecks } from "./checks.ts";
import { type Client, createClient } from "./client.ts";
import { dataset, registerFlights } from "./data.ts";
import { monthly, served, watchDrift, watchServed, weekly } from "./drift.ts";
import { runQuantum } from "./quantum.ts";
import { type DemoServer, startDemoServer } from "./server.ts";
import { type Answer, deploy, deployment, predict, readFlights, rollback } from "./serving.ts";
import { bold, dim, green, heading, progressBar, red, say, table } from "./terminal.ts";
import { model, type TrainingResult, trainLateFlights } from "./training.ts";

// One model and two quantum programs, from their first byte to their rollback, on real data and over HTTP.
//   npm run demo                 a sample of the flights
//   npm run demo -- --full       all three million
//   npm run demo -- --stay       keeps the server running at the end, to look around

const { values: options } = parseArgs({
  options: { full: { type: "boolean", default: false }, stay: { type: "boolean", default: false } },
});
const dataDirectory = path.resolve(".ketline", "demo");
const started = Date.now();

await rm(dataDirectory, { recursive: true, force: true });
const scratch = await mkdtemp(path.join(tmpdir(), "ketline-demo-"));
const checks = createChecks();
let server: DemoServer | undefined;
try {
  server = await startDemoServer(dataDirectory);
  say(`${bold("Ketline")} ${dim(`at ${server.url}, everything it keeps is in .ketline/demo`)}`);
  await play(createClient(server.url), checks);
  summary(checks);
  if (options.stay) {
    say(`\nThe server stays at ${server.url}; Ctrl-C ends it.`);
    await new Promise((resolve) => process.once("SIGINT", resolve));
  }
} catch (error) {
  say(`\n${red("The demo stopped.")} ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
} finally {
  await server?.stop();
  await rm(scratch, { recursive: true, force: true });
}
if (checks.failed.length > 0) process.exitCode = 1;

async function play(client: Client, told: Checks): Promise<void> {
  const version = await registerFlights(client, told, scratch, options.full);

  heading(2, "Training", "Will this flight be more than 15 minutes late? Learnt from January and February.");
  const first = await trainLateFlights(
    client,
    version,
    "train version 1",
    { from: "2001-01-01", to: "2001-03-01" },
    { from: "2001-03-01", to: "2001-03-15" },
  );
  describeTraining(first);
  told.that(
    first.model?.version === 1 && first.decision?.promoted === true,
    `version 1 is champion: ${first.decision?.reason}`,
  );
  told.that(
    (first.metrics.auc ?? 0) > 0.6,
    `it ranks late flights above others, AUC ${first.metrics.auc?.toFixed(3)} on days it never saw`,
  );

  heading(3, "Serving", "March's flights, asked over HTTP by the Open Inference Protocol.");
  const release = await deploy(client, 1, "first release");
  await watchServed(client);
  await serveMarch(client, told);

  await watchDrift(client, told, version);

  heading(
    5,
    "A second version",
    "Learnt from March and April, compared with the champion on the same days of May.",
  );
  const second = await trainLateFlights(
    client,
    version,
    "train version 2",
    { from: "2001-03-01", to: "2001-05-01" },
    { from: "2001-05-01", to: "2001-05-15" },
  );
  describeTraining(second);
  describeComparison(second, told);
  await rollBackAndForward(client, told, release.revision);

  await runQuantum(client, told);
}

async function serveMarch(client: Client, told: Checks): Promise<void> {
  const flights = await readFlights(scratch, "2001-03-01", "2001-04-01", 0.008);
  const bar = progressBar("predict March");
  const batch = 50;
  const probabilities: number[] = [];
  const answeredBy = new Set<string>();
  for (let start = 0; start < flights.length; start += batch) {
    const answer = await predict(client, flights.slice(start, start + batch));
    probabilities.push(...answer.probabilities);
    answeredBy.add(answer.version);
    bar.update(start / flights.length);
  }
  bar.end(
    `${flights.length.toLocaleString("en-US")} flights in ${Math.ceil(flights.length / batch)} requests`,
  );
  const order = probabilities
    .map((_, row) => row)
    .toSorted((a, b) => (probabilities[b] ?? 0) - (probabilities[a] ?? 0));
  const tenth = Math.floor(order.length / 10);
  const lateShare = (rows: readonly number[]) =>
    rows.filter((row) => (flights[row]?.delay ?? 0) > 15).length / rows.length;
  const top = lateShare(order.slice(0, tenth));
  const bottom = lateShare(order.slice(-tenth));
  table(
    ["flight", "on", "says", "was"],
    [...order.slice(0, 3), ...order.slice(-2)].map((row) => {
      const flight = flights[row];
      return [
        `${flight?.origin} → ${flight?.destination}`,
        flight?.date.toISOString().slice(0, 16).replace("T", " ") ?? "",
        `${(100 * (probabilities[row] ?? 0)).toFixed(0)} % late`,
        `${flight?.delay} min`,
      ];
    }),
  );
  told.that(
    probabilities.every((value) => value > 0 && value < 1) && [...answeredBy].join() === "1",
    "every answer is a probability, and says that version 1 gave it",
  );
  told.that(
    top > 1.5 * bottom,
    `of the tenth called most likely ${(100 * top).toFixed(0)} % were late, of the tenth called least likely ${(100 * bottom).toFixed(0)} %`,
  );
}

function describeTraining({ metrics, rows }: TrainingResult): void {
  table(
    ["trained on", "tested on", "late", "AUC", "log loss", "Brier"],
    [
      [
        rows.train,
        rows.holdout,
        `${((100 * metrics.positives) / metrics.rows).toFixed(1)} %`,
        metrics.auc ?? 0,
        metrics.logLoss,
        metrics.brier,
      ],
    ],
  );
}

function describeComparison(result: TrainingResult, told: Checks): void {
  const comparison = result.decision?.comparison;
  if (comparison) {
    table(
      ["log loss on the same flights", "version 1", "version 2", "better by", "95 % interval"],
      [
        [
          comparison.rows,
          comparison.champion,
          comparison.challenger,
          comparison.delta,
          `${comparison.low.toFixed(4)} to ${comparison.high.toFixed(4)}`,
        ],
      ],
    );
  }
  const better = comparison !== null && comparison !== undefined && comparison.low > 0;
  told.that(
    comparison !== null && result.decision?.promoted === better,
    `version 2 was ${result.decision?.promoted ? "promoted" : "refused"}: ${result.decision?.reason}`,
  );
}

/** Whoever won: version 2 is released, taken back and released again, and each time the answers say who gave them. */
async function rollBackAndForward(client: Client, told: Checks, revision: number): Promise<void> {
  const [flight] = await readFlights(scratch, "2001-05-20", "2001-05-21", 0.01);
  if (flight === undefined) throw new Error("No flight of May was found.");
  const ask = (): Promise<Answer> => predict(client, [flight]);
  const released = await deploy(client, 2, "the demo tries the second version", revision);
  const rows: (string | number)[][] = [];
  const expectAnswer = async (what: string, revision: number, version: string) => {
    const answer = await ask();
    rows.push([
      what,
      `revision ${answer.revision}`,
      `version ${answer.version}`,
      `${(100 * (answer.probabilities[0] ?? 0)).toFixed(1)} % late`,
    ]);
    return answer.revision === String(revision) && answer.version === version;
  };
  const forward = await expectAnswer("release version 2", released.revision, "2");
  const back = await rollback(client, "the demo takes it back");
  const taken = await expectAnswer("roll back", back.revision, "1");
  const again = await rollback(client, "and forward again", released.revision);
  const forwardAgain = await expectAnswer("roll forward", again.revision, "2");
  table(["step", "now", "answers", "about one flight"], rows);
  told.that(
    forward && taken && forwardAgain,
    "each change was one call, a new numbered revision, and the next answer obeyed it",
  );
}

function summary({ passed, failed }: Checks): void {
  const seconds = Math.round((Date.now() - started) / 1000);
  say(`\n${bold("Summary")}`);
  say(
    `   ${failed.length === 0 ? green(`${passed} promises kept`) : red(`${failed.length} of ${passed + failed.length} promises broken`)} in ${seconds} s`,
  );
  say(`\n   Look further: ${dim(`KETLINE_DATA=.ketline/demo npm start`)}, then`);
  const base = "http://127.0.0.1:7071";
  table(
    ["what", "where"],
    [
      ["API reference", `${base}/docs`],
      ["dataset", `${base}/api/v1/datasets/${dataset}/versions/latest`],
      ["model versions", `${base}/api/2.0/mlflow/model-versions/search?filter=name%3D'${model}'`],
      ["history of the aliases", `${base}/api/v1/registry/${model}/history`],
      ["deployment's revisions", `${base}/api/v1/deployments/${deployment}/revisions`],
      ["drift by week, a picture", `${base}/api/v1/monitors/${weekly}/chart.svg`],
      ["what was served, judged", `${base}/api/v1/monitors/${served}/results/latest`],
      ["April against February", `${base}/api/v1/monitors/${monthly}/results/latest`],
      ["quantum jobs", `${base}/api/v1/quantum/jobs`],
      ["who changed what", `${base}/api/v1/audit`],
    ],
  );
}
