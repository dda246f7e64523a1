import { z } from "zod";
import { pageOf, pageQuery } from "../http/index.ts";
import { roles } from "./actor.ts";

const sources = ["entra", "token", "easy-auth", "loopback", "system"] as const;

export const AuditQuery = z.object({
  ...pageQuery,
  subject: z
    .string()
    .min(1)
    .max(500)
    .optional()
    .describe("The beginning of the subject, e.g. `deployment/` or `deployment/late-flights`"),
  actor: z.string().min(1).max(500).optional().describe("The id of who did it"),
  action: z.string().min(1).max(200).optional().describe("E.g. `deployment.rollback`"),
});

export const AuditPage = pageOf(
  z.object({
    id: z.string(),
    atMs: z.int(),
    actor: z.object({ id: z.string(), name: z.string(), role: z.enum(roles), source: z.enum(sources) }),
    action: z.string(),
    subject: z.string(),
    before: z.unknown(),
    after: z.unknown(),
    reason: z.string().nullable(),
  }),
);

export const AuditPosition = z.object({ id: z.string() });

const day = 24 * 3600;

export const TokenBody = z.object({
  name: z.string().trim().min(1).max(100).describe("What it is for, for people to read"),
  role: z.enum(roles),
  expiresInSeconds: z
    .int()
    .min(60)
    .max(366 * day)
    .default(90 * day)
    .describe("90 days when not given, a year at most"),
});

export const TokenSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    role: z.enum(roles),
    createdBy: z.string(),
    createdMs: z.int(),
    expiresMs: z.int(),
    revokedMs: z.int().nullable(),
    lastUsedMs: z.int().nullable().describe("To the minute"),
  })
  .meta({ title: "Token" });

export const CreatedToken = TokenSchema.extend({
  token: z.string().describe("The secret; it is shown this once and stored only as a hash"),
});

export const TokensQuery = z.object(pageQuery);
export const TokenPage = pageOf(TokenSchema);
export const TokenParams = z.object({ id: z.string().min(1).max(100) });
export const TokenPosition = z.object({ createdMs: z.int(), id: z.string() });
