import { errorAt, type Token, tokensOf } from "./lexer.ts";

/** OpenQASM 2 as in "Open Quantum Assembly Language" (Cross, Bishop, Smolin, Gambetta, 2017), section 3. */
export type Statement =
  | { readonly kind: "include"; readonly file: string; readonly at: Token }
  | { readonly kind: "register"; readonly of: "qubit" | "bit"; readonly name: Token; readonly size: number }
  | { readonly kind: "gate"; readonly gate: GateDefinition }
  | { readonly kind: "opaque"; readonly name: Token }
  | {
      readonly kind: "if";
      readonly register: Token;
      readonly value: bigint;
      readonly operation: Operation;
    }
  | Operation;

export type Operation =
  | GateCall
  | { readonly kind: "measure"; readonly from: Argument; readonly to: Argument }
  | { readonly kind: "reset"; readonly argument: Argument }
  | { readonly kind: "barrier"; readonly arguments: readonly Argument[] };

export interface GateCall {
  readonly kind: "call";
  readonly name: Token;
  readonly parameters: readonly Expression[];
  readonly arguments: readonly Argument[];
}

export interface GateDefinition {
  readonly name: Token;
  readonly file: string;
  readonly parameters: readonly string[];
  readonly qubits: readonly string[];
  readonly body: readonly GateCall[];
}

/** A whole register, or one of its elements. */
export interface Argument {
  readonly name: Token;
  readonly index: number | undefined;
}

/** A parameter: a real number, given those of the gate around it. */
export interface Expression {
  readonly value: Value;
  /** How many tokens it has, which is what a look at its value costs. */
  readonly size: number;
}

type Value = (parameters: ReadonlyMap<string, number>) => number;

const functions = new Map<string, (value: number) => number>([
  ["sin", Math.sin],
  ["cos", Math.cos],
  ["tan", Math.tan],
  ["exp", Math.exp],
  ["ln", Math.log],
  ["sqrt", Math.sqrt],
]);
const maxDepth = 200;
const maxRegister = 100_000;
/** A value calls itself for each of its operators. */
const maxExpressionTokens = 2000;

