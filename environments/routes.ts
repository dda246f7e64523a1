import { z } from "zod";
import { json, type Route, route } from "../shared/http/index.ts";
import { validateParameters } from "./parameters.ts";
import { EnvironmentKind, EnvironmentRequest, TemplateDescription, ValidationResult } from "./schemas.ts";
import { describeTemplate, templateOf } from "./templates.ts";

const tag = "Environments";

export function environmentRoutes(): readonly Route[] {
  return [
    route({
      method: "GET",
      path: "/api/v1/environments/templates",
      protocol: "ketline",
      role: "viewer",
      tag,
      summary: "The environments that can be provisioned, with their parameters",
      responses: {
        200: { description: "Both templates", schema: z.object({ items: z.array(TemplateDescription) }) },
      },
      handle: () => json({ items: EnvironmentKind.options.map(describeTemplate) }),
    }),
    route({
      method: "GET",
      path: "/api/v1/environments/templates/:kind",
      protocol: "ketline",
      role: "viewer",
      tag,
      summary: "One template with its parameters",
      params: z.object({ kind: EnvironmentKind }),
      responses: { 200: { description: "The template", schema: TemplateDescription } },
      handle: ({ params }) => json(describeTemplate(params.kind)),
    }),
    route({
      method: "POST",
      path: "/api/v1/environments/validate",
      protocol: "ketline",
      role: "viewer",
      tag,
      summary: "Checks the parameters of an environment without asking Azure",
      description: "Answers 200 for wrong parameters too: the question was whether they are right.",
      body: EnvironmentRequest,
      responses: {
        200: { description: "Whether they are right, and each problem", schema: ValidationResult },
      },
      handle: ({ body }) => json(validateParameters(templateOf(body.kind), body.parameters)),
    }),
  ];
}
