import type { KetlineError } from "../../../shared/errors.ts";
import type { MemoryWatch } from "./memory-watch.ts";
import type { HostAnswer, HostRequest } from "./messages.ts";
import { Slot } from "./slot.ts";
import { startHost } from "./start.ts";

/** Processes that load and run models, so that none of them can stop or end this one. */
export interface Hosts {
  /**
   * Has a host do something, in its turn. A host that works longer on one thing than `budgetMs` is ended.
   *
   * @throws what the host answered; timeout when the turn did not come or the work did not end in time; insufficient
   * when it took too much memory; unavailable when the process ended under it, does not start, had to make room (see
   * `isPreempted`), or when too much waits
   */
  ask(host: Host, request: HostRequest, options: AskOptions): Promise<HostAnswer>;
  /** The host with the least to do. */
  choose(): Host;
  /** Why the processes do not start; undefined when they do, as far as is known. */
  readonly problem: string | undefined;
  close(): Promise<void>;
}

export interface AskOptions {
  /** From now to the answer, waiting included. */
  readonly timeoutMs: number;
  /** For the work alone. */
  readonly budgetMs: number;
  readonly signal?: AbortSignal;
  /** Answered only when nothing else waits. */
  readonly whenIdle?: boolean;
  /** How long it may work while other models' requests wait for the same process; for ever when not given. */
  readonly shareMs?: number;
}

/** A place for a process; it is started when it is first needed, and again when it ended. */
export interface Host {
  readonly index: number;
  /** How often a process was started here: what was loaded into an earlier one is gone. */
  readonly generation: number;
  /** Whether there is a process now. */
  readonly running: boolean;
  /** Requests that wait or run. */
  readonly load: number;
}

export interface HostsOptions {
  readonly count: number;
  /** The working directory of the processes. */
  readonly directory: string;
  /** Of one process. */
  readonly memoryBytes: number;
  /** Whether the server and other processes go first; false by default. */
  readonly isPatient?: boolean;
  /** Of these and other processes together. */
  readonly watch?: MemoryWatch;
  /** Told when a process ended, or ran out of memory, while it worked on this: the request, or its model, may be the cause. */
  readonly onLost: (request: HostRequest, error: KetlineError) => void;
  /** Told what a process said that did not start, once until one does. */
  readonly onStartFailure: (reason: string) => void;
}

export function createHosts(options: HostsOptions): Hosts {
  const { count, directory, memoryBytes, isPatient = false, watch, onLost, onStartFailure } = options;
  const start = () => startHost({ directory, memoryBytes, isPatient });
  const slots = Array.from(
    { length: count },
    (_, index) => new Slot({ index, start, watch, onLost, onStartFailure }),
  );
  return {
    ask: (host, request, asked) => slotOf(slots, host).ask(request, asked),
    choose: () => slots.reduce((best, slot) => (slot.load < best.load ? slot : best)),
    get problem() {
      for (const { problem } of slots) if (problem !== undefined) return problem;
      return undefined;
    },
    async close() {
      await Promise.all(slots.map((slot) => slot.close()));
    },
  };
}

function slotOf(slots: readonly Slot[], host: Host): Slot {
  const slot = slots[host.index];
  if (slot === undefined) throw new RangeError(`There is no host ${host.index}.`);
  return slot;
}
