import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { types } from "node:util";

/**
 * Loads modules of packages as Node.js would, with less asking: an ES module is read once its folder is known to hold
 * them, and a CommonJS package that our sources import is required at once and handed on with the names that it really
 * has, where Node.js parses all its files a second time to guess them.
 */
export function createPackageLoader() {
  /** Of each folder below node_modules, the `type` that its package.json gives it. */
  const kinds = new Map();
  const imported = new Set();

  const typeOf = (directory) => {
    if (!kinds.has(directory)) kinds.set(directory, readType(directory));
    return kinds.get(directory);
  };
  const readType = (directory) => {
    const parent = path.dirname(directory);
    if (path.basename(directory) === "node_modules" || parent === directory) return undefined;
    const manifest = path.join(directory, "package.json");
    if (!existsSync(manifest)) return typeOf(parent);
    return JSON.parse(readFileSync(manifest, "utf8")).type;
  };

  return {
    /** Tells that one of our own modules imports this. */
    imported(url) {
      imported.add(url);
    },
    /** @returns what a load hook returns, or undefined for what Node.js loads best itself */
    load(url, { conditions }) {
      if (!conditions.includes("import") || !/\.[mc]?js$/.test(url)) return undefined;
      const file = fileURLToPath(url);
      const isModule =
        url.endsWith(".mjs") || (url.endsWith(".js") && typeOf(path.dirname(file)) === "module");
      const source = isModule ? readFileSync(file, "utf8") : imported.has(url) ? facade(file) : undefined;
      return source === undefined ? undefined : { format: "module", source, shortCircuit: true };
    },
  };
}

/** An ES module with the exports of a CommonJS one; undefined when it is none, which its package.json need not say. */
function facade(file) {
  const exported = createRequire(file)(file);
  if (types.isModuleNamespaceObject(exported)) return undefined;
  const isObject = (typeof exported === "object" && exported !== null) || typeof exported === "function";
  const names = isObject ? Object.keys(exported).filter((name) => name !== "default") : [];
  return [
    'import { createRequire } from "node:module";',
    `const exported = createRequire(${JSON.stringify(file)})(${JSON.stringify(file)});`,
    "export default exported;",
    ...names.map((name, i) => `const e${i} = exported[${JSON.stringify(name)}];`),
    `export { ${names.map((name, i) => `e${i} as ${JSON.stringify(name)}`).join(", ")} };`,
  ].join("\n");
}