/** @throws invalid with the file, line and column of what is no OpenQASM 2 */
export function parse(file: string, source: string): readonly Statement[] {
  const tokens = tokensOf(file, source);
  let position = 0;

  const peek = () => tokens[position] as Token;
  const fail = (token: Token, why: string) => errorAt(file, token, why);
  const isNext = (text: string) => peek().text === text && peek().kind !== "string";

  function next(): Token {
    const token = peek();
    if (token.kind !== "end") position += 1;
    return token;
  }

  function accept(text: string): boolean {
    if (!isNext(text)) return false;
    next();
    return true;
  }

  function expect(text: string): Token {
    if (!isNext(text)) throw fail(peek(), `stands where "${text}" is expected`);
    return next();
  }

  function name(): Token {
    const token = next();
    if (token.kind !== "name") throw fail(token, "stands where a name is expected");
    return token;
  }

  function whole(): number {
    const token = next();
    if (!/^\d{1,9}$/.test(token.text)) throw fail(token, "is not a whole number of up to nine digits");
    return Number(token.text);
  }

  function list<Item>(item: () => Item): Item[] {
    const items = [item()];
    while (accept(",")) items.push(item());
    return items;
  }

  function argument(): Argument {
    const register = name();
    if (!accept("[")) return { name: register, index: undefined };
    const index = whole();
    expect("]");
    return { name: register, index };
  }

  function sum(known: ReadonlySet<string>, depth: number): Value {
    if (depth > maxDepth) throw fail(peek(), `stands more than ${maxDepth} parentheses deep`);
    let left = product(known, depth);
    while (isNext("+") || isNext("-")) {
      const isPlus = next().text === "+";
      const [a, b] = [left, product(known, depth)];
      left = isPlus ? (given) => a(given) + b(given) : (given) => a(given) - b(given);
    }
    return left;
  }

  function product(known: ReadonlySet<string>, depth: number): Value {
    let left = signed(known, depth);
    while (isNext("*") || isNext("/")) {
      const isTimes = next().text === "*";
      const [a, b] = [left, signed(known, depth)];
      left = isTimes ? (given) => a(given) * b(given) : (given) => a(given) / b(given);
    }
    return left;
  }

  function signed(known: ReadonlySet<string>, depth: number): Value {
    if (depth > maxDepth) throw fail(peek(), `stands more than ${maxDepth} signs deep`);
    if (accept("+")) return signed(known, depth + 1);
    if (!accept("-")) return power(known, depth);
    const value = signed(known, depth + 1);
    return (given) => -value(given);
  }

  function power(known: ReadonlySet<string>, depth: number): Value {
    const base = atom(known, depth);
    if (!accept("^")) return base;
    const exponent = signed(known, depth + 1);
    return (given) => base(given) ** exponent(given);
  }

  function atom(known: ReadonlySet<string>, depth: number): Value {
    const token = next();
    if (token.kind === "number") {
      const value = Number(token.text);
      return () => value;
    }
    if (token.text === "(") {
      const value = sum(known, depth + 1);
      expect(")");
      return value;
    }
    if (token.kind !== "name") throw fail(token, "stands where a number is expected");
    if (known.has(token.text)) return (given) => given.get(token.text) ?? Number.NaN;
    if (token.text === "pi") return () => Math.PI;
    const apply = functions.get(token.text);
    if (apply === undefined) {
      throw fail(token, `is no parameter of this gate, nor pi or one of ${[...functions.keys()].join(", ")}`);
    }
    expect("(");
    const value = sum(known, depth + 1);
    expect(")");
    return (given) => apply(value(given));
  }

  function expression(known: ReadonlySet<string>): Expression {
    const [start, first] = [position, peek()];
    const value = sum(known, 0);
    const size = position - start;
    if (size > maxExpressionTokens)
      throw fail(first, `begins a parameter of more than ${maxExpressionTokens} parts`);
    return { value, size };
  }

  function parameters(known: ReadonlySet<string>): Expression[] {
    if (!accept("(") || accept(")")) return [];
    const values = list(() => expression(known));
    expect(")");
    return values;
  }

  function call(known: ReadonlySet<string>): GateCall {
    const gate = name();
    const values = parameters(known);
    const operands = list(argument);
    expect(";");
    return { kind: "call", name: gate, parameters: values, arguments: operands };
  }

  function names(): string[] {
    return list(() => name().text);
  }

  function gate(): GateDefinition {
    const own = name();
    const parameterNames = accept("(") && !accept(")") ? names() : [];
    if (parameterNames.length > 0) expect(")");
    const known = new Set(parameterNames);
    const qubits = names();
    expect("{");
    const body: GateCall[] = [];
    while (!accept("}")) {
      if (accept("barrier")) {
        list(argument);
        expect(";");
      } else body.push(call(known));
    }
    return { name: own, file, parameters: parameterNames, qubits, body };
  }

  function operation(): Operation {
    if (accept("measure")) {
      const from = argument();
      expect("->");
      const to = argument();
      expect(";");
      return { kind: "measure", from, to };
    }
    if (accept("reset")) {
      const operand = argument();
      expect(";");
      return { kind: "reset", argument: operand };
    }
    if (accept("barrier")) {
      const operands = list(argument);
      expect(";");
      return { kind: "barrier", arguments: operands };
    }
    return call(new Set());
  }

  function register(of: "qubit" | "bit"): Statement {
    const own = name();
    expect("[");
    const sizeToken = peek();
    const size = whole();
    if (size < 1 || size > maxRegister)
      throw fail(sizeToken, `is no size of a register: it has 1 to ${maxRegister} elements`);
    expect("]");
    expect(";");
    return { kind: "register", of, name: own, size };
  }

  function statement(): Statement {
    if (accept("include")) {
      const token = next();
      if (token.kind !== "string") throw fail(token, "stands where the name of a file in quotes is expected");
      expect(";");
      return { kind: "include", file: token.text.slice(1, -1), at: token };
    }
    if (accept("qreg")) return register("qubit");
    if (accept("creg")) return register("bit");
    if (accept("gate")) return { kind: "gate", gate: gate() };
    if (accept("opaque")) {
      const own = name();
      if (accept("(") && !accept(")")) {
        names();
        expect(")");
      }
      names();
      expect(";");
      return { kind: "opaque", name: own };
    }
    if (!accept("if")) return operation();
    expect("(");
    const compared = name();
    expect("==");
    const value = next();
    if (!/^\d{1,100}$/.test(value.text)) throw fail(value, "is not a whole number, 0 or more");
    expect(")");
    return { kind: "if", register: compared, value: BigInt(value.text), operation: operation() };
  }

  const statements: Statement[] = [];
  if (accept("OPENQASM")) {
    next();
    expect(";");
  }
  while (peek().kind !== "end") if (!accept(";")) statements.push(statement());
  return statements;
}
