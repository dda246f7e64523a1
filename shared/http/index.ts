export {
  type ApplicationOptions,
  createApplication,
  invalidBySchema,
  type RequestObservation,
} from "./application.ts";
export { limitBytes, readBytes, readJson } from "./body.ts";
export type { RequestExample } from "./description/examples.ts";
export { documentedPath, openApiDocument } from "./description/openapi.ts";
export { createDirectRoutes, type DirectRoutes } from "./direct.ts";
export { parseJson, unstorableAt } from "./json.ts";
export { decodeCursor, encodeCursor, page, pageOf, pageQuery } from "./page.ts";
export { errorReply, protocolOfPath } from "./protocols.ts";
export { expectedRevisionOf, expecting, tagged } from "./revision.ts";
export {
  type Call,
  type DirectCall,
  directRoute,
  type JsonReply,
  json,
  type Method,
  type Protocol,
  type RawReply,
  type Reply,
  type RequestHead,
  type Route,
  type RouteResponse,
  route,
} from "./route.ts";
export { type SystemOptions, systemRoutes } from "./system.ts";
