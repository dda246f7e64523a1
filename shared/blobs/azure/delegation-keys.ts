import type { UserDelegationKey } from "@azure/storage-blob";
import type { Clock } from "../../clock.ts";

/** For the difference between our clock and Azure's. */
const skewMs = 15 * 60_000;
/** Azure gives user-delegation keys, and so the links that they sign, seven days from its own now. */
export const maxLinkMs = 7 * 86_400_000 - skewMs;
/** One key a day for links of up to some hours. */
const usualMs = 86_400_000;

/**
 * The keys that an Entra identity signs links with. Asking for one costs a call and it signs any number of links, so it
 * is kept until it would end before the link does.
 */
export function createDelegationKeys(dependencies: {
  readonly clock: Clock;
  request(startsOn: Date, expiresOn: Date): Promise<UserDelegationKey>;
}): (linkEndsMs: number) => Promise<UserDelegationKey> {
  const { clock, request } = dependencies;
  let current: { readonly expiresMs: number; readonly key: Promise<UserDelegationKey> } | undefined;

  return (linkEndsMs) => {
    const now = clock();
    if (current === undefined || current.expiresMs < linkEndsMs) {
      const expiresMs = Math.min(Math.max(linkEndsMs, now + usualMs), now + maxLinkMs);
      const asked = { expiresMs, key: request(new Date(now - skewMs), new Date(expiresMs)) };
      current = asked;
      asked.key.catch(() => {
        if (current === asked) current = undefined; // the next link asks again
      });
    }
    return current.key;
  };
}
