import { invalid } from "../../shared/errors.ts";
import { elaborate, isOpenQasm2 } from "./openqasm2/index.ts";
import { bindInputs, readRegisters } from "./openqasm3/index.ts";
import type { SourceFile } from "./source.ts";

export const languages = ["qsharp", "openqasm"] as const;
export type Language = (typeof languages)[number];

/** A program that is ready to compile. */
export interface Program {
  readonly language: Language;
  /** OpenQASM: the first is the program, the others may be included by it. */
  readonly files: readonly SourceFile[];
  /** What to run in place of the program's own entry point; Q# only. */
  readonly entry: Entry | null;
}

export type Entry =
  /** A Q# expression such as `main.Rotate(0.3)`. */
  | { readonly kind: "expression"; readonly text: string }
  /** A callable and its arguments as JSON, converted by the types of its parameters. */
  | { readonly kind: "call"; readonly callable: string; readonly arguments: readonly unknown[] };

/** A program as it is submitted. */
export interface ProgramSource {
  readonly language: Language;
  readonly source?: string | undefined;
  readonly files?: readonly SourceFile[] | undefined;
  readonly entry?: string | undefined;
  /** Q#: a list for the callable `entry`. OpenQASM: values of the program's `input` declarations by name. */
  readonly arguments?: readonly unknown[] | Readonly<Record<string, unknown>> | undefined;
}

/**
 * Brings a submitted program into the form that the compiler takes.
 *
 * @throws invalid when files, entry and arguments do not go together.
 */
export function programOf(submitted: ProgramSource): Program {
  const { language, entry } = submitted;
  const files = filesOf(submitted);
  if (language === "openqasm") {
    if (entry !== undefined) {
      throw invalid(`entry is "${entry}"; an OpenQASM program has no entry point to choose.`, {
        field: "entry",
      });
    }
    return { language, files: bindFirst(files, inputsOf(submitted.arguments)), entry: null };
  }
  return { language, files, entry: entryOf(entry, submitted.arguments) };
}

const stem: Readonly<Record<Language, string>> = { qsharp: "main.qs", openqasm: "main.qasm" };
const extension: Readonly<Record<Language, RegExp>> = {
  qsharp: /^[A-Za-z_][\w/]*\.qs$/,
  openqasm: /^[A-Za-z_][\w./-]*\.(qasm|inc)$/,
};

function filesOf({ language, source, files }: ProgramSource): readonly SourceFile[] {
  if ((source === undefined) === (files === undefined)) {
    throw invalid("Give the program either as `source` or as `files`.", { field: "source" });
  }
  if (source !== undefined) return [{ name: stem[language], text: source }];
  const given = files ?? [];
  for (const { name } of given) {
    if (!extension[language].test(name) || name.includes("..")) {
      const example = language === "qsharp" ? "main.qs" : "main.qasm";
      throw invalid(`The file name "${name}" is not one of a ${language} file, such as ${example}.`, {
        field: "files",
      });
    }
  }
  const twice = given.find(({ name }, index) => given.findIndex((other) => other.name === name) !== index);
  if (twice !== undefined) throw invalid(`Two files are named "${twice.name}".`, { field: "files" });
  return given;
}

function entryOf(entry: string | undefined, given: ProgramSource["arguments"]): Entry | null {
  if (entry === undefined) {
    if (given === undefined) return null;
    throw invalid("arguments need `entry`, the callable that takes them.", { field: "arguments" });
  }
  const isName = /^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$/.test(entry);
  if (given !== undefined && !isName) {
    throw invalid(`entry is "${entry}"; with arguments it must be the name of a callable.`, {
      field: "entry",
    });
  }
  if (given !== undefined && !isList(given)) {
    throw invalid("arguments of a Q# callable are a list, in the order of its parameters.", {
      field: "arguments",
    });
  }
  return isName
    ? { kind: "call", callable: entry, arguments: given ?? [] }
    : { kind: "expression", text: entry };
}

function inputsOf(given: ProgramSource["arguments"]): Readonly<Record<string, unknown>> {
  if (given === undefined) return {};
  if (isList(given)) {
    throw invalid("arguments of an OpenQASM program are an object: the values of its inputs by name.", {
      field: "arguments",
    });
  }
  return given;
}

function bindFirst(
  files: readonly SourceFile[],
  inputs: Readonly<Record<string, unknown>>,
): readonly SourceFile[] {
  const [first, ...others] = files;
  if (first === undefined)
    throw invalid("files is empty; a program has at least one file.", { field: "files" });
  if (!isOpenQasm2(first.text)) {
    const { name, text } = readRegisters(first);
    return [{ name, text: bindInputs(text, inputs) }, ...others.map(readRegisters)];
  }
  const text = elaborate(files);
  // There are none in version 2; whoever gives some is told so.
  return [{ name: first.name, text: bindInputs(text, inputs) }];
}

function isList(value: readonly unknown[] | Readonly<Record<string, unknown>>): value is readonly unknown[] {
  return Array.isArray(value);
}
