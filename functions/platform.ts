import { createPlatform, type Platform } from "../platform.ts";
import { processConfig } from "../shared/config.ts";

let starting: Promise<Platform> | undefined;

/**
 * The one platform of this process, made at the first invocation: indexing the functions must neither need a database
 * nor wait for one. A start that failed is tried again by the next invocation.
 *
 * @throws Error when the configuration names no identity: a Function App listens to everybody.
 */
export function platform(): Promise<Platform> {
  starting ??= start().catch((error: unknown) => {
    starting = undefined;
    throw error;
  });
  return starting;
}

function start(): Promise<Platform> {
  return createPlatform(processConfig({ KETLINE_HOST: "0.0.0.0" }));
}
