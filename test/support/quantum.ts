import { createTracking, type Tracking, trackingMigrations } from "../../models/tracking/index.ts";
import { createQuantum, quantumMigrations } from "../../quantum/index.ts";
import { createBlobEndpoint, createBlobLinks } from "../../shared/blobs/index.ts";
import type { Capability } from "../../shared/capability.ts";
import type { TestApplication, TestGroundOptions } from "./application.ts";
import { testGround } from "./application.ts";

export interface QuantumGround extends TestApplication {
  /** Does what the timer of this name does. */
  timer(name: string): Promise<void>;
}

/** The ground with the quantum capability, the storage behind its links, and the tracking that it logs to. */
export async function quantumGround(
  options: TestGroundOptions = {},
  disturb: (tracking: Tracking) => Tracking = (tracking) => tracking,
): Promise<QuantumGround> {
  let quantum: Capability | undefined;
  const ground = await testGround({
    ...options,
    migrations: [...quantumMigrations, ...trackingMigrations, ...(options.migrations ?? [])],
    capabilities(ground) {
      const { blobs, clock } = ground;
      const links = createBlobLinks({ signingKey: "k".repeat(32), clock });
      const tracking = createTracking(ground);
      quantum = createQuantum({ ...ground, links, tracking: disturb(tracking) });
      return [
        createBlobEndpoint({ store: blobs, links, clock, maxUploadBytes: 64 * 1024 ** 2 }),
        tracking,
        quantum,
      ];
    },
  });
  return {
    ...ground,
    async timer(name) {
      const timer = quantum?.timers.find((one) => one.name === name);
      if (timer === undefined) throw new Error(`There is no timer "${name}".`);
      await timer.run();
    },
  };
}

/** A workspace as its resource id names it, in the case that Azure's portal writes. */
export const workspacePath =
  "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/lab/providers/Microsoft.Quantum/Workspaces/bench";

export const bellSource = `import Std.Diagnostics.Fact;

operation Main() : (Result, Result) {
  use (a, b) = (Qubit(), Qubit());
  H(a);
  CNOT(a, b);
  (MResetZ(a), MResetZ(b))
}

@Test()
operation BothAgree() : Unit {
  let (a, b) = Main();
  Fact(a == b, "the two results must agree");
}
`;

export const bellQasm = `OPENQASM 3.0;
include "stdgates.inc";
qubit[2] q;
bit[2] c;
h q[0];
cx q[0], q[1];
c = measure q;
`;
