import { describe, expect, it } from "vitest";
import { hoisted } from "../../../shared/http/description/components.ts";

const author = {
  type: "object",
  title: "Author",
  properties: { id: { type: "string", description: "x".repeat(120) }, name: { type: "string" } },
};
const at = (schema: object) => ({
  get: { responses: { 200: { content: { "application/json": { schema } } } } },
});
const ref = (name: string) => ({ $ref: `#/components/schemas/${name}` });

describe("schemas that stand in several places", () => {
  it("become one component, under their title", () => {
    const { paths, schemas } = hoisted({ "/a": at(author), "/b": at(author) }, []);
    expect(paths).toEqual({ "/a": at(ref("Author")), "/b": at(ref("Author")) });
    expect(schemas).toEqual({ Author: author });
  });

  it("are named by the member that has them where they have no title, and never by a name that is taken", () => {
    const { title: _, ...untitled } = author;
    const whole = { type: "object", properties: { changedBy: untitled } };
    const list = { type: "object", properties: { items: { type: "array", items: untitled } } };
    const { schemas } = hoisted({ "/a": at(whole), "/b": at(list) }, ["ChangedBy"]);
    expect(schemas).toEqual({ ChangedBy2: untitled });
    const both = {
      "/api/2.0/mlflow/runs/create": at(untitled),
      "/ajax-api/2.0/mlflow/runs/create": at(untitled),
    };
    expect(hoisted(both, []).schemas).toEqual({ RunsCreateResponse: untitled });
  });

  it("take what they contain with them, once", () => {
    const book = { type: "object", title: "Book", properties: { author } };
    const { paths, schemas } = hoisted({ "/a": at(book), "/b": at(book) }, []);
    expect(paths).toEqual({ "/a": at(ref("Book")), "/b": at(ref("Book")) });
    expect(schemas).toEqual({ Book: book });
  });

  it("stay where they are when there is one of them, or when they are short", () => {
    const short = { type: "object", properties: { id: { type: "string" } } };
    const paths = { "/a": at(author), "/b": at(short), "/c": at(short) };
    expect(hoisted(paths, [])).toEqual({ paths, schemas: {} });
  });
});
