import type { Platform } from "../platform.ts";
import { listen } from "./listener.ts";
import { startTimers } from "./timers.ts";

export interface RunningServer {
  /** Where it answers, with the port that was really taken. */
  readonly url: string;
  /**
   * Stops in the order that loses nothing: no new requests or timers, then what runs is finished or given back, then
   * what is buffered is written, then everything is closed.
   *
   * @param graceMs how long requests and jobs may still take; 10 s by default
   */
  stop(graceMs?: number): Promise<void>;
}

/** Puts the platform behind an HTTP listener and keeps its timers and its job runner going. */
export async function startServer(platform: Platform): Promise<RunningServer> {
  const { config, logger, runner } = platform;
  let listener: Awaited<ReturnType<typeof listen>>;
  try {
    listener = await listen({ fetch: platform.app.fetch, direct: platform.direct }, config, logger);
  } catch (error) {
    await platform.close();
    throw error;
  }
  const timers = startTimers(platform.timers, logger);
  runner.start();
  return {
    url: listener.url,
    async stop(graceMs = 10_000) {
      timers.stop();
      await Promise.all([listener.stop(graceMs), runner.stop(graceMs), timers.settled()]);
      await platform.flush();
      await platform.close();
    },
  };
}
