import { invalid } from "../../../shared/errors.ts";
import { mlDomain, type OnnxModel } from "../../../shared/onnx/index.ts";

/** The newest that onnxruntime-node reads; a test tries both sides of each limit, so that an update is noticed. */
export const runtimeLimits = {
  runtime: "ONNX Runtime 1.30",
  irVersion: 13,
  opsets: new Map([
    ["", 26],
    [mlDomain, 5],
  ]),
} as const;

/** @throws invalid for a model that is newer than the runtime, saying how to write it for this one */
export function checkVersions({ irVersion, opsets, producer }: OnnxModel): void {
  const { runtime, irVersion: newest } = runtimeLimits;
  const by = producer === "" ? "" : ` (written by ${producer.slice(0, 100)})`;
  if (irVersion > newest) {
    throw invalid(
      `It is of ONNX IR version ${irVersion}, and the runtime here, ${runtime}, reads versions up to ${newest}${by}. ` +
        `Where it uses nothing newer, set model.ir_version = ${newest} with the package onnx and save it again.`,
    );
  }
  for (const [domain, version] of opsets) {
    const most = runtimeLimits.opsets.get(domain);
    if (most === undefined || version <= most) continue;
    throw invalid(
      `It uses version ${version} of the operators ${domain === "" ? "ai.onnx" : domain}, and the runtime here, ` +
        `${runtime}, has versions up to ${most}${by}. Export it with target_opset=${most} or less, or convert it with ` +
        "onnx.version_converter.",
    );
  }
}
