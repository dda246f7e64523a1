import { forbidden } from "../errors.ts";
import type { Actor, Caller } from "./actor.ts";

/** Whoever reaches a server that has no identity configured and listens on loopback only. */
const localActor: Actor = { id: "local", name: "local", role: "admin", source: "loopback" };

/**
 * The person at this machine. Listening on loopback keeps other machines out, not the pages that this machine's browser
 * shows: a page can send requests to localhost, or point a name of its own at 127.0.0.1 (DNS rebinding). A request for
 * another host's name, or from another host's page, is therefore refused.
 *
 * @throws forbidden
 */
export function loopbackActor(request: Caller): Actor {
  const host = request.headers.get("host") ?? new URL(request.url).host;
  if (!isLoopbackHost(host)) {
    throw forbidden(
      `The Host "${host}" is not this machine. Without an identity configured Ketline answers to localhost only; set ` +
        "KETLINE_ADMIN_TOKEN, KETLINE_ENTRA_TENANT_ID or, behind Easy Auth, KETLINE_EASY_AUTH.",
    );
  }
  const origin = request.headers.get("origin");
  if (origin !== null && !isLoopbackOrigin(origin)) {
    throw forbidden(`Pages of "${origin}" may not use a Ketline that has no identity configured.`);
  }
  return localActor;
}

function isLoopbackOrigin(origin: string): boolean {
  return URL.canParse(origin) && isLoopbackHost(new URL(origin).host);
}

/** @param host as in the Host header: a name or an address, and perhaps a port */
function isLoopbackHost(host: string): boolean {
  const name = host.trim().toLowerCase().replace(/:\d*$/, "").replace(/\.$/, "");
  return (
    name === "localhost" ||
    name.endsWith(".localhost") ||
    name === "[::1]" ||
    /^127(\.\d{1,3}){3}$/.test(name)
  );
}
