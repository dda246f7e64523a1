import { DefaultAzureCredential } from "@azure/identity";

/** Azure Database for PostgreSQL takes an Entra token of this scope as the password. */
const scope = "https://ossrdbms-aad.database.windows.net/.default";

export function entraPassword(): () => Promise<string> {
  const credential = new DefaultAzureCredential();
  return async () => (await credential.getToken(scope)).token;
}
