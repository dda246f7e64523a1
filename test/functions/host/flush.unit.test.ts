import { expect, it } from "vitest";
import { flushCoalesced } from "../../../functions/host/flush.ts";
import type { Platform } from "../../../platform.ts";

it("invocations that end while a flush runs share the next one", async () => {
  const waiting: (() => void)[] = [];
  const platform = platformWith(() => new Promise((resolve) => waiting.push(resolve)));
  const first = flushCoalesced(platform);
  const others = [flushCoalesced(platform), flushCoalesced(platform), flushCoalesced(platform)];
  expect(waiting).toHaveLength(1);
  waiting[0]?.();
  await first;
  expect(waiting).toHaveLength(2);
  waiting[1]?.();
  await Promise.all(others);
  expect(waiting).toHaveLength(2);
});

it("what cannot be written fails no invocation and is tried again by the next", async () => {
  let flushes = 0;
  const platform = platformWith(async () => {
    flushes++;
    throw new Error("the store is away");
  });
  await flushCoalesced(platform);
  await flushCoalesced(platform);
  expect(flushes).toBe(2);
});

function platformWith(flush: () => Promise<void>): Platform {
  return { flush, logger: { warn: () => {} } } as unknown as Platform;
}
