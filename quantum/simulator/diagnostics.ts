import type { IQSharpError, VSDiagnostic } from "qsharp-lang";
import type { Diagnostic } from "./tasks.ts";

/** The file in which an entry that the program does not declare itself is compiled. */
export const entryFile = "KetlineEntry.qs";

/** The line on which the entry's own text begins in what is compiled, from 0; imports and declarations stand before. */
const entryLine = 1;

/** A remark of the compiler in our words: lines and columns from 1, the entry expression as the file `entry`. */
export function diagnosticOf(document: string, { range, message, severity, code }: VSDiagnostic): Diagnostic {
  const file = fileOf(document);
  const before = file === "entry" ? entryLine : 0;
  return {
    file,
    line: Math.max(1, range.start.line + 1 - before),
    column: range.start.character + 1,
    endLine: Math.max(1, range.end.line + 1 - before),
    endColumn: range.end.character + 1,
    severity,
    code: code ?? "",
    message,
  };
}

export function diagnosticsOf(errors: readonly IQSharpError[]): readonly Diagnostic[] {
  return errors.map(({ document, diagnostic, stack }) => {
    const remark = diagnosticOf(document, diagnostic);
    return document.startsWith(librarySource) ? { ...remark, ...callerOf(stack ?? "") } : remark;
  });
}

const librarySource = "qsharp-library-source:";

/** A failure inside the standard library is shown where the program called it: the innermost frame of its own. */
function callerOf(stack: string): Partial<Diagnostic> {
  for (const [, file = "", line, column] of stack.matchAll(/^\s*at \S+ in (.+):(\d+):(\d+)$/gm)) {
    if (file.startsWith(librarySource)) continue;
    const place = { line: Number(line), column: Number(column) };
    return { file: fileOf(file), ...place, endLine: place.line, endColumn: place.column + 1 };
  }
  return {};
}

/** What a call of the compiler threw, as diagnostics; undefined when it is something else. */
export function thrownDiagnostics(error: unknown): readonly Diagnostic[] | undefined {
  if (!(error instanceof Error) || error.name !== "QdkDiagnostics" || !("diagnostics" in error))
    return undefined;
  return diagnosticsOf(error.diagnostics as readonly IQSharpError[]);
}

/** Whether the compiler itself broke down: a trap of its WebAssembly code. */
export function isPanic(error: unknown): boolean {
  return error instanceof Error && error.name === "RuntimeError";
}

/**
 * Whether the compiler's stack overflowed, its own in WebAssembly or JavaScript's: it descends once for each level of
 * what it compiles. Its memory is lost then, as after a panic.
 */
export function isOverflow(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error.name === "RuntimeError") return error.message.includes("memory access out of bounds");
  return error.name === "RangeError" && error.message.includes("call stack");
}

/** A diagnostic about the program as a whole. */
export function programError(code: string, message: string): Diagnostic {
  return { file: "", line: 1, column: 1, endLine: 1, endColumn: 1, severity: "error", code, message };
}

function fileOf(document: string): string {
  if (document === "<entry>" || document.endsWith(entryFile)) return "entry";
  if (document.startsWith("<")) return "";
  return document.startsWith(projectRoot) ? document.slice(projectRoot.length) : document;
}

/** Where the language service sees the program's files. */
export const projectRoot = "/program/src/";
