import { createQuantum, quantumMigrations } from "../../quantum/index.ts";
import { createBlobEndpoint, createBlobLinks } from "../../shared/blobs/index.ts";
import type { Capability } from "../../shared/capability.ts";
import { type TestApplication, type TestGround, type TestGroundOptions, testGround } from "./application.ts";

/** The ground with the quantum capability and the storage that its local workspace hands out links to. */
export function quantumGround(
  options: TestGroundOptions & { readonly tracking?: Parameters<typeof createQuantum>[0]["tracking"] } = {},
): Promise<TestApplication> {
  const { tracking, ...rest } = options;
  return testGround({
    ...rest,
    migrations: [...quantumMigrations, ...(options.migrations ?? [])],
    capabilities: (ground) => capabilitiesOf(ground, tracking),
  });
}

function capabilitiesOf(
  ground: TestGround,
  tracking: Parameters<typeof createQuantum>[0]["tracking"],
): readonly Capability[] {
  const links = createBlobLinks({ signingKey: "k".repeat(32), clock: ground.clock });
  return [
    createBlobEndpoint({ store: ground.blobs, links, clock: ground.clock, maxUploadBytes: 64 * 1024 ** 2 }),
    createQuantum({ ...ground, links, ...(tracking === undefined ? {} : { tracking }) }),
  ];
}
