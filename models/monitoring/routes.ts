import { z } from "zod";
import {
  decodeCursor,
  expectedRevisionOf,
  expecting,
  json,
  page,
  type Route,
  route,
  tagged,
} from "../../shared/http/index.ts";
import { JobSchema } from "../../shared/jobs/index.ts";
import type { MonitoringOperations } from "./create-monitoring.ts";
import { AlertEvents } from "./notifications/schemas.ts";
import {
  AcknowledgeBody,
  Alert,
  AlertPage,
  AlertParams,
  AlertsQuery,
  CaptureStatus,
  ChartQuery,
  DeleteQuery,
  EvaluateBody,
  LabelsBody,
  LabelsReply,
  LatestQuery,
  Monitor,
  MonitorPage,
  MonitorResult,
  MuteBody,
  NameParams,
  PageQuery,
  PutMonitorBody,
  ResultPage,
  ResultsQuery,
  ResultVersions,
  RevisionPage,
  SignalList,
  VersionsQuery,
  WindowParams,
} from "./schemas.ts";

const protocol = "ketline" as const;
const tag = "Monitoring";

const NamePosition = z.object({ name: z.string() });
const RevisionPosition = z.object({ revision: z.int() });
const ResultPosition = z.object({ windowEndMs: z.int(), series: z.string() });
const AlertPosition = z.object({ firedMs: z.int(), id: z.string() });

export function monitoringRoutes(monitoring: MonitoringOperations): readonly Route[] {
  return [
    ...monitorRoutes(monitoring),
    ...resultRoutes(monitoring),
    ...alertRoutes(monitoring),
    ...labelRoutes(monitoring),
  ];
}

function monitorRoutes(monitoring: MonitoringOperations): readonly Route[] {
  const { monitors } = monitoring;
  return [
    route({
      method: "GET",
      path: "/api/v1/monitors",
      protocol,
      tag,
      role: "viewer",
      summary: "List monitors in the order of their names",
      query: PageQuery,
      responses: { 200: { description: "One page of monitors", schema: MonitorPage } },
      handle: async ({ query: { limit, cursor } }) => {
        const found = await monitors.list(decodeCursor(NamePosition, cursor)?.name ?? "", limit + 1);
        return json(
          page(
            found,
            limit,
            (monitor) => monitor,
            ({ name }) => ({ name }),
          ),
        );
      },
    }),
    route({
      method: "GET",
      path: "/api/v1/monitors/:name",
      protocol,
      tag,
      role: "viewer",
      summary: "Read a monitor",
      params: NameParams,
      responses: { 200: { description: "The monitor", schema: Monitor } },
      handle: async ({ params }) => tagged(await monitors.get(params.name)),
    }),
    route({
      method: "PUT",
      path: "/api/v1/monitors/:name",
      protocol,
      tag,
      role: "operator",
      summary: "Make a monitor, or replace one",
      description:
        "Members left out take their defaults. With If-Match the change is made only to the revision that was read.",
      params: NameParams,
      body: PutMonitorBody,
      responses: { 200: { description: "The monitor", schema: Monitor } },
      handle: async ({ params, body: { reason, ...spec }, actor, request }) =>
        tagged(
          await monitors.put(params.name, spec, { actor, reason, ...expecting(expectedRevisionOf(request)) }),
        ),
    }),
    route({
      method: "DELETE",
      path: "/api/v1/monitors/:name",
      protocol,
      tag,
      role: "operator",
      summary: "Delete a monitor; its results and its history stay",
      params: NameParams,
      query: DeleteQuery,
      responses: { 204: { description: "It is gone" } },
      handle: async ({ params, query, actor, request }) => {
        const change = { actor, reason: query.reason, ...expecting(expectedRevisionOf(request)) };
        await monitoring.removeMonitor(params.name, change);
        return { status: 204, json: null };
      },
    }),
    route({
      method: "GET",
      path: "/api/v1/monitors/:name/revisions",
      protocol,
      tag,
      role: "viewer",
      summary: "List what a monitor was, the newest revision first",
      params: NameParams,
      query: PageQuery,
      responses: { 200: { description: "One page of revisions", schema: RevisionPage } },
      handle: async ({ params, query: { limit, cursor } }) => {
        const before = decodeCursor(RevisionPosition, cursor)?.revision ?? Number.MAX_SAFE_INTEGER;
        const found = await monitors.revisions(params.name, before, limit + 1);
        return json(
          page(
            found,
            limit,
            (revision) => revision,
            ({ revision }) => ({ revision }),
          ),
        );
      },
    }),
    route({
      method: "GET",
      path: "/api/v1/monitors/:name/capture",
      protocol,
      tag,
      role: "viewer",
      summary: "Read what this instance has captured for a monitor's deployment",
      params: NameParams,
      responses: { 200: { description: "Counts since the instance started", schema: CaptureStatus } },
      handle: async ({ params }) => json(await monitoring.captureStatus(params.name)),
    }),
  ];
}

