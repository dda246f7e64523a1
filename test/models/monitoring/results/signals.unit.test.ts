import { describe, expect, it } from "vitest";
import {
  advance,
  observation,
  quietSignal,
  type SignalChange,
} from "../../../../models/monitoring/results/signals.ts";

const rule = { badWindows: 2, ofWindows: 3, clearWindows: 3, coolDownHours: 0 };
const outcomes = { b: "bad", c: "clear", "~": "between", "?": "missing" } as const;
const hourMs = 3_600_000;

/** Plays windows, one letter and hour each, and gives the state after each of them. */
function play(letters: string, rules = rule): { states: string; changes: [number, SignalChange][] } {
  let memory = quietSignal;
  const states: string[] = [];
  const changes: [number, SignalChange][] = [];
  [...letters].forEach((letter, hour) => {
    const outcome = outcomes[letter as keyof typeof outcomes];
    const step = advance(memory, outcome, hour * hourMs, rules);
    memory = step.memory;
    states.push({ ok: "o", pending: "p", firing: "F", resolving: "r" }[memory.state]);
    if (step.change !== null) changes.push([hour, step.change]);
  });
  return { states: states.join(""), changes };
}

describe("the states of an alert (2 of 3, ends after 3 clear ones)", () => {
  it.each([
    ["stays ok while all is clear", "cccc", "oooo"],
    ["waits while one of the last three is bad", "bccc", "pppo"],
    ["fires at the second bad one of three", "bb", "pF"],
    ["fires across one good one", "bcb", "ppF"],
    ["does not fire when the bad ones are further apart", "bccbcc", "pppppp"],
    ["counts what lies between neither as bad nor as clear", "b~b", "ppF"],
    ["resolves, and ends after three clear ones", "bbccc", "pFrro"],
    ["fires on when it is bad again while resolving", "bbccb", "pFrrF"],
    ["starts counting clear ones anew after one between", "bbcc~ccc", "pFrrrrro"],
    ["keeps its state while nothing is known", "b?b??ccc", "ppFFFrro"],
    ["does not resolve from windows between", "bb~~~", "pFFFF"],
    ["needs as many clear ones as asked for, not fewer", "bbcc", "pFrr"],
  ])("%s", (_, letters, states) => {
    expect(play(letters).states).toBe(states);
  });

  it("tells what changes, once each", () => {
    expect(play("bbbccbcccc").changes).toEqual([
      [1, "fired"],
      [3, "resolving"],
      [5, "firing_again"],
      [6, "resolving"],
      [8, "resolved"],
    ]);
  });

  it("does not fire again within the cool-down, and does afterwards if it is still bad", () => {
    const cooling = { ...rule, clearWindows: 1, coolDownHours: 6 };
    const { states, changes } = play("bbcbbbbbb", cooling);
    expect(states).toBe("pFoppppFF");
    expect(changes).toEqual([
      [1, "fired"],
      [2, "resolved"],
      [7, "fired"],
    ]);
  });

  it("counts no window twice", () => {
    const first = advance(quietSignal, "bad", hourMs, rule).memory;
    expect(advance(first, "bad", hourMs, rule)).toEqual({ memory: first, change: null });
    expect(advance(first, "bad", 2 * hourMs, rule).change).toBe("fired");
  });

  it("comes to the same when windows are judged out of order", () => {
    const windows = [..."cbcbcc"].map(
      (letter, hour) => [outcomes[letter as "b" | "c"], hour * hourMs] as const,
    );
    const played = (order: readonly number[]) =>
      order.reduce((memory, index) => {
        const [outcome, atMs] = windows[index]!;
        return advance(memory, outcome, atMs, rule).memory;
      }, quietSignal);
    const inOrder = played([0, 1, 2, 3]);
    expect(inOrder.state).toBe("firing");
    expect(played([1, 0, 3, 2])).toEqual(inOrder);
    expect(played([2, 3, 1, 0]).state).toBe("firing");
    expect(played([0, 1, 2, 3, 5, 4])).toEqual(played([0, 1, 2, 3, 4, 5]));
  });

  it("passes over a window that is older than all it still knows", () => {
    const memory = [3, 4, 5].reduce(
      (at, hour) => advance(at, "clear", hour * hourMs, rule).memory,
      quietSignal,
    );
    expect(advance(memory, "bad", hourMs, rule)).toEqual({ memory, change: null });
  });

  it("fires at once when one bad window of one is asked for", () => {
    expect(play("b", { ...rule, badWindows: 1, ofWindows: 1 }).states).toBe("F");
  });
});

describe("an observation", () => {
  it.each([
    [0.2, "bad"],
    [0.21, "bad"],
    [0.17, "between"],
    [0.159, "clear"],
    [null, "missing"],
  ])("of %s against .2 is %s", (value, outcome) => {
    expect(observation("data_drift", value, 0.2).outcome).toBe(outcome);
  });

  it("against 0 is bad for anything above it", () => {
    expect(observation("error_rate", 0, 0).outcome).toBe("clear");
    expect(observation("error_rate", 0.001, 0).outcome).toBe("bad");
  });
});
