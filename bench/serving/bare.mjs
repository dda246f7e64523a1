// What any server in this process must spend: node:http parses the JSON of a request and answers the JSON of a reply.
import { createServer } from "node:http";

const server = createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const body = Buffer.concat(chunks);
    const length = Number(request.headers["inference-header-content-length"] ?? body.length);
    const { id, inputs } = JSON.parse(body.subarray(0, length).toString());
    const rows = inputs[0].shape[0];
    const data = new Array(rows).fill(0.5);
    const text = JSON.stringify({
      model_name: "linear",
      model_version: "1",
      id: id ?? "1",
      outputs: [{ name: "Y", datatype: "FP32", shape: [rows, 1], data }],
    });
    response.writeHead(200, {
      "content-type": "application/json",
      "content-length": Buffer.byteLength(text),
    });
    response.end(text);
  });
});
server.listen(0, "127.0.0.1", () => console.log(`listens on http://127.0.0.1:${server.address().port}`));
