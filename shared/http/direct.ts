import { type ApplicationOptions, answerRoute, type WrittenAnswer } from "./application.ts";
import type { RequestHead, Route } from "./route.ts";

/**
 * A shorter way to the routes of hot paths (`directRoute`): past the router and the objects of the Fetch API, to the same
 * declaration and the same rules (`answerRoute`). A door that can read a request cheaper asks here first, and takes the
 * application where there is no answer.
 */
export interface DirectRoutes {
  /** @param path without a query, as it was sent; one that would have to be decoded is left to the application */
  find(method: string, path: string): DirectRoute | undefined;
}

export interface DirectRoute {
  /** Never rejects. */
  answer(request: RequestHead): Promise<Response | WrittenAnswer>;
}

/** What stands for itself in a path, so that it needs no decoding: neither dots alone nor percent signs. */
const plainSegment = "(?!\\.{1,2}(?:/|$))([\\w.~-]+)";

export function createDirectRoutes(options: ApplicationOptions): DirectRoutes {
  // What a pattern in a path takes, only the router knows.
  const routes = options.routes.filter(({ direct, path }) => direct === true && !path.includes("{"));
  const fixed = new Map<string, Route>();
  const patterns = routes.filter(({ path }) => path.includes("/:")).map(compiled);
  for (const route of routes) {
    if (route.path.includes("/:")) continue;
    const twin = patterns.find(({ route: other, pattern }) => {
      return other.method === route.method && pattern.test(route.path);
    });
    // The application would take the one that was declared first.
    if (twin !== undefined)
      throw new RangeError(`${route.path} and ${twin.route.path} cannot both be direct.`);
    fixed.set(`${route.method} ${route.path}`, route);
  }
  const direct = (route: Route, path: string, params: Record<string, string>): DirectRoute => ({
    answer: (request) => answerRoute(route, { request, path, params }, options),
  });
  return {
    find(method, path) {
      const known = fixed.get(`${method} ${path}`);
      if (known !== undefined) return direct(known, path, {});
      for (const { route, pattern, names } of patterns) {
        if (route.method !== method) continue;
        const match = pattern.exec(path);
        if (match === null) continue;
        const params: Record<string, string> = {};
        for (const [index, name] of names.entries()) params[name] = match[index + 1] ?? "";
        return direct(route, path, params);
      }
      return undefined;
    },
  };
}

function compiled(route: Route) {
  const segments = route.path.split("/");
  const names = segments.flatMap((segment) => (segment.startsWith(":") ? [segment.slice(1)] : []));
  const pattern = segments.map((segment) => (segment.startsWith(":") ? plainSegment : segment)).join("/");
  return { route, names, pattern: new RegExp(`^${pattern}$`) };
}
