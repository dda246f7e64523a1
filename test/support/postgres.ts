/**
 * The PostgreSQL server of the tests, from KETLINE_TEST_POSTGRES: a URL whose user may create databases. Without it
 * those tests are left out, aloud; in CI that is a failure.
 */
export function postgresUrl(): string | undefined {
  const url = process.env.KETLINE_TEST_POSTGRES;
  if (url !== undefined && url !== "") return url;
  const remedy = "Set KETLINE_TEST_POSTGRES=postgres://user:password@host/database to test on PostgreSQL.";
  if (process.env.CI === "true") throw new Error(`PostgreSQL must not be skipped in CI. ${remedy}`);
  // The variable reaches the test processes that come after this one in the same worker, so it is said once.
  if (process.env.KETLINE_TEST_POSTGRES_SKIPPED === undefined) {
    process.env.KETLINE_TEST_POSTGRES_SKIPPED = "said";
    console.warn(`PostgreSQL is SKIPPED. ${remedy}`);
  }
  return undefined;
}
