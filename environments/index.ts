import type { Capability } from "../shared/capability.ts";
import { environmentRoutes } from "./routes.ts";

/** Environments as code: what can be provisioned, and whether a request for one is right. */
export function createEnvironments(): Capability {
  return { routes: environmentRoutes(), jobKinds: [], timers: [] };
}
