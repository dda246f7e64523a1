import type { GroundClient } from "./ground.ts";

/** Tokens, templates, lists of jobs and changes, the registry's history. */
export async function askForTheRest({ send, named }: GroundClient): Promise<void> {
  await send("POST", "/api/v1/tokens", { name: named("ci"), role: "viewer" }).catch(() => {});
  await send("POST", "/api/v1/environments/validate", {
    kind: "classical",
    parameters: { location: "westeurope" },
  });
  await send("GET", "/api/v1/jobs?limit=2");
  await send("GET", "/api/v1/audit?limit=2");
  const registry = `/api/v1/registry/${named("linear")}`;
  await send("GET", `${registry}/history?limit=1`);
  await send("POST", `${registry}/aliases/champion/rollback`, { reason: "r" }).catch(() => {});
}
