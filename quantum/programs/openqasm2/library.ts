import { type GateDefinition, parse } from "./parser.ts";

/** What the compiler underneath does right, whatever its parameters, up to a phase of the whole. */
export const primitives: ReadonlyMap<string, { readonly parameters: number; readonly qubits: number }> =
  new Map([
    ...["id", "x", "y", "z", "h", "s", "sdg", "t", "tdg"].map(
      (name) => [name, { parameters: 0, qubits: 1 }] as const,
    ),
    ...["ry", "rz", "u1"].map((name) => [name, { parameters: 1, qubits: 1 }] as const),
    ["u3", { parameters: 3, qubits: 1 }],
    ...["cx", "cy", "cz"].map((name) => [name, { parameters: 0, qubits: 2 }] as const),
    ["ccx", { parameters: 0, qubits: 3 }],
  ]);

/**
 * The other gates of `qelib1.inc` as Qiskit has it, and the two that the language itself has. Each is the textbook
 * decomposition of its matrix (`rx` too: the simulator of the kit takes `Rx(PI(), q); Ry(t, q)` for another rotation); a phase of the whole is left out, which no program of version 2 can tell.
 */
const source = `
gate U(t,f,l) q { u3(t,f,l) q; }
gate CX a,b { cx a,b; }
gate u(t,f,l) q { u3(t,f,l) q; }
gate rx(t) q { u3(t,-pi/2,pi/2) q; }
gate u2(f,l) q { u3(pi/2,f,l) q; }
gate u0(g) q { id q; }
gate p(l) q { u1(l) q; }
gate sx q { sdg q; h q; sdg q; }
gate sxdg q { s q; h q; s q; }
gate swap a,b { cx a,b; cx b,a; cx a,b; }
gate cswap a,b,c { cx c,b; ccx a,b,c; cx c,b; }
gate ch a,b { ry(-pi/4) b; cz a,b; ry(pi/4) b; }
gate crz(l) a,b { rz(l/2) b; cx a,b; rz(-l/2) b; cx a,b; }
gate cry(l) a,b { ry(l/2) b; cx a,b; ry(-l/2) b; cx a,b; }
gate crx(l) a,b { h b; crz(l) a,b; h b; }
gate cp(l) a,b { u1(l/2) a; u1(l/2) b; cx a,b; u1(-l/2) b; cx a,b; }
gate cu1(l) a,b { cp(l) a,b; }
gate cu3(t,f,l) a,b { u1((l+f)/2) a; u1((l-f)/2) b; cx a,b; u3(-t/2,0,-(f+l)/2) b; cx a,b; u3(t/2,f,0) b; }
gate cu(t,f,l,g) a,b { u1(g) a; cu3(t,f,l) a,b; }
gate csx a,b { h b; cp(pi/2) a,b; h b; }
gate rzz(t) a,b { cx a,b; rz(t) b; cx a,b; }
gate rxx(t) a,b { h a; h b; rzz(t) a,b; h a; h b; }
gate ryy(t) a,b { rx(pi/2) a; rx(pi/2) b; rzz(t) a,b; rx(-pi/2) a; rx(-pi/2) b; }
gate ccp(l) a,b,c { cp(l/2) b,c; cx a,b; cp(-l/2) b,c; cx a,b; cp(l/2) a,c; }
gate cccp(l) a,b,c,d { cp(l/2) c,d; ccx a,b,c; cp(-l/2) c,d; ccx a,b,c; ccp(l/2) a,b,d; }
gate c3x a,b,c,d { h d; cccp(pi) a,b,c,d; h d; }
gate c3sqrtx a,b,c,d { h d; cccp(pi/2) a,b,c,d; h d; }
gate ccccp(l) a,b,c,d,e { cp(l/2) d,e; c3x a,b,c,d; cp(-l/2) d,e; c3x a,b,c,d; cccp(l/2) a,b,c,e; }
gate c4x a,b,c,d,e { h e; ccccp(pi) a,b,c,d,e; h e; }
gate rccx a,b,c { h c; t c; cx b,c; tdg c; cx a,c; t c; cx b,c; tdg c; h c; }
gate rc3x a,b,c,d { h d; t d; cx c,d; tdg d; h d; cx a,d; t d; cx b,d; tdg d; cx a,d; t d; cx b,d; tdg d; h d; t d; cx c,d; tdg d; h d; }
`;

/** Steps of others, which no header names. */
const internal = new Set(["ccp", "cccp", "ccccp"]);
/** In the language itself, without a header. */
const builtIn = new Set(["U", "CX"]);

const definitions = new Map<string, GateDefinition>();
for (const statement of parse("qelib1.inc", source)) {
  if (statement.kind === "gate") definitions.set(statement.gate.name.text, statement.gate);
}

/** By name; steps of other gates included. */
export const library: ReadonlyMap<string, GateDefinition> = definitions;

/** What a program may call. @param header whether it includes `qelib1.inc` */
export function isNamed(name: string, header: boolean): boolean {
  if (builtIn.has(name)) return true;
  return header && !internal.has(name) && (primitives.has(name) || library.has(name));
}
