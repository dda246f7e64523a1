/** How the client says who it is: a bearer token, a user with a password, or a function that gives a fresh token. */
export type MlflowAuth =
  | { readonly token: string }
  | { readonly username: string; readonly password: string }
  | (() => Promise<string>);

/** The value of the Authorization header. A function is asked before every attempt, so that it may renew its token. */
export async function authorizationOf(auth: MlflowAuth | undefined): Promise<string | undefined> {
  if (auth === undefined) return undefined;
  if (typeof auth === "function") return `Bearer ${await auth()}`;
  if ("token" in auth) return `Bearer ${auth.token}`;
  return `Basic ${base64(`${auth.username}:${auth.password}`)}`;
}

/** RFC 7617: the UTF-8 of both. */
function base64(text: string): string {
  return btoa(Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join(""));
}
