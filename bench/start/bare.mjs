// The least that answers: what Node.js itself needs from its start to its first answer.
import { createServer } from "node:http";

createServer((_request, response) => response.end("OK")).listen(Number(process.env.PORT), "127.0.0.1");
