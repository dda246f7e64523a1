import { describe, expect, it } from "vitest";
import { validateParameters } from "../../environments/parameters.ts";
import { describeTemplate, templateOf } from "../../environments/templates.ts";

const classical = {
  environmentName: "dev",
  databaseAdministratorObjectId: "00000000-0000-0000-0000-000000000001",
  databaseAdministratorName: "ketline-admins",
  entraAudience: "api://ketline",
};
const quantum = {
  environmentName: "dev",
  providers: [{ providerId: "ionq", providerSku: "pay-as-you-go-cred" }],
};

const problemsOf = (kind: "classical" | "quantum", parameters: Record<string, unknown>) =>
  validateParameters(templateOf(kind), parameters).problems;

describe("the parameters of an environment", () => {
  it("are right when everything required is there", () => {
    expect(problemsOf("classical", classical)).toEqual([]);
    expect(problemsOf("quantum", quantum)).toEqual([]);
  });

  it("come back in the form that a deployment takes, with constant defaults and without computed ones", () => {
    const { parameters } = validateParameters(templateOf("classical"), classical);
    expect(parameters).toMatchObject({
      environmentName: { value: "dev" },
      instanceMemoryMB: { value: 2048 },
    });
    expect(parameters).not.toHaveProperty("location");
  });

  it("name each one that is missing, with what it is for", () => {
    expect(problemsOf("classical", { environmentName: "dev" })).toEqual([
      expect.objectContaining({
        parameter: "databaseAdministratorObjectId",
        message: expect.stringContaining("administers"),
      }),
      expect.objectContaining({ parameter: "databaseAdministratorName" }),
      expect.objectContaining({ parameter: "entraAudience" }),
    ]);
  });

  it.each([
    ["an unknown name", { sku: "x" }, "sku", /no such parameter; there are environmentName, location/],
    ["a wrong type", { alwaysReadyHttp: "2" }, "alwaysReadyHttp", /"2" is not of the type int/],
    ["a fraction for an int", { alwaysReadyHttp: 1.5 }, "alwaysReadyHttp", /1.5 is not of the type int/],
    ["a number out of range", { softDeleteDays: 0 }, "softDeleteDays", /0 is not within 1 to 365/],
    [
      "a value that is not allowed",
      { instanceMemoryMB: 1000 },
      "instanceMemoryMB",
      /not one of 512, 2048, 4096/,
    ],
    [
      "a text that is too long",
      { environmentName: "a-very-long-name" },
      "environmentName",
      /length 16.*2 to 12/,
    ],
    ["a list for an object", { tags: [] }, "tags", /not of the type object/],
  ])("refuse %s", (_, wrong, parameter, message) => {
    expect(problemsOf("classical", { ...classical, ...wrong })).toEqual([
      { parameter, message: expect.stringMatching(message) },
    ]);
  });

  it("are checked inside lists of objects, by path", () => {
    const providers = [
      { providerId: "ionq", providerSku: "pay-as-you-go-cred" },
      { providerId: "", sku: "x" },
    ];
    expect(problemsOf("quantum", { ...quantum, providers }).map((problem) => problem.parameter)).toEqual([
      "providers[1].providerId",
      "providers[1].providerSku",
      "providers[1].sku",
    ]);
    expect(problemsOf("quantum", { ...quantum, providers: [] })[0]?.message).toMatch(/length 0.*1 or more/);
    expect(problemsOf("quantum", { ...quantum, submitterPrincipalIds: [7] })[0]?.parameter).toBe(
      "submitterPrincipalIds[0]",
    );
  });
});

describe("the description of a template", () => {
  it("lists what is required and what the limits are", () => {
    const { parameters, sha256 } = describeTemplate("classical");
    expect(sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(parameters.filter((parameter) => parameter.required).map((parameter) => parameter.name)).toEqual(
      Object.keys(classical),
    );
    expect(parameters.find((parameter) => parameter.name === "softDeleteDays")).toMatchObject({
      minimum: 1,
      maximum: 365,
    });
    expect(parameters.every((parameter) => /^(Required|Optional)\. /.test(parameter.description))).toBe(true);
  });
});
