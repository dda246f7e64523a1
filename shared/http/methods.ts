import type { Route } from "./route.ts";

/** The methods that a path takes (RFC 9110, section 10.2.1), so that a wrong one is told the right ones. */
export interface PathMethods {
  /** For `Allow`: with HEAD where GET is, and OPTIONS; empty for a path that nothing answers. */
  of(path: string): readonly string[];
}

export function createPathMethods(routes: readonly Pick<Route, "method" | "path">[]): PathMethods {
  const methodsOf = new Map<string, Set<string>>();
  for (const { method, path } of routes) {
    const methods = methodsOf.get(path) ?? new Set();
    methods.add(method);
    if (method === "GET") methods.add("HEAD");
    methodsOf.set(path, methods);
  }
  const patterns = [...methodsOf].map(([path, methods]) => ({ pattern: patternOf(path), methods }));
  return {
    of(path) {
      const found = new Set<string>();
      for (const { pattern, methods } of patterns) {
        if (pattern.test(path)) for (const method of methods) found.add(method);
      }
      return found.size === 0 ? [] : [...found, "OPTIONS"];
    },
  };
}

/** The router tells only which handler a method has at a path; this reads the same templates for all of them. */
function patternOf(path: string): RegExp {
  const segments = path.split("/").map((segment) => {
    if (/^:\w+\{\.\+\}$/.test(segment)) return "[\\s\\S]+";
    return segment.startsWith(":") ? "[^/]+" : segment.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  });
  return new RegExp(`^${segments.join("/")}$`);
}
