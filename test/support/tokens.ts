import type { Hono } from "hono";
import type { Role } from "../../shared/identity/index.ts";
import { call } from "./application.ts";

/** `testGround({ env: { KETLINE_ADMIN_TOKEN: testAdminToken } })` makes an application that asks who calls. */
export const testAdminToken = "an-admin-token-for-the-tests-only";

export function bearer(token: string): Record<string, string> {
  return { authorization: `Bearer ${token}` };
}

/** As MLflow's clients send it: a token as the password of any user. */
export function basic(token: string, user = "anybody"): Record<string, string> {
  return { authorization: `Basic ${Buffer.from(`${user}:${token}`).toString("base64")}` };
}

/** A new token of this role, which also names it. The application must have been given the admin token above. */
export async function createTokenFor(app: Hono, role: Role): Promise<string> {
  const answer = await call(app, "POST", "/api/v1/tokens", { name: role, role }, bearer(testAdminToken));
  if (answer.status !== 201) throw new Error(`No token of ${role}: ${JSON.stringify(answer.body)}`);
  return (answer.body as { token: string }).token;
}
