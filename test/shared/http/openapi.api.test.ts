import { Validator } from "@seriousme/openapi-schema-validator";
import { expect, it } from "vitest";
import { openApiDocument } from "../../../shared/http/index.ts";
import { testGround } from "../../support/application.ts";

it("describes every route of jobs, tokens and the audit log in valid OpenAPI 3.1", async () => {
  const ground = await testGround();
  const routes = [ground.jobs, ground.identity, ground.audit].flatMap((capability) => capability.routes);
  const document = openApiDocument(routes, "1.0.0");
  await ground.close();
  expect((await new Validator().validate(document)).errors ?? []).toEqual([]);
  const operations = Object.values(document.paths as Record<string, object>).flatMap((path) =>
    Object.keys(path),
  );
  expect(operations).toHaveLength(routes.length);
});
