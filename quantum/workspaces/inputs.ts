import { gunzipSync } from "node:zlib";
import { z } from "zod";
import { invalid, tooLarge } from "../../shared/errors.ts";
import { parseJson } from "../../shared/http/index.ts";
import { languages, type Program, programOf } from "../programs/program.ts";
import { parseQir, type QirModule } from "../qir/module.ts";
import { qsharpOfQir } from "../qir/translation.ts";
import { limits, type Noise, type Profile, type QirProfile, qirProfiles } from "../simulator/tasks.ts";
import type { LocalTarget } from "./targets.ts";

/** What the local workspace reads, by the job's `inputDataFormat`. */
const readers: ReadonlyMap<string, (text: string, params: InputParams) => LocalInput> = new Map([
  ["ketline.program.v1", (text: string) => ({ program: readProgram(text), qir: null })],
  [
    "ketline.qsharp.v1",
    (text: string) => ({ program: programOf({ language: "qsharp", source: text }), qir: null }),
  ],
  ["qir.v1", readQir],
  ["application/qasm", readOpenQasm],
  ["qasm.v3", readOpenQasm],
  ["qasm.v2", readOpenQasm],
  ["openqasm.v3", readOpenQasm],
  ["openqasm.v2", readOpenQasm],
  ["honeywell.openqasm.v1", readOpenQasm],
]);

export const inputFormats: readonly string[] = [...readers.keys()];
export const programFormat = "ketline.program.v1";

const Probability = z.number().min(0).max(1);
const NoiseParam = z.object({
  pX: Probability.default(0),
  pY: Probability.default(0),
  pZ: Probability.default(0),
  loss: Probability.default(0),
});
const Params = z.looseObject({
  shots: z.int().min(1).max(limits.shots).nullish(),
  count: z.int().min(1).max(limits.shots).nullish(),
  entryPoint: z.string().max(200).nullish(),
  arguments: z.union([z.array(z.unknown()), z.record(z.string(), z.unknown())]).nullish(),
  noise: NoiseParam.nullish(),
});

export interface InputParams {
  readonly shots: number;
  readonly entryPoint: string | undefined;
  readonly arguments: readonly unknown[] | Readonly<Record<string, unknown>>;
  readonly noise: Noise | null;
}

/** What a job asks for when it does not say how many shots. */
const defaultShots = 100;

/** @throws invalid naming the parameter at fault */
export function readParams(params: Readonly<Record<string, unknown>>, target: LocalTarget): InputParams {
  const parsed = Params.safeParse(params);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const field = ["inputParams", ...(issue?.path ?? [])].join(".");
    throw invalid(`${field} is wrong: ${issue?.message}`, { field });
  }
  const { shots, count, entryPoint, arguments: given, noise } = parsed.data;
  if (noise != null && !target.noisy) {
    throw invalid(`inputParams.noise is for ketline.simulator.noisy; ${target.id} has no noise.`, {
      field: "inputParams.noise",
    });
  }
  return {
    shots: shots ?? count ?? defaultShots,
    entryPoint: entryPoint ?? undefined,
    arguments: given ?? [],
    noise: noise ?? target.noise,
  };
}

export interface LocalInput {
  readonly program: Program;
  /** The module that the program was translated from. */
  readonly qir: QirModule | null;
}

/** @throws invalid or unsupported when the input is not a program of the format */
export function readInput(format: string, bytes: Uint8Array, params: InputParams): LocalInput {
  const read = readers.get(format);
  if (read === undefined) throw unknownFormat(format);
  return read(textOf(bytes), params);
}

/** @throws invalid when the workspace does not read the format */
export function checkInputFormat(format: string): void {
  if (readers.get(format) === undefined) throw unknownFormat(format);
}

/** @throws invalid when QIR says that it needs more than the target's profile allows */
export function checkQirProfile(qir: QirModule, target: LocalTarget): void {
  if (target.profile === "base" && qir.profile !== "" && qir.profile !== "base_profile") {
    throw invalid(`The QIR is of the profile ${qir.profile}; ${target.id} takes base_profile only.`);
  }
}

export function isQirProfile(profile: Profile): profile is QirProfile {
  return qirProfiles.some((known) => known === profile);
}

const ProgramDocument = z.object({
  language: z.enum(languages),
  files: z.array(z.object({ name: z.string(), text: z.string() })).min(1),
  entry: z
    .discriminatedUnion("kind", [
      z.object({ kind: z.literal("expression"), text: z.string() }),
      z.object({ kind: z.literal("call"), callable: z.string(), arguments: z.array(z.unknown()) }),
    ])
    .nullable(),
});

function readProgram(text: string): Program {
  const parsed = ProgramDocument.safeParse(jsonOf(text));
  if (parsed.success) return parsed.data;
  throw invalid(`The input is no ${programFormat} document: ${z.prettifyError(parsed.error)}`);
}

function readOpenQasm(text: string, params: InputParams): LocalInput {
  const given = Array.isArray(params.arguments) && params.arguments.length === 0 ? {} : params.arguments;
  return { program: programOf({ language: "openqasm", source: text, arguments: given }), qir: null };
}

function readQir(text: string, params: InputParams): LocalInput {
  if (Object.keys(params.arguments).length > 0) {
    throw invalid("QIR with arguments is not supported here; compile the program with its arguments in it.", {
      field: "inputParams.arguments",
    });
  }
  const qir = parseQir(text, params.entryPoint);
  return { program: programOf({ language: "qsharp", source: qsharpOfQir(qir) }), qir };
}

const maxTextBytes = 16 * 1024 ** 2;
const gzipMagic = [0x1f, 0x8b] as const;

function textOf(bytes: Uint8Array): string {
  const zipped = bytes[0] === gzipMagic[0] && bytes[1] === gzipMagic[1];
  return new TextDecoder().decode(zipped ? unzip(bytes) : bytes);
}

function unzip(bytes: Uint8Array): Uint8Array {
  try {
    return gunzipSync(bytes, { maxOutputLength: maxTextBytes });
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "ERR_BUFFER_TOO_LARGE") {
      throw tooLarge(`The input has more than ${maxTextBytes} bytes when unpacked.`);
    }
    throw invalid("The input begins like gzip and is not.");
  }
}

function jsonOf(text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    return undefined;
  }
}

function unknownFormat(format: string) {
  return invalid(`inputDataFormat is "${format}"; the local workspace reads ${inputFormats.join(", ")}.`, {
    field: "inputDataFormat",
  });
}
