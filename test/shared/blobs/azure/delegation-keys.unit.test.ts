import { describe, expect, it } from "vitest";
import { createDelegationKeys, maxLinkMs } from "../../../../shared/blobs/azure/delegation-keys.ts";
import { settableClock } from "../../../support/application.ts";

const hour = 3_600_000;
const day = 24 * hour;

function account() {
  const clock = settableClock();
  const asked: { startsOn: Date; expiresOn: Date }[] = [];
  let broken = false;
  const keyUntil = createDelegationKeys({
    clock,
    async request(startsOn, expiresOn) {
      asked.push({ startsOn, expiresOn });
      if (broken) throw new Error("no token");
      return {
        signedObjectId: "object",
        signedTenantId: "tenant",
        signedStartsOn: startsOn,
        signedExpiresOn: expiresOn,
        signedService: "b",
        signedVersion: "2020-02-10",
        value: `key ${asked.length}`,
      };
    },
  });
  const breakIt = (now: boolean) => {
    broken = now;
  };
  return { clock, asked, keyUntil, breakIt };
}

describe("the keys that an Entra identity signs links with", () => {
  it("are asked for once and sign many links", async () => {
    const { clock, asked, keyUntil } = account();
    const keys = await Promise.all([hour, 2 * hour, hour].map((ms) => keyUntil(clock() + ms)));
    expect(asked).toHaveLength(1);
    expect(new Set(keys).size).toBe(1);
  });

  it("outlive each link that they sign", async () => {
    const { clock, keyUntil } = account();
    for (const ms of [hour, 20 * hour, 2 * day, 5 * hour, maxLinkMs]) {
      clock.advance(5 * hour);
      const { signedExpiresOn } = await keyUntil(clock() + ms);
      expect(signedExpiresOn.getTime()).toBeGreaterThanOrEqual(clock() + ms);
    }
  });

  it("are asked for again when they would end before a link", async () => {
    const { clock, asked, keyUntil } = account();
    await keyUntil(clock() + hour);
    clock.advance(23 * hour);
    await keyUntil(clock() + hour);
    expect(asked).toHaveLength(1);
    await keyUntil(clock() + hour + 1);
    expect(asked).toHaveLength(2);
  });

  it("never ask for more than Azure's seven days, and begin before Azure's clock can be behind", async () => {
    const { clock, asked, keyUntil } = account();
    await keyUntil(clock() + maxLinkMs);
    expect(asked[0]!.expiresOn.getTime()).toBeLessThan(clock() + 7 * day);
    expect(asked[0]!.startsOn.getTime()).toBe(clock() - hour / 4);
  });

  it("are asked for again after a failure", async () => {
    const { clock, asked, keyUntil, breakIt } = account();
    breakIt(true);
    await expect(keyUntil(clock() + hour)).rejects.toThrow("no token");
    breakIt(false);
    await expect(keyUntil(clock() + hour)).resolves.toMatchObject({ value: "key 2" });
    expect(asked).toHaveLength(2);
  });
});
