// A process of its own that runs one job and is killed in the middle of it. Arguments: data directory, the job's id.
import { createPlatform } from "../../platform.ts";
import { loadConfig } from "../../shared/config.ts";

const [directory = "", jobId = ""] = process.argv.slice(2);
const platform = await createPlatform(loadConfig({ KETLINE_DATA: directory, KETLINE_LOG_LEVEL: "silent" }));
await platform.runner.runOne(jobId);
await platform.close();
