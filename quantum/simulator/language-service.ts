import type { IProjectHost } from "qsharp-lang";
import type { Program } from "../programs/program.ts";
import type { SourceFile } from "../programs/source.ts";
import type { Compiler } from "./compiler.ts";
import { diagnosticOf, projectRoot } from "./diagnostics.ts";
import type { CheckOutcome, Diagnostic, Profile } from "./tasks.ts";

/** Checks a program as an editor does: every remark with its position, and the callables with `@Test()`. */
export async function inspect(compiler: Compiler, program: Program, profile: Profile): Promise<CheckOutcome> {
  const [first] = program.files;
  if (first === undefined) return { diagnostics: [], tests: [] };
  const remarks = new Map<string, readonly Diagnostic[]>();
  let tests: readonly string[] = [];
  const service = await compiler.languageService(hostOf(program.files, program.language === "qsharp"));
  service.addEventListener("diagnostics", ({ detail }) => {
    remarks.set(
      detail.uri,
      detail.diagnostics.map((one) => diagnosticOf(detail.uri, one)),
    );
  });
  service.addEventListener("testCallables", ({ detail }) => {
    tests = detail.callables.map(({ callableName }) => callableName);
  });
  try {
    await service.updateConfiguration({
      targetProfile: profile,
      packageType: program.entry === null && program.language === "qsharp" ? "exe" : "lib",
    });
    await service.updateDocument(projectRoot + first.name, 1, first.text, program.language);
  } finally {
    await service.dispose(); // stops the loop after it has dealt with the document
  }
  return { diagnostics: [...remarks.values()].flat(), tests };
}

/**
 * What the compiler knows about the name at a place in a Q# file of a program: a callable's declaration, or `name : Type`.
 *
 * @param character counts from 0, on the first line of the file
 */
export async function hover(
  compiler: Compiler,
  files: readonly SourceFile[],
  file: SourceFile,
  character: number,
): Promise<string | undefined> {
  const service = await compiler.languageService(hostOf([...files, file], true));
  try {
    const uri = projectRoot + file.name;
    await service.updateConfiguration({ targetProfile: "unrestricted", packageType: "lib" });
    await service.updateDocument(uri, 1, file.text, "qsharp");
    await service.getCompletions(uri, 1, { line: 0, character: 0 }); // waits until this version is compiled
    const found = await service.getHover(uri, { line: 0, character });
    return /```qsharp\n([\s\S]*?)\n```/.exec(found?.contents ?? "")?.[1];
  } finally {
    await service.dispose();
  }
}

const directory = projectRoot.replace(/\/src\/$/, "");
const fileEntry = 1;
const directoryEntry = 2;

/** The program's files as a project in memory. Lists name whole addresses; bare names would give no source at all. */
function hostOf(files: readonly SourceFile[], hasManifest: boolean): IProjectHost {
  const texts = new Map(files.map(({ name, text }) => [projectRoot + name, text]));
  if (hasManifest) texts.set(`${directory}/qsharp.json`, "{}");
  return {
    readFile: async (uri) => texts.get(uri) ?? null,
    listDirectory: async (uri) => {
      const parent = uri.replace(/\/$/, "");
      const children = new Map<string, number>();
      for (const name of texts.keys()) {
        if (!name.startsWith(`${parent}/`)) continue;
        const [child = "", ...rest] = name.slice(parent.length + 1).split("/");
        children.set(`${parent}/${child}`, rest.length === 0 ? fileEntry : directoryEntry);
      }
      return [...children];
    },
    resolvePath: async (base, path) => `${base.replace(/\/$/, "")}/${path}`,
    fetchGithub: async (owner, repository) => {
      throw new Error(`Dependencies are not fetched: github.com/${owner}/${repository}.`);
    },
    findManifestDirectory: async () => (hasManifest ? directory : null),
  };
}
