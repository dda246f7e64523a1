import type { Cookie } from "@azure/functions";

/**
 * A Set-Cookie header (RFC 6265, section 5.2) taken apart. Headers reach the host with one value per name, so cookies go
 * their own way, and the library or the host writes them out again.
 */
export function parseCookie(header: string): Cookie {
  const [pair = "", ...attributes] = header.split(";").map((part) => part.trim());
  const [name, value] = splitPair(pair);
  const cookie: Cookie = { name, value: decode(value) };
  for (const attribute of attributes) {
    const [key, text] = splitPair(attribute);
    switch (key.toLowerCase()) {
      case "path":
        cookie.path = text;
        break;
      case "domain":
        cookie.domain = text;
        break;
      case "max-age":
        cookie.maxAge = Number(text);
        break;
      case "expires":
        cookie.expires = new Date(text);
        break;
      case "secure":
        cookie.secure = true;
        break;
      case "httponly":
        cookie.httpOnly = true;
        break;
      case "samesite":
        cookie.sameSite = sameSite[text.toLowerCase()];
        break;
    }
  }
  return cookie;
}

const sameSite: Readonly<Record<string, Cookie["sameSite"]>> = { strict: "Strict", lax: "Lax", none: "None" };

function splitPair(pair: string): [string, string] {
  const at = pair.indexOf("=");
  return at === -1 ? [pair, ""] : [pair.slice(0, at), pair.slice(at + 1)];
}

/** The library and the host percent-encode values again. */
function decode(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}
