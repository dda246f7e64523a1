import { decodeCursor, json, page, type Route, route } from "../http/index.ts";
import {
  CreatedToken,
  TokenBody,
  TokenPage,
  TokenParams,
  TokenPosition,
  TokenSchema,
  TokensQuery,
} from "./schemas.ts";
import type { Tokens } from "./tokens.ts";

const tag = "Tokens";
const protocol = "ketline" as const;

export function tokenRoutes(tokens: Tokens): readonly Route[] {
  return [
    route({
      method: "POST",
      path: "/api/v1/tokens",
      protocol,
      tag,
      role: "admin",
      summary: "Create a token",
      description:
        "Its secret is in this answer and nowhere else. Send it as a bearer token or as the Basic password.",
      body: TokenBody,
      responses: { 201: { description: "The token with its secret", schema: CreatedToken } },
      handle: async ({ body, actor }) => {
        const { token, secret } = await tokens.createToken(body, actor);
        return json({ ...token, token: secret }, 201, { "cache-control": "no-store" });
      },
    }),
    route({
      method: "GET",
      path: "/api/v1/tokens",
      protocol,
      tag,
      role: "admin",
      summary: "List tokens, newest first, without their secrets",
      query: TokensQuery,
      responses: { 200: { description: "One page of tokens", schema: TokenPage } },
      handle: async ({ query: { limit, cursor } }) => {
        const found = await tokens.listTokens(decodeCursor(TokenPosition, cursor), limit + 1);
        return json(
          page(
            found,
            limit,
            (token) => token,
            ({ createdMs, id }) => ({ createdMs, id }),
          ),
        );
      },
    }),
    route({
      method: "DELETE",
      path: "/api/v1/tokens/:id",
      protocol,
      tag,
      role: "admin",
      summary: "Revoke a token",
      params: TokenParams,
      responses: { 200: { description: "The token, revoked", schema: TokenSchema } },
      handle: async ({ params, actor }) => json(await tokens.revokeToken(params.id, actor)),
    }),
  ];
}
