import { app } from "@azure/functions";
import { flushCoalesced } from "./host/flush.ts";

/** The queue of shared/jobs; a message is the id of a job. */
const queueName = "ketline-jobs";
const connection = "AzureWebJobsStorage";

/** A message wakes this instance to run one job. Seeing it twice is harmless: the job's lease lets only one run it. */
app.storageQueue("jobs-run", {
  queueName,
  connection,
  handler: async (message, context) => {
    const { platform } = await import("./platform.ts");
    const ketline = await platform();
    const outcome = await ketline.runner.runOne(jobIdOf(message));
    context.debug(`job ${jobIdOf(message)}: ${outcome}`);
    await flushCoalesced(ketline);
  },
});

/** The host gives up on a message here after `maxDequeueCount` failures of `jobs-run`. */
app.storageQueue("jobs-poison", {
  queueName: `${queueName}-poison`,
  connection,
  handler: async (message, context) => {
    const { platform } = await import("./platform.ts");
    const ketline = await platform();
    const failed = await ketline.runner.giveUp(
      jobIdOf(message),
      "No instance could start the job; the log says why.",
    );
    context.error(
      `job ${jobIdOf(message)} was given up: ${failed ? "it has failed" : "it is held or has ended"}`,
    );
  },
});

/** The library parses what looks like JSON; an id of digits would arrive as a number. */
function jobIdOf(message: unknown): string {
  return String(message);
}
