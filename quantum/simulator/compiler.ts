import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import type { ICompiler, ILanguageService, IProjectHost } from "qsharp-lang";
import { limits } from "./tasks.ts";

/** The Q# compiler and simulator, loaded into this thread. */
export interface Compiler {
  readonly compiler: ICompiler;
  languageService(host: IProjectHost): Promise<ILanguageService>;
  /** What the panic of this task said; undefined when it said nothing, which is how it dies without memory. */
  takePanic(): string | undefined;
}

/**
 * Loads qsharp-lang with its memory limited. The package's exports do not name the WebAssembly file, and Node finds the
 * package for `require` and `import` alike in dist/, beside lib/.
 */
export async function loadCompiler(): Promise<Compiler> {
  const { getCompiler, getLanguageService, loadWasmModule, log } = await import("qsharp-lang");
  const entry = createRequire(import.meta.url).resolve("qsharp-lang");
  const bytes = await readFile(path.join(path.dirname(entry), "../lib/web/qsc_wasm_bg.wasm"));
  await loadWasmModule(limitMemory(bytes, limits.memoryMiB));
  let panic: string | undefined;
  log.setLogLevel("error");
  log.logWithLevel = (_level: number, _target: string, ...args: unknown[]) => {
    panic = String(args[0]).split("\n\nStack:")[0];
  };
  const takePanic = () => {
    const said = panic;
    panic = undefined;
    return said;
  };
  const compiler = await getCompiler();
  return { compiler, languageService: getLanguageService, takePanic };
}

const memorySection = 5;
const pageBytes = 64 * 1024;

/**
 * Writes a maximum into the memory section of a WebAssembly module that has none (WebAssembly 1.0, section 5.5.8), so
 * that a program which asks for too much ends its own compiler and not the process.
 */
export function limitMemory(module: Uint8Array, maxMiB: number): ArrayBuffer {
  let at = 8; // after magic number and version
  while (at < module.length) {
    const id = module[at];
    const size = readUnsigned(module, at + 1);
    const end = size.next + size.value;
    if (id === memorySection) {
      const count = readUnsigned(module, size.next);
      const hasMaximum = (module[count.next] ?? 0) & 1;
      const initial = readUnsigned(module, count.next + 1);
      if (count.value !== 1 || hasMaximum === 1) break;
      const pages = Math.floor((maxMiB * 1024 ** 2) / pageBytes);
      const body = [1, 1, ...unsigned(initial.value), ...unsigned(pages)];
      const section = Uint8Array.from([memorySection, ...unsigned(body.length), ...body]);
      const limited = new Uint8Array(at + section.length + module.length - end);
      limited.set(module.subarray(0, at));
      limited.set(section, at);
      limited.set(module.subarray(end), at + section.length);
      return limited.buffer;
    }
    at = end;
  }
  throw new Error("The WebAssembly module of qsharp-lang has no memory of its own without a limit.");
}

/** LEB128. */
function readUnsigned(bytes: Uint8Array, start: number): { readonly value: number; readonly next: number } {
  let value = 0;
  let shift = 0;
  for (let at = start; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0;
    value |= (byte & 0x7f) << shift;
    if ((byte & 0x80) === 0) return { value: value >>> 0, next: at + 1 };
    shift += 7;
  }
  throw new Error("The WebAssembly module of qsharp-lang ends within a number.");
}

function unsigned(value: number): readonly number[] {
  const bytes: number[] = [];
  let rest = value;
  do {
    bytes.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    rest >>>= 7;
  } while (rest > 0);
  return bytes;
}
