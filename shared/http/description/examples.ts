/** A request as people may paste it; parts of one in the description of the API. */
export interface ExampleRequest {
  readonly path?: Readonly<Record<string, string | number>>;
  readonly query?: Readonly<Record<string, string | number | readonly string[]>>;
  /** JSON, or the text itself where the call takes other bytes. */
  readonly body?: unknown;
}

/** The call, as `POST /api/v1/datasets/{name}`; its request; and where the answer has the ids that later ones name. */
export type RequestExample = readonly [
  call: string,
  request: ExampleRequest,
  answer?: { readonly makes: Readonly<Record<string, string>> },
];

/** The example of a call. MLflow's web page makes the same calls under a prefix of its own. */
export function exampleOf(
  examples: ReadonlyMap<string, ExampleRequest>,
  method: string,
  path: string,
): ExampleRequest | undefined {
  return examples.get(`${method} ${path.replace(/^\/ajax-api\//, "/api/")}`);
}
