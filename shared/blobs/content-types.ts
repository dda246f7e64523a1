/** What a blob is when nobody said so. */
const byExtension: ReadonlyMap<string, string> = new Map(
  Object.entries({
    css: "text/css",
    csv: "text/csv",
    gz: "application/gzip",
    html: "text/html",
    jpeg: "image/jpeg",
    jpg: "image/jpeg",
    js: "text/javascript",
    json: "application/json",
    jsonl: "application/x-ndjson",
    md: "text/markdown",
    ndjson: "application/x-ndjson",
    pdf: "application/pdf",
    png: "image/png",
    py: "text/x-python",
    svg: "image/svg+xml",
    tsv: "text/tab-separated-values",
    txt: "text/plain",
    xml: "application/xml",
    yaml: "application/yaml",
    yml: "application/yaml",
    zip: "application/zip",
  }),
);

/** The content type of a blob that was stored without one. */
export function defaultContentType(key: string): string {
  const extension = /\.(\w+)$/.exec(key)?.[1]?.toLowerCase();
  return (extension === undefined ? undefined : byExtension.get(extension)) ?? "application/octet-stream";
}
