/** A request's body with the headers that say what it is. */
export interface Payload {
  readonly name: string;
  readonly rows: number;
  readonly features: number;
  readonly body: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
}

/** Open Inference Protocol v2, as JSON. */
export function json(rows: number, features: number): Payload {
  const values = Array.from({ length: rows * features }, (_, i) => valueAt(i));
  const inputs = [{ name: "X", shape: [rows, features], datatype: "FP32", data: values }];
  return {
    name: `${rows} × ${features} JSON`,
    rows,
    features,
    body: new TextEncoder().encode(JSON.stringify({ id: "1", inputs })),
    headers: { "content-type": "application/json" },
  };
}

/** The same with the numbers as bytes behind the JSON, in both directions. */
export function binary(rows: number, features: number): Payload {
  const values = Float32Array.from({ length: rows * features }, (_, i) => valueAt(i));
  const parameters = { binary_data_size: values.byteLength };
  const head = Buffer.from(
    JSON.stringify({
      id: "1",
      parameters: { binary_data_output: true },
      inputs: [{ name: "X", shape: [rows, features], datatype: "FP32", parameters }],
    }),
  );
  return {
    name: `${rows} × ${features} binary`,
    rows,
    features,
    body: Buffer.concat([head, new Uint8Array(values.buffer)]),
    headers: {
      "content-type": "application/octet-stream",
      "inference-header-content-length": String(head.byteLength),
    },
  };
}

/** MLflow's scoring server knows no other protocol. */
export function scoring({ rows, features }: Payload): Payload {
  const inputs = {
    X: Array.from({ length: rows }, (_, row) =>
      Array.from({ length: features }, (_, column) => valueAt(row * features + column)),
    ),
  };
  return {
    name: `${rows} × ${features} MLflow`,
    rows,
    features,
    body: new TextEncoder().encode(JSON.stringify({ inputs })),
    headers: { "content-type": "application/json" },
  };
}

/** Six digits, as measured values have. */
function valueAt(index: number): number {
  return Math.round((index % 97) * 10_309) / 1e6;
}
