import type { Clock } from "../../shared/clock.ts";
import type { Events } from "../../shared/telemetry/index.ts";
import type { Outcome, QuantumStatus, StepName } from "../schemas.ts";
import type { EndedStatus, QuantumRecord, QuantumStore } from "./store.ts";

/** What became of one quantum job so far; every step is written down as it ends. */
export interface JobRecord {
  readonly stored: QuantumRecord;
  /** What is known by now. */
  outcome(): Outcome;
  /** Adds to what is known; stored with the next step, or by `save`. */
  note(changes: Partial<Outcome>): void;
  save(): Promise<void>;
  /**
   * Does a step and writes down how it ended.
   *
   * @param work returns what to say about it, or `{skipped}` with the reason
   */
  step(name: StepName, work: () => Promise<string | { readonly skipped: string }>): Promise<void>;
  status(status: QuantumStatus): Promise<void>;
  /** Writes the end and tells of it, unless the job has ended already. */
  end(status: EndedStatus, error: string | null): Promise<QuantumRecord>;
}

export const emptyOutcome: Outcome = {
  steps: [],
  gates: null,
  tests: null,
  estimate: null,
  price: null,
  policy: null,
  workspaceJob: null,
  histogram: null,
  verdict: null,
  runId: null,
};

export function openRecord(
  stored: QuantumRecord,
  options: {
    readonly store: QuantumStore;
    readonly clock: Clock;
    readonly events: Pick<Events, "quantumJobEnded">;
    readonly log: (line: string) => void;
  },
): JobRecord {
  const { store, clock, events, log } = options;
  let outcome = stored.outcome;
  const save = async () => {
    await store.update(stored.id, { outcome, updatedMs: clock() });
  };

  async function write(step: Outcome["steps"][number]): Promise<void> {
    // A job that is tried again does its steps again.
    const others = outcome.steps.filter((one) => one.step !== step.step);
    outcome = { ...outcome, steps: [...others, step] };
    log(`${step.step}: ${step.status === "passed" ? "" : `${step.status}: `}${step.message}`);
    await save();
  }

  return {
    stored,
    outcome: () => outcome,
    note(changes) {
      outcome = { ...outcome, ...changes };
    },
    save,
    async step(name, work) {
      const startedMs = clock();
      try {
        const said = await work();
        const [status, message] =
          typeof said === "string" ? (["passed", said] as const) : (["skipped", said.skipped] as const);
        await write({ step: name, status, message, startedMs, endedMs: clock() });
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        await write({ step: name, status: "failed", message, startedMs, endedMs: clock() });
        throw error;
      }
    },
    async status(status) {
      await store.update(stored.id, { status, updatedMs: clock() });
    },
    async end(status, error) {
      const nowMs = clock();
      const changes = { status, error, outcome, updatedMs: nowMs, endedMs: nowMs };
      if (await store.update(stored.id, changes)) {
        events.quantumJobEnded({
          jobId: stored.id,
          workspace: stored.workspace,
          target: stored.submission.target,
          state: status,
          shots: outcome.histogram?.shots ?? null,
          durationMs: nowMs - stored.createdMs,
        });
      }
      return (await store.get(stored.id)) ?? stored;
    },
  };
}
