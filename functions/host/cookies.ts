import type { Cookie } from "@azure/functions";
import { parseSetCookie } from "set-cookie-parser";

/**
 * The Set-Cookie headers of an answer, taken apart: headers reach the host with one value per name, so cookies go their
 * own way. Values come without percent-encoding, for the library and the host put it on again.
 */
export function cookiesOf(headers: Headers): Cookie[] {
  return parseSetCookie(headers.getSetCookie(), { silent: true }).map(
    ({ name, value, path, expires, maxAge, domain, secure, httpOnly, sameSite }) => ({
      name,
      value,
      ...(path === undefined ? {} : { path }),
      ...(expires === undefined ? {} : { expires }),
      ...(maxAge === undefined ? {} : { maxAge }),
      ...(domain === undefined ? {} : { domain }),
      ...(secure === undefined ? {} : { secure }),
      ...(httpOnly === undefined ? {} : { httpOnly }),
      ...(sameSite === undefined ? {} : { sameSite: sameSiteOf(sameSite) }),
    }),
  );
}

function sameSiteOf(text: string): Cookie["sameSite"] {
  return (["Strict", "Lax", "None"] as const).find((name) => name.toLowerCase() === text.toLowerCase());
}
