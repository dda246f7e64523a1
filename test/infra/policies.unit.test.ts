import { describe, expect, it } from "vitest";
import { environmentVariables, loadConfig } from "../../shared/config.ts";
import { environments, ofType, predictedResources, stages } from "./snapshots.ts";

const all = environments.flatMap((environment) =>
  stages.map((stage) => ({ environment, stage, resources: predictedResources(environment, stage) })),
);

describe.each(all)("the $environment environment, $stage", ({ environment, stage, resources }) => {
  it("keeps storage private: identities only, TLS 1.2, no anonymous blobs, deleted blobs recoverable", () => {
    const accounts = ofType(resources, "Microsoft.Storage/storageAccounts");
    expect(accounts).not.toEqual([]);
    for (const account of accounts) {
      expect(account.properties).toMatchObject({
        allowSharedKeyAccess: false,
        allowBlobPublicAccess: false,
        allowCrossTenantReplication: false,
        minimumTlsVersion: "TLS1_2",
        supportsHttpsTrafficOnly: true,
      });
      expect(account.name).toMatch(/^[a-z0-9]{3,24}$/);
    }
    for (const service of ofType(resources, "Microsoft.Storage/storageAccounts/blobServices")) {
      expect(service.properties).toMatchObject({ deleteRetentionPolicy: { enabled: true } });
    }
    for (const container of ofType(resources, "Microsoft.Storage/storageAccounts/blobServices/containers")) {
      expect(container.properties).toMatchObject({ publicAccess: "None" });
    }
  });

  it("gives rights to service principals by full role id, and to nobody more than listed", () => {
    const granted = ofType(resources, "Microsoft.Authorization/roleAssignments").map((assignment) => {
      expect(assignment.properties.principalType).toBe("ServicePrincipal");
      const role = String(assignment.properties.roleDefinitionId);
      expect(role).toMatch(
        /^\/subscriptions\/[0-9a-f-]{36}\/providers\/Microsoft.Authorization\/roleDefinitions\//,
      );
      return roleNames[role.split("/").at(-1) ?? ""] ?? role;
    });
    expect(granted.toSorted()).toEqual(expectedRoles[environment][stage]);
  });

  it("locks what must not be lost, in production", () => {
    const locks = ofType(resources, "Microsoft.Authorization/locks");
    expect(locks.length > 0).toBe(stage === "prod");
    for (const lock of locks) expect(lock.properties.level).toBe("CanNotDelete");
  });
});

describe("the environments apart", () => {
  it("hold quantum resources in the quantum one only", () => {
    for (const { environment, resources } of all) {
      const workspaces = ofType(resources, "Microsoft.Quantum/workspaces");
      expect(workspaces.length).toBe(environment === "quantum" ? 1 : 0);
      for (const workspace of workspaces) {
        expect(workspace.name).toMatch(/^[a-zA-Z0-9]+(-*[a-zA-Z0-9])*$/);
        expect(workspace.properties).toMatchObject({ apiKeyEnabled: false });
      }
    }
  });
});

