import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type GuideSession, hasCurl, openGuideSession } from "../support/guide-session.ts";
import { guideNames, outputDiffers, readGuide } from "../support/guides.ts";
import { pythonPath } from "../support/python.ts";

const python = hasCurl() ? pythonPath() : undefined;
const guides = guideNames()
  .map(readGuide)
  .filter(({ blocks }) => blocks.some(({ language }) => language === "python"));

/** Pages with Python, whole, with the stock clients of test/clients/requirements.txt. */
describe.skipIf(python === undefined).each(guides)("the guide $name", ({ blocks }) => {
  let session: GuideSession;
  beforeAll(async () => {
    session = await openGuideSession({ python: python! });
  });
  afterAll(() => session?.close());

  it.each(blocks.map((block) => [block.line, block] as const))(
    "keeps its word in line %d",
    async (_, block) => {
      const printed = await session.run(block);
      expect(block.output === undefined ? undefined : outputDiffers(block.output, printed)).toBeUndefined();
    },
  );
});
