import { green, red, say } from "./terminal.ts";

/** What the demo promised, and whether it came true. */
export interface Checks {
  /** Says the sentence with a tick or a cross, and remembers it. */
  that(holds: boolean, sentence: string): void;
  readonly passed: number;
  readonly failed: readonly string[];
}

export function createChecks(): Checks {
  const failed: string[] = [];
  let passed = 0;
  return {
    that(holds, sentence) {
      say(`   ${holds ? green("✓") : red("✗")} ${sentence}`);
      if (holds) passed++;
      else failed.push(sentence);
    },
    get passed() {
      return passed;
    },
    failed,
  };
}
