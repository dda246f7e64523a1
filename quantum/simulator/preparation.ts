import type { ProgramConfig } from "qsharp-lang";
import type { Entry, Program } from "../programs/program.ts";
import type { SourceFile } from "../programs/source.ts";
import type { Compiler } from "./compiler.ts";
import { entryFile, programError } from "./diagnostics.ts";
import { ArgumentMismatch, callText, importsOf, parseSignature, withoutEntryPoints } from "./entry.ts";
import { hover, inspect } from "./language-service.ts";
import type { Diagnostic, Profile } from "./tasks.ts";

/** A program as the compiler takes it. */
export interface Prepared {
  readonly files: readonly SourceFile[];
  readonly config: ProgramConfig;
  /** Q# expression to evaluate; empty for the program's entry point. */
  readonly expression: string;
}

/** The program is wrong before it runs. */
export class WrongProgram extends Error {
  readonly diagnostics: readonly Diagnostic[];

  constructor(diagnostics: readonly Diagnostic[]) {
    super(diagnostics[0]?.message ?? "The program is wrong.");
    this.name = "WrongProgram";
    this.diagnostics = diagnostics;
  }
}

/**
 * Prepares a program for running and estimating, which take an expression, or for compiling and drawing, which need an
 * entry point: there an entry of the caller becomes one, in a file of its own with the type that the compiler infers.
 *
 * @throws WrongProgram when the entry does not exist or its arguments do not fit
 */
export async function prepare(
  compiler: Compiler,
  program: Program,
  options: { readonly needs: "expression" | "entryPoint"; readonly profile?: Profile },
): Promise<Prepared> {
  const prepared = (files: readonly SourceFile[], expression: string): Prepared => ({
    files,
    expression,
    config: {
      sources: files.map(({ name, text }) => [name, text]),
      languageFeatures: [],
      projectType: program.language,
      ...(options.profile === undefined ? {} : { profile: options.profile }),
    },
  });
  const { entry } = program;
  if (entry === null) return prepared(program.files, "");
  const imports = importsOf(program);
  const call = entry.kind === "call" ? await callOf(compiler, program, entry) : { text: entry.text };
  if (options.needs === "expression") {
    return prepared(program.files, `{ ${imports}\n${call.text}\n}`);
  }
  const returns = "returns" in call ? call.returns : await typeOf(compiler, program, call.text);
  const text = `${imports} @EntryPoint() operation KetlineMain() : ${returns} {\n${call.text}\n}`;
  return prepared([...withoutEntryPoints(program.files), { name: entryFile, text }], "");
}

async function callOf(compiler: Compiler, program: Program, entry: Extract<Entry, { kind: "call" }>) {
  const signature = await signatureOf(compiler, program, entry.callable);
  try {
    const text = callText(entry.callable, signature, entry.arguments);
    return { text, returns: signature.returns };
  } catch (error) {
    if (!(error instanceof ArgumentMismatch)) throw error;
    throw new WrongProgram([{ ...programError("Ketline.Entry.Arguments", error.message), file: "entry" }]);
  }
}

async function signatureOf(compiler: Compiler, program: Program, callable: string) {
  const start = `${importsOf(program)} operation KetlineProbe() : Unit { let ketline = `;
  const file = { name: entryFile, text: `${start}${callable}; }` };
  const text = await hover(compiler, program.files, file, start.length + callable.length - 1);
  const signature = text === undefined ? undefined : parseSignature(text);
  if (signature !== undefined) return signature;
  const errors = await errorsOf(compiler, program);
  throw new WrongProgram(
    errors.length > 0
      ? errors
      : [
          {
            ...programError("Ketline.Entry.NotFound", `The program has no callable "${callable}".`),
            file: "entry",
          },
        ],
  );
}

async function typeOf(compiler: Compiler, program: Program, expression: string): Promise<string> {
  const start = `${importsOf(program)} operation KetlineProbe() : Unit { let `;
  const file = { name: entryFile, text: `${start}ketline =\n${expression}\n; }` };
  const text = await hover(compiler, program.files, file, start.length + 1);
  const type = /^ketline : ([^?]+)$/.exec(text ?? "")?.[1];
  if (type !== undefined) return type;
  const errors = await errorsOf(compiler, program, file);
  throw new WrongProgram(
    errors.length > 0
      ? errors
      : [
          {
            ...programError("Ketline.Entry.Type", `The type of the entry "${expression}" is not clear.`),
            file: "entry",
          },
        ],
  );
}

async function errorsOf(compiler: Compiler, program: Program, extra?: SourceFile) {
  const files = extra === undefined ? program.files : [...program.files, extra];
  const entry = { kind: "expression", text: "()" } as const;
  const { diagnostics } = await inspect(compiler, { ...program, files, entry }, "unrestricted");
  return diagnostics.filter(({ severity }) => severity === "error");
}
