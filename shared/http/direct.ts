import { TrieRouter } from "hono/router/trie-router";
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

const plainLetters = /^\/[\w.~/-]+$/;

/** Whether a path stands for itself, so that nothing in it needs decoding: no percent sign, no dots as a segment. */
function isPlain(path: string): boolean {
  return plainLetters.test(path) && !path.includes("/.") && !path.includes("//");
}

export function createDirectRoutes(options: ApplicationOptions): DirectRoutes {
  // All routes, and the application's own router: what it would take first is taken here, or nothing.
  const router = new TrieRouter<Route>();
  for (const route of options.routes) router.add(route.method, route.path, route);
  const match = (method: string, path: string) => router.match(method, path)[0][0];
  // Most calls name their path whole, for which a look-up is half the price.
  const fixed = new Map<string, Route>();
  for (const route of options.routes) {
    const { direct, method, path } = route;
    if (direct === true && isPlain(path) && match(method, path)?.[0] === route) {
      fixed.set(`${method} ${path}`, route);
    }
  }
  const answering = (route: Route, path: string, params: Record<string, string>): DirectRoute => ({
    answer: (request) => answerRoute(route, { request, path, params }, options),
  });
  return {
    find(method, path) {
      const known = fixed.get(`${method} ${path}`);
      if (known !== undefined) return answering(known, path, {});
      if (!isPlain(path)) return undefined;
      const found = match(method, path);
      if (found?.[0].direct !== true) return undefined;
      return answering(found[0], path, found[1] as Record<string, string>);
    },
  };
}
