import type { Noise, Profile } from "../simulator/tasks.ts";
import type { WorkspaceTarget } from "./workspace.ts";

/** A simulator of the local workspace. */
export interface LocalTarget extends WorkspaceTarget {
  readonly profile: Profile;
  readonly noise: Noise | null;
}

export const localProvider = "ketline";

/** Depolarising noise of one percent and some loss: enough to see in a histogram of a few hundred shots. */
const noise: Noise = { pX: 0.01 / 3, pY: 0.01 / 3, pZ: 0.01 / 3, loss: 0.001 };

const target = (
  id: string,
  profile: Profile,
  description: string,
  own: Noise | null = null,
): LocalTarget => ({
  id,
  providerId: localProvider,
  availability: "Available",
  averageQueueTimeSeconds: 0,
  // Any number of qubits is allocated; what is limited is the memory that their state takes.
  qubits: null,
  profile,
  noisy: own !== null,
  noise: own,
  description,
  statusPage: null,
});

/** What the local workspace runs programs on. Each compiles for its profile, as hardware of that profile would ask. */
export const localTargets: readonly LocalTarget[] = [
  target("ketline.simulator", "unrestricted", "Sparse state simulator; any program, without noise"),
  target("ketline.simulator.base", "base", "The simulator for programs of QIR's base profile"),
  target(
    "ketline.simulator.adaptive",
    "adaptive_rif",
    "The simulator for programs of QIR's adaptive profile, with integers and floats",
  ),
  target(
    "ketline.simulator.noisy",
    "unrestricted",
    "The simulator with Pauli noise and loss of qubits after each gate and measurement",
    noise,
  ),
];

export function localTarget(id: string): LocalTarget | undefined {
  return localTargets.find((known) => known.id === id.toLowerCase());
}
