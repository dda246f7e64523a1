import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type GuideSession, hasCurl, openGuideSession } from "../support/guide-session.ts";
import { guideNames, outputDiffers, readGuide } from "../support/guides.ts";

const canRun = hasCurl();

/** Without Python: what stands before the first block of it. The rest is run beside the Python clients. */
describe.each(guideNames())("the guide %s", (name) => {
  const { blocks } = readGuide(name);
  const firstPython = blocks.findIndex(({ language }) => language === "python");
  const commands = firstPython < 0 ? blocks : blocks.slice(0, firstPython);
  let session: GuideSession;

  it("has something to run", () => {
    expect(blocks.length).toBeGreaterThan(0);
  });

  describe.skipIf(!canRun || commands.length === 0)("keeps its word", () => {
    beforeAll(async () => {
      session = await openGuideSession();
    });
    afterAll(() => session?.close());

    it.each(commands.map((block) => [block.line, block] as const))("in line %d", async (_line, block) => {
      const printed = await session.run(block);
      expect(block.output === undefined ? undefined : outputDiffers(block.output, printed)).toBeUndefined();
    });
  });
});
