import { release, type } from "node:os";

/** What a model's last bits may hang on, beside its data and its code. */
export function environmentOf(): Record<string, string> {
  return {
    node: process.versions.node,
    v8: process.versions.v8,
    platform: `${process.platform}-${process.arch}`,
    system: `${type()} ${release()}`,
  };
}
