import { z } from "zod";
import { preconditionFailed } from "../../../shared/errors.ts";
import {
  expectedRevisionOf,
  expecting,
  json,
  type Route,
  route,
  tagged,
} from "../../../shared/http/index.ts";
import {
  DeleteQuery,
  Deployment,
  DeploymentName,
  DeploymentPage,
  DeploymentRevision,
  HealthBody,
  PageQuery,
  PatchDeploymentBody,
  PutDeploymentBody,
  RevisionPage,
  RollbackBody,
} from "../schemas.ts";
import type { Deployments } from "./deployments.ts";

const tag = "Deployments";
const base = "/api/v1/deployments";
const one = `${base}/:name`;
const Name = z.object({ name: DeploymentName });
const Revision = Name.extend({ revision: z.coerce.number().int().min(1) });

/** Ketline's own API of deployments. */
export function deploymentRoutes(deployments: Deployments): readonly Route[] {
  const read = { protocol: "ketline", role: "viewer", tag } as const;
  const change = { protocol: "ketline", role: "operator", tag, timeoutMs: 120_000 } as const;
  const changed = { 200: { description: "The deployment as it is now", schema: Deployment } };
  return [
    route({
      ...read,
      method: "GET",
      path: base,
      summary: "List deployments",
      query: PageQuery,
      responses: { 200: { description: "By name", schema: DeploymentPage } },
      handle: async ({ query }) => json(await deployments.listDeployments(pageOf(query))),
    }),
    route({
      ...read,
      method: "GET",
      path: one,
      summary: "Read a deployment",
      params: Name,
      responses: changed,
      handle: async ({ params }) => tagged(await deployments.getDeployment(params.name)),
    }),
    route({
      ...change,
      method: "PUT",
      path: one,
      summary: "Create a deployment, or replace what it serves",
      description:
        "Makes a new revision. Each new version is loaded first; one that cannot be served is refused. Replacing needs " +
        "the header If-Match with the revision that was read.",
      params: Name,
      body: PutDeploymentBody,
      responses: { ...changed, 201: { description: "The deployment was created", schema: Deployment } },
      handle: async (call) => {
        const { reason, ...spec } = call.body;
        const expectedRevision = expectedRevisionOf(call.request) ?? 0;
        const by = { actor: call.actor, reason, ...expecting(expectedRevision) };
        const after = await deployments.changeDeployment(call.params.name, spec, by);
        return tagged(after, expectedRevision === 0 ? 201 : 200);
      },
    }),
    route({
      ...change,
      method: "PATCH",
      path: one,
      summary: "Change parts of a deployment",
      description: "Makes a new revision. Needs the header If-Match with the revision that was read.",
      params: Name,
      body: PatchDeploymentBody,
      responses: changed,
      handle: async (call) => {
        const { reason, ...spec } = call.body;
        const expectedRevision = expectedRevisionOf(call.request);
        if (expectedRevision === undefined) {
          throw preconditionFailed(
            'If-Match is missing; send the revision that you read, such as "3", or *.',
          );
        }
        await deployments.getDeployment(call.params.name);
        const by = { actor: call.actor, reason, ...expecting(expectedRevision) };
        return tagged(await deployments.changeDeployment(call.params.name, spec, by));
      },
    }),
    route({
      ...change,
      method: "DELETE",
      path: one,
      summary: "Delete a deployment; its history stays",
      params: Name,
      query: DeleteQuery,
      responses: { 204: { description: "It was deleted" } },
      handle: async (call) => {
        const by = {
          actor: call.actor,
          reason: call.query.reason,
          ...expecting(expectedRevisionOf(call.request)),
        };
        await deployments.deleteDeployment(call.params.name, by);
        return new Response(null, { status: 204 });
      },
    }),
    route({
      ...read,
      method: "GET",
      path: `${one}/revisions`,
      summary: "List revisions, newest first",
      params: Name,
      query: PageQuery,
      responses: { 200: { description: "Newest first", schema: RevisionPage } },
      handle: async ({ params, query }) => json(await deployments.listRevisions(params.name, pageOf(query))),
    }),
    route({
      ...read,
      method: "GET",
      path: `${one}/revisions/:revision`,
      summary: "Read a revision",
      params: Revision,
      responses: { 200: { description: "The revision", schema: DeploymentRevision } },
      handle: async ({ params }) => json(await deployments.getRevision(params.name, params.revision)),
    }),
    route({
      ...change,
      method: "PUT",
      path: `${one}/revisions/:revision/health`,
      summary: "Judge a revision",
      description: "Rollbacks without a target pass over unhealthy revisions and prefer healthy ones.",
      params: Revision,
      body: HealthBody,
      responses: { 200: { description: "The revision", schema: DeploymentRevision } },
      handle: async ({ params, body, actor }) => {
        const by = { actor, reason: body.reason };
        return json(await deployments.markRevision(params.name, params.revision, body.health, by));
      },
    }),
    route({
      ...change,
      method: "POST",
      path: `${one}/rollback`,
      summary: "Go back to the last healthy revision, or to a given one",
      description:
        "Makes a new revision with the content of the old one, and marks the one that it leaves unhealthy.",
      params: Name,
      body: RollbackBody,
      responses: changed,
      handle: async (call) => {
        const { reason, toRevision } = call.body;
        const target = toRevision === undefined ? {} : { toRevision };
        const by = { actor: call.actor, reason, ...target, ...expecting(expectedRevisionOf(call.request)) };
        return tagged(await deployments.rollback(call.params.name, by));
      },
    }),
  ];
}

function pageOf({ limit, cursor }: z.infer<typeof PageQuery>) {
  return cursor === undefined ? { limit } : { limit, cursor };
}
