import type { IQSharpError } from "qsharp-lang";
import { diagnosticsOf, programError } from "./diagnostics.ts";
import { WrongProgram } from "./preparation.ts";
import { type Diagnostic, limits, type QuantumState, type RunOutcome } from "./tasks.ts";

/** Listens to a run. */
export interface Collector {
  readonly event: (event: unknown) => boolean;
  outcome(): RunOutcome;
  /** The diagnostics of the last failed result. */
  failure(): readonly Diagnostic[];
}

type SimulatorEvent =
  | { readonly type: "Message"; readonly detail: string }
  | {
      readonly type: "DumpMachine";
      readonly detail: { state: QuantumState["amplitudes"]; qubitCount: number };
    }
  | { readonly type: "Matrix" }
  | {
      readonly type: "Result";
      readonly detail:
        | { readonly success: true; readonly value: string }
        | { readonly success: false; readonly value: { readonly errors: readonly IQSharpError[] } };
    };

/** Gathers the events of a run: distinct values are kept once, each shot as a number. */
export function collect(shots: number, report: (done: number, message?: string) => void): Collector {
  const indexes = new Map<string, number>();
  const byShot = new Uint32Array(shots);
  const messages: string[] = [];
  const states: QuantumState[] = [];
  const step = Math.max(1, Math.floor(shots / 20));
  let done = 0;
  let succeeded = 0;
  let characters = 0;
  let failures = 0;
  let firstFailure: Diagnostic | null = null;
  let lastFailure: readonly Diagnostic[] = [];

  const keep = (value: string): void => {
    let index = indexes.get(value);
    if (index === undefined) {
      characters += value.length;
      if (characters > limits.valueCharacters) return;
      index = indexes.size;
      indexes.set(value, index);
    }
    byShot[succeeded++] = index;
  };

  return {
    event(raw) {
      const event = raw as SimulatorEvent;
      if (event.type === "Message") {
        if (messages.length < limits.messages) messages.push(event.detail.slice(0, limits.messageCharacters));
      } else if (event.type === "DumpMachine") {
        if (states.length < limits.states) states.push(stateOf(event.detail));
      } else if (event.type === "Result") {
        done += 1;
        if (event.detail.success) keep(event.detail.value);
        else {
          lastFailure = diagnosticsOf(event.detail.value.errors);
          firstFailure ??= lastFailure[0] ?? null;
          failures += 1;
        }
        if (done % step === 0) report(done / shots, `${done} of ${shots} shots`);
      }
      return true;
    },
    outcome() {
      if (characters > limits.valueCharacters) {
        const message = `The distinct outcomes have more than ${limits.valueCharacters} characters; return less, or run fewer shots.`;
        throw new WrongProgram([programError("Ketline.Run.TooMuchOutput", message)]);
      }
      return {
        values: [...indexes.keys()],
        shots: byShot.slice(0, succeeded),
        messages,
        states,
        failures: { count: failures, first: firstFailure },
      };
    },
    failure: () => lastFailure,
  };
}

function stateOf({
  state,
  qubitCount,
}: {
  state: QuantumState["amplitudes"];
  qubitCount: number;
}): QuantumState {
  return { qubitCount, amplitudes: Object.fromEntries(Object.entries(state).slice(0, limits.stateEntries)) };
}
