import type { FunctionMetadata } from "./functions-core.ts";

/** Whether a path matches, and then the route's parameters. */
export type TemplateMatcher = (pathname: string) => Readonly<Record<string, string>> | null;

export interface FunctionRoute {
  readonly name: string;
  readonly template: string;
  readonly methods: readonly string[];
  readonly match: TemplateMatcher;
}

/** The HTTP functions in the order in which the host tries them: ascending by name, first match wins. */
export function functionRoutes(functions: Iterable<FunctionMetadata>): readonly FunctionRoute[] {
  const routes: FunctionRoute[] = [];
  for (const { name, bindings } of functions) {
    const trigger = Object.values(bindings).find((binding) => binding.type === "httpTrigger");
    if (trigger === undefined) continue;
    const template = trigger.route ? trigger.route : name;
    const methods = (trigger.methods ?? []).map((method) => method.toUpperCase());
    routes.push({ name, template, methods, match: templateMatcher(template) });
  }
  return routes.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/**
 * ASP.NET Core's route templates as far as the functions use them: literals (case-insensitive), `{name}`, `{name?}`,
 * `{*rest}` and the constraint `maxlength(n)`. Anything else is refused, so that no template is judged wrongly.
 */
export function templateMatcher(template: string): TemplateMatcher {
  if (template.startsWith("/")) throw new Error(`The route template "${template}" begins with a slash.`);
  const segments = template.split("/").map(parseSegment);
  const first = segments[0];
  if (first?.kind === "literal" && ["admin", "runtime"].includes(first.text)) {
    throw new Error(`The route template "${template}" begins with a segment that the host keeps for itself.`);
  }
  return (pathname) => {
    const parts = pathname.split("/").filter((part) => part !== "");
    const params: Record<string, string> = {};
    for (const [index, segment] of segments.entries()) {
      const part = parts[index];
      if (segment.kind === "rest") {
        params[segment.name] = parts.slice(index).join("/");
        return params;
      }
      if (segment.kind === "literal") {
        if (part?.toLowerCase() !== segment.text) return null;
      } else if (part === undefined) {
        if (!segment.optional) return null;
      } else if (part.length > segment.maxLength) {
        return null;
      } else {
        params[segment.name] = part;
      }
    }
    return parts.length > segments.length ? null : params;
  };
}

type Segment =
  | { readonly kind: "literal"; readonly text: string }
  | { readonly kind: "rest"; readonly name: string }
  | { readonly kind: "param"; readonly name: string; readonly optional: boolean; readonly maxLength: number };

function parseSegment(text: string): Segment {
  if (/^[\w.-]+$/.test(text)) return { kind: "literal", text: text.toLowerCase() };
  const rest = /^\{\*(\w+)\}$/.exec(text);
  if (rest?.[1] !== undefined) return { kind: "rest", name: rest[1] };
  const param = /^\{(\w+)(?::maxlength\((\d+)\))?(\?)?\}$/.exec(text);
  if (param?.[1] === undefined) throw new Error(`The route segment "${text}" is not understood here.`);
  return {
    kind: "param",
    name: param[1],
    optional: param[3] !== undefined,
    maxLength: param[2] === undefined ? Number.POSITIVE_INFINITY : Number(param[2]),
  };
}
