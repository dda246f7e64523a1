import { describe, it } from "vitest";
import { hasCurl, runGuide } from "../support/guide-session.ts";
import { guideNames, readGuide } from "../support/guides.ts";
import { pythonPath } from "../support/python.ts";

const python = hasCurl() ? pythonPath() : undefined;
const guides = guideNames()
  .map(readGuide)
  .filter(({ blocks }) => blocks.some(({ language }) => language === "python"));

/** Pages with Python, whole, with the stock clients of test/clients/requirements.txt. */
describe.skipIf(python === undefined)("the Python of guides", () => {
  it.each(guides)("$name keeps its word", ({ name, blocks }) => runGuide(name, blocks, { python: python! }));
});