function resultRoutes(monitoring: MonitoringOperations): readonly Route[] {
  return [
    route({
      method: "POST",
      path: "/api/v1/monitors/:name/evaluate",
      protocol,
      tag,
      role: "contributor",
      summary: "Judge a window now",
      description:
        "The window that ends with this hour, or at `windowEndMs`, or a slice of a dataset. Judging a window again " +
        "adds a version to its result where something changed, and counts for alerts once.",
      params: NameParams,
      body: EvaluateBody,
      responses: { 202: { description: "The job that judges it", schema: JobSchema } },
      handle: async ({ params, body, actor }) =>
        json(await monitoring.evaluate(params.name, body, actor), 202),
    }),
    route({
      method: "GET",
      path: "/api/v1/monitors/:name/results",
      protocol,
      tag,
      role: "viewer",
      summary: "List results, the newest window first",
      params: NameParams,
      query: ResultsQuery,
      responses: { 200: { description: "One page of results", schema: ResultPage } },
      handle: async ({ params, query: { limit, cursor, series } }) => {
        const before = decodeCursor(ResultPosition, cursor);
        const found = await monitoring.results(params.name, series, before, limit + 1);
        return json(
          page(
            found,
            limit,
            (result) => result,
            (last) => ({ windowEndMs: last.windowEndMs, series: last.series }),
          ),
        );
      },
    }),
    route({
      method: "GET",
      path: "/api/v1/monitors/:name/results/latest",
      protocol,
      tag,
      role: "viewer",
      summary: "Read the result of the newest window",
      params: NameParams,
      query: LatestQuery,
      responses: { 200: { description: "The result", schema: MonitorResult } },
      handle: async ({ params, query }) => json(await monitoring.latestResult(params.name, query.series)),
    }),
    route({
      method: "GET",
      path: "/api/v1/monitors/:name/results/:windowEndMs/versions",
      protocol,
      tag,
      role: "viewer",
      summary: "List what a window was judged to be, the newest version first",
      description:
        "Late labels and predictions change a result; what it said before stays. At most 100 versions.",
      params: WindowParams,
      query: VersionsQuery,
      responses: { 200: { description: "Its versions", schema: ResultVersions } },
      handle: async ({ params, query }) =>
        json({ items: await monitoring.resultVersions(params.name, query.series, params.windowEndMs) }),
    }),
    route({
      method: "GET",
      path: "/api/v1/monitors/:name/signals",
      protocol,
      tag,
      role: "viewer",
      summary: "List the signals of a monitor and where they stand",
      params: NameParams,
      responses: { 200: { description: "All of them", schema: SignalList } },
      handle: async ({ params }) => json({ items: await monitoring.signals(params.name) }),
    }),
    route({
      method: "GET",
      path: "/api/v1/monitors/:name/chart.svg",
      protocol,
      tag,
      role: "viewer",
      summary: "Draw the effects of a monitor's columns over its windows",
      params: NameParams,
      query: ChartQuery,
      responses: { 200: { description: "A picture", contentType: "image/svg+xml" } },
      handle: async ({ params, query }) =>
        new Response(await monitoring.chart(params.name, query.series, query.windows), {
          headers: {
            "content-type": "image/svg+xml",
            // Opened by itself, a picture is a document: it may load and run nothing.
            "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
            "x-content-type-options": "nosniff",
          },
        }),
    }),
  ];
}

function alertRoutes(monitoring: MonitoringOperations): readonly Route[] {
  return [
    route({
      method: "GET",
      path: "/api/v1/alerts",
      protocol,
      tag,
      role: "viewer",
      summary: "List alerts, the newest first",
      query: AlertsQuery,
      responses: { 200: { description: "One page of alerts", schema: AlertPage } },
      handle: async ({ query: { limit, cursor, ...filter } }) => {
        const found = await monitoring.alerts(filter, decodeCursor(AlertPosition, cursor), limit + 1);
        return json(
          page(
            found,
            limit,
            (alert) => alert,
            ({ firedMs, id }) => ({ firedMs, id }),
          ),
        );
      },
    }),
    route({
      method: "GET",
      path: "/api/v1/alerts/:id",
      protocol,
      tag,
      role: "viewer",
      summary: "Read an alert",
      params: AlertParams,
      responses: { 200: { description: "The alert", schema: Alert } },
      handle: async ({ params }) => json(await monitoring.alert(params.id)),
    }),
    route({
      method: "GET",
      path: "/api/v1/alerts/:id/events",
      protocol,
      tag,
      role: "viewer",
      summary: "Read what happened to an alert, the oldest first",
      params: AlertParams,
      responses: { 200: { description: "Its life", schema: AlertEvents } },
      handle: async ({ params }) => json({ items: await monitoring.alertEvents(params.id) }),
    }),
    route({
      method: "POST",
      path: "/api/v1/alerts/:id/acknowledge",
      protocol,
      tag,
      role: "operator",
      summary: "Say that somebody looks after an alert",
      params: AlertParams,
      body: AcknowledgeBody,
      responses: { 200: { description: "The alert", schema: Alert } },
      handle: async ({ params, body, actor }) =>
        json(await monitoring.acknowledge(params.id, actor, body?.reason)),
    }),
    route({
      method: "POST",
      path: "/api/v1/alerts/:id/mute",
      protocol,
      tag,
      role: "operator",
      summary: "Have an alert's signal do nothing for a while",
      description:
        "The signal goes on, and alerts are still written down; only what would follow is left out.",
      params: AlertParams,
      body: MuteBody,
      responses: { 200: { description: "The alert", schema: Alert } },
      handle: async ({ params, body, actor }) =>
        json(await monitoring.mute(params.id, body.untilMs, actor, body.reason)),
    }),
  ];
}

function labelRoutes(monitoring: MonitoringOperations): readonly Route[] {
  return [
    route({
      method: "POST",
      path: "/api/v1/labels",
      protocol,
      tag,
      role: "contributor",
      summary: "Say what was observed about predictions",
      description:
        "By request id, and by row where a request had several. A later label for the same row replaces the one before.",
      body: LabelsBody,
      maxBodyBytes: 8 * 1024 ** 2,
      responses: { 200: { description: "How many were new or differed", schema: LabelsReply } },
      handle: async ({ body }) => json({ stored: await monitoring.addLabels(body.labels) }),
    }),
  ];
}
