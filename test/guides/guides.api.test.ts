import { describe, expect, it } from "vitest";
import { hasCurl, runGuide } from "../support/guide-session.ts";
import { guideNames, readGuide } from "../support/guides.ts";

const canRun = hasCurl();
/** A page waits for jobs and timers, as its reader does. */
const maxMs = 300_000;

/** Without Python: what stands before the first block of it. The rest is run beside the Python clients. */
describe.concurrent.each(guideNames())("the guide %s", (name) => {
  const { blocks } = readGuide(name);
  const firstPython = blocks.findIndex(({ language }) => language === "python");
  const commands = firstPython < 0 ? blocks : blocks.slice(0, firstPython);

  it("has something to run", () => {
    expect(blocks.length).toBeGreaterThan(0);
  });

  it.skipIf(!canRun)("keeps its word", () => runGuide(name, commands), maxMs);
});