describe.each(stages)("the Function App, %s", (stage) => {
  const resources = predictedResources("classical", stage);

  it("takes encrypted traffic only and has no passwords to deploy with", () => {
    const [site] = ofType(resources, "Microsoft.Web/sites");
    expect(site?.properties).toMatchObject({
      httpsOnly: true,
      siteConfig: {
        minTlsVersion: "1.2",
        ftpsState: "Disabled",
        remoteDebuggingEnabled: false,
        healthCheckPath: "/health",
      },
      functionAppConfig: {
        runtime: { name: "node", version: "22" },
        deployment: { storage: { authentication: { type: "UserAssignedIdentity" } } },
      },
    });
    const policies = ofType(resources, "Microsoft.Web/sites/basicPublishingCredentialsPolicies");
    expect(policies.map((policy) => policy.properties.allow)).toEqual([false, false]);
  });

  it("finds its package container, blob container and queues where the template makes them", () => {
    const names = (type: string) =>
      ofType(resources, type).map((resource) => resource.name.split("/").at(-1));
    expect(names("Microsoft.Storage/storageAccounts/blobServices/containers")).toEqual([
      "ketline",
      "packages",
    ]);
    expect(names("Microsoft.Storage/storageAccounts/queueServices/queues")).toEqual([
      "ketline-jobs",
      "ketline-jobs-poison",
    ]);
  });

  it("gets settings that Ketline's own configuration takes", () => {
    const [settings] = ofType(resources, "Microsoft.Web/sites/config");
    const variables = Object.fromEntries(
      Object.entries(settings?.properties ?? {}).filter(([name]) => name.startsWith("KETLINE_")),
    );
    expect(Object.keys(variables).filter((name) => !environmentVariables.includes(name))).toEqual([]);
    expect(settings?.properties).toMatchObject({ ORT_DISABLE_TELEMETRY: "1" });
    const config = loadConfig(
      Object.fromEntries(Object.entries(variables).map(([name, value]) => [name, atRunTime(String(value))])),
    );
    expect(config).toMatchObject({
      database: { kind: "postgres", entra: true, poolSize: 3 },
      blobs: { kind: "azure", containerUrl: "https://account.blob.core.windows.net/ketline" },
      queues: { kind: "azure", accountUrl: "https://account.queue.core.windows.net/" },
      identity: { easyAuth: false, adminToken: undefined },
    });
  });

  it("keeps the metadata in PostgreSQL without passwords, with backups and encrypted connections", () => {
    const [server] = ofType(resources, "Microsoft.DBforPostgreSQL/flexibleServers");
    expect(server?.properties).toMatchObject({
      authConfig: { activeDirectoryAuth: "Enabled", passwordAuth: "Disabled" },
    });
    expect(server?.properties.backup).toMatchObject({ backupRetentionDays: stage === "prod" ? 35 : 7 });
    const [transport] = ofType(resources, "Microsoft.DBforPostgreSQL/flexibleServers/configurations");
    expect(transport?.properties.value).toBe("on");
  });
});

/** What a setting would be at run time: `format()` filled in, and what only Azure knows replaced by an example. */
function atRunTime(value: string): string {
  const expression = /^\[format\('([^']*)', (.*)\)\]$/.exec(value);
  if (expression === null) return value.startsWith("[") ? "11111111-1111-1111-1111-111111111111" : value;
  const [, pattern = "", list = ""] = expression;
  const values = list.split(/, (?=(?:[^()]*\([^()]*\))*[^()]*$)/).map((argument) => {
    if (argument.endsWith(".primaryEndpoints.blob")) return "https://account.blob.core.windows.net/";
    if (argument.endsWith(".primaryEndpoints.queue")) return "https://account.queue.core.windows.net/";
    if (argument.endsWith(".fullyQualifiedDomainName")) return "server.postgres.database.azure.com";
    return argument.replace(/^'(.*)'$/, "$1");
  });
  return pattern.replace(/\{(\d)\}/g, (_, index: string) => values[Number(index)] ?? "");
}

const roleNames: Readonly<Record<string, string>> = {
  "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": "Storage Blob Data Owner",
  "974c5e8b-45b9-4653-ba55-5f855dd0fb88": "Storage Queue Data Contributor",
  "3913510d-42f4-4e42-8a64-420c390055eb": "Monitoring Metrics Publisher",
  "17d1049b-9a84-46fb-8f53-869881c3d3ab": "Storage Account Contributor",
  "ba92f5b4-2d11-453d-a403-e96b0029c9fe": "Storage Blob Data Contributor",
  "c1410b24-3e69-4857-8f86-4d0a2e603250": "Quantum Workspace Data Contributor",
};
const ofTheApp = [
  "Monitoring Metrics Publisher",
  "Storage Blob Data Owner",
  "Storage Queue Data Contributor",
];
const ofTheWorkspace = ["Storage Account Contributor", "Storage Blob Data Contributor"];
const expectedRoles = {
  classical: { dev: ofTheApp, prod: ofTheApp },
  quantum: {
    dev: ofTheWorkspace,
    prod: [
      ...ofTheWorkspace,
      "Quantum Workspace Data Contributor",
      "Storage Blob Data Contributor",
    ].toSorted(),
  },
};
