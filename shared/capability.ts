import type { Route } from "./http/index.ts";
import type { JobKind } from "./jobs/index.ts";

/** What each capability gives to the composition root, beside its own functions. */
export interface Capability {
  readonly routes: readonly Route[];
  readonly jobKinds: readonly JobKind[];
  readonly timers: readonly Timer[];
  /** What keeps it from its work now, in words; undefined when nothing does. Asked by `/health`. */
  problem?(): string | undefined;
  /** Writes out what is buffered; called at shutdown and, on Functions, after each invocation. */
  flush?(): Promise<void>;
  /** Releases threads, sessions and sockets. */
  close?(): Promise<void>;
}

/** Something that happens by the clock: a timer trigger on Functions, a croner job in the standalone server. */
export interface Timer {
  /** `<capability>-<what>`, letters and hyphens. */
  readonly name: string;
  /** NCRONTAB with seconds, as Azure Functions reads it: `0 *\/5 * * * *`. UTC. */
  readonly schedule: string;
  run(): Promise<void>;
}
