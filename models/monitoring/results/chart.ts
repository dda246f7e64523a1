import type { ColumnResult, MonitorResult, Verdict } from "../schemas.ts";

const width = 860;
const height = 320;
const margin = { top: 46, right: 190, bottom: 36, left: 52 };
const shownColumns = 10;
/** Okabe and Ito's colours, which most kinds of colour blindness tell apart, without yellow; then again, dashed. */
const colours = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"];
const verdictColours: Record<Verdict, string> = {
  ok: "#2e7d32",
  drift: "#c62828",
  inconclusive: "#9e9e9e",
  no_data: "#e0e0e0",
};

/**
 * A monitor's windows as a picture: each column's largest effect as a multiple of its threshold, over time, and the
 * verdict of each window below. Plain SVG: no script, no font and nothing from elsewhere.
 *
 * @param results of one series, oldest first
 */
export function severityChart(title: string, results: readonly MonitorResult[]): string {
  const lines = columnLines(results);
  const top = Math.max(1.5, ...lines.flatMap((line) => line.points.map((point) => point.severity)));
  const x = (index: number) =>
    margin.left + ((index + 0.5) / Math.max(1, results.length)) * (width - margin.left - margin.right);
  const y = (severity: number) =>
    height - margin.bottom - (Math.min(severity, top) / top) * (height - margin.top - margin.bottom);
  const body = [
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    text(margin.left, 22, title, 'font-size="15" font-weight="600"'),
    text(margin.left, 38, "largest effect as a multiple of its threshold", 'fill="#616161"'),
    ...axis(top, y),
    ...results.map((result, index) => verdictMark(result, x(index), results.length)),
    ...dates(results, x),
    ...lines.flatMap((line, index) => drawnLine(line, index, x, y)),
    ...(results.length === 0 ? [text(width / 2 - 80, height / 2, "no windows yet", 'fill="#616161"')] : []),
  ];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" ` +
      'font-family="system-ui, sans-serif" font-size="11" role="img">',
    `<title>${escaped(title)}</title>`,
    ...body,
    "</svg>",
  ].join("\n");
}

interface Line {
  readonly column: string;
  readonly points: readonly { readonly index: number; readonly severity: number; readonly drift: boolean }[];
  readonly worst: number;
}

/** The columns with the largest effects. */
function columnLines(results: readonly MonitorResult[]): Line[] {
  const points = new Map<string, Line["points"][number][]>();
  results.forEach((result, index) => {
    for (const column of result.drift.columns) {
      if (!isDrawn(column)) continue;
      const list = points.get(column.column) ?? [];
      points.set(column.column, list);
      list.push({ index, severity: column.severity ?? 0, drift: column.verdict === "drift" });
    }
  });
  return [...points]
    .map(([column, list]) => ({
      column,
      points: list,
      worst: Math.max(...list.map((point) => point.severity)),
    }))
    .sort((a, b) => b.worst - a.worst || (a.column < b.column ? -1 : 1))
    .slice(0, shownColumns)
    .map((line) => ({
      ...line,
      points: line.points.map((point) => ({ ...point, severity: Math.min(10, point.severity) })),
    }));
}

function isDrawn(column: ColumnResult): boolean {
  return column.severity !== null && (column.verdict === "ok" || column.verdict === "drift");
}

function axis(top: number, y: (severity: number) => number): string[] {
  const step = top > 5 ? 2 : top > 2.5 ? 1 : 0.5;
  const marks: string[] = [];
  for (let value = 0; value <= top; value += step) {
    const threshold = value === 1;
    const style = threshold ? 'stroke="#c62828" stroke-dasharray="5 3"' : 'stroke="#eeeeee"';
    marks.push(
      `<line x1="${margin.left}" x2="${width - margin.right}" y1="${px(y(value))}" y2="${px(y(value))}" ${style}/>`,
      text(margin.left - 8, y(value) + 4, String(value), 'text-anchor="end" fill="#616161"'),
    );
  }
  return marks;
}

function verdictMark(result: MonitorResult, x: number, count: number): string {
  const wide = Math.max(2, Math.min(24, (width - margin.left - margin.right) / count - 2));
  const { verdict, reason } = result.drift;
  const label = `${day(result.windowStartMs || result.windowEndMs)}: ${verdict}. ${reason}`;
  return (
    `<rect x="${px(x - wide / 2)}" y="${height - margin.bottom + 4}" width="${px(wide)}" height="7" ` +
    `fill="${verdictColours[verdict]}"><title>${escaped(label)}</title></rect>`
  );
}

function dates(results: readonly MonitorResult[], x: (index: number) => number): string[] {
  const every = Math.max(1, Math.ceil(results.length / 8));
  return results.flatMap((result, index) =>
    index % every === 0
      ? [
          text(
            x(index),
            height - 8,
            day(result.windowStartMs || result.windowEndMs),
            'text-anchor="middle" fill="#616161"',
          ),
        ]
      : [],
  );
}

function drawnLine(
  line: Line,
  index: number,
  x: (index: number) => number,
  y: (severity: number) => number,
): string[] {
  const colour = colours[index % colours.length] ?? "#000000";
  const dash = index >= colours.length ? ' stroke-dasharray="4 3"' : "";
  const path = line.points
    .map((point, i) => `${i === 0 ? "M" : "L"}${px(x(point.index))} ${px(y(point.severity))}`)
    .join(" ");
  const legendY = margin.top + 8 + index * 18;
  const legendX = width - margin.right + 14;
  const name = line.column.length > 24 ? `${line.column.slice(0, 23)}…` : line.column;
  return [
    `<path d="${path}" fill="none" stroke="${colour}" stroke-width="1.8"${dash}/>`,
    ...line.points.map(
      (point) =>
        `<circle cx="${px(x(point.index))}" cy="${px(y(point.severity))}" r="${point.drift ? 4 : 2}" fill="${colour}"/>`,
    ),
    `<line x1="${legendX}" x2="${legendX + 18}" y1="${legendY - 4}" y2="${legendY - 4}" stroke="${colour}" stroke-width="1.8"${dash}/>`,
    text(legendX + 24, legendY, name, ""),
  ];
}

function text(x: number, y: number, content: string, attributes: string): string {
  return `<text x="${px(x)}" y="${px(y)}" ${attributes}>${escaped(content)}</text>`;
}

function px(value: number): string {
  return String(Math.round(value * 10) / 10);
}

function day(atMs: number): string {
  return new Date(atMs).toISOString().slice(0, 10);
}

/** Names are the callers': nothing of them may become markup. Control characters cannot stand in XML at all. */
function escaped(content: string): string {
  return content
    .replaceAll(/[^\P{C}\n]/gu, "")
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}
