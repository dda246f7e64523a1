import { defineConfig } from "vitest/config";

/** The four kinds of test that CONTRIBUTING.md describes, each in files named after it. */
const project = (name: string, testTimeoutMs: number) => ({
  test: {
    name,
    include: [`test/**/*.${name}.test.ts`],
    environment: "node",
    env: { ORT_DISABLE_TELEMETRY: "1" },
    pool: "forks" as const,
    testTimeout: testTimeoutMs,
    hookTimeout: 120_000,
  },
});

export default defineConfig({
  test: {
    maxConcurrency: 2, // of tests that say they may run beside each other: those that mostly wait
    projects: [
      project("unit", 30_000),
      project("api", 60_000),
      project("contract", 60_000),
      project("clients", 300_000),
    ],
  },
});
