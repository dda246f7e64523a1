import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type GuideSession, hasCurl, openGuideSession } from "../support/guide-session.ts";
import { guideBlocks } from "../support/guides.ts";

describe.skipIf(!hasCurl())("the shell of a guide", () => {
  let session: GuideSession;
  beforeAll(async () => {
    session = await openGuideSession();
  });
  afterAll(() => session?.close());

  const run = (code: string, info = "sh") => session.run(guideBlocks(`\`\`\`${info}\n${code}\n\`\`\``)[0]!);

  it("keeps variables, functions and files from block to block", async () => {
    await run("name=Ketline; greet() { echo Hello, $1; }; echo there > where.txt");
    expect(await run("greet $name; cat where.txt")).toBe("Hello, Ketline\nthere\n");
  });

  it("stops at the first command that fails, also within a pipe, and goes on with the next block", async () => {
    await expect(run("echo before; false; echo after")).rejects.toThrow("It ended with 1:\nbefore\n\n");
    await expect(run("false | cat; echo after")).rejects.toThrow("It ended with 1");
    expect(await run("echo on")).toBe("on\n");
  });

  it("takes a request that is refused as a command that fails", async () => {
    const refused = "curl http://127.0.0.1:7071/api/v1/datasets/nothing";
    await expect(run(refused)).rejects.toThrow("It ended with 22");
    expect(await run(refused, "sh fails")).toContain('"status":404');
    await expect(run("curl http://localhost:7071/health", "sh fails")).rejects.toThrow(
      "It ended with 0:\nOK",
    );
  });

  it("stands in the checkout, beside the data of its server", async () => {
    expect(await run("test -f package.json && ls .ketline")).toContain("ketline.db\n");
  });
});
