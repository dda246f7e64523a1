import { invalid } from "../../../shared/errors.ts";

export interface Token {
  readonly kind: "name" | "number" | "string" | "symbol" | "end";
  readonly text: string;
  /** Counted from 1. */
  readonly line: number;
  readonly column: number;
}

const pattern =
  /([\s\uFEFF]+|\/\/[^\n]*|\/\*[\s\S]*?\*\/)|([A-Za-z_]\w*)|((?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|("[^"\n]*")|(->|==|[;,()[\]{}+\-*/^])/y;

/** @throws invalid naming the place of a character that OpenQASM 2 does not know */
export function tokensOf(file: string, source: string): readonly Token[] {
  const tokens: Token[] = [];
  let line = 1;
  let lineStart = 0;
  for (let at = 0; at < source.length; ) {
    pattern.lastIndex = at;
    const match = pattern.exec(source);
    const place = { line, column: at - lineStart + 1 };
    if (match === null) {
      throw errorAt(file, { ...place, text: source[at] ?? "" }, "is no character of an OpenQASM 2 program");
    }
    const [text, space, name, number, string] = match;
    if (space === undefined) {
      const kind =
        name !== undefined
          ? "name"
          : number !== undefined
            ? "number"
            : string !== undefined
              ? "string"
              : "symbol";
      tokens.push({ kind, text, ...place });
    }
    for (let next = text.indexOf("\n"); next >= 0; next = text.indexOf("\n", next + 1)) {
      line += 1;
      lineStart = at + next + 1;
    }
    at += text.length;
  }
  tokens.push({ kind: "end", text: "the end of the file", line, column: source.length - lineStart + 1 });
  return tokens;
}

/** An error of the program, with its place as compilers write it. */
export function errorAt(
  file: string,
  at: { readonly line: number; readonly column: number; readonly text: string },
  why: string,
) {
  return invalid(`${file}:${at.line}:${at.column}: "${at.text.slice(0, 100)}" ${why}.`, { field: "source" });
}
