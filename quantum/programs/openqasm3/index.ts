export { bindInputs } from "./inputs.ts";
export { readRegisters } from "./registers.ts";
