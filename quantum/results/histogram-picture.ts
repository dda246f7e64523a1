import { type Histogram, maxFrequent } from "./histogram.ts";

const maxBars = 32;
const bar = { height: 22, gap: 8, labelWidth: 150, width: 420, valueWidth: 130 };
const margin = 16;
const titleHeight = 34;

/**
 * A histogram as an SVG picture: one horizontal bar per outcome, the 32 most frequent ones, and where expected
 * probabilities are given a mark at each. Colours follow the viewer's light or dark preference.
 *
 * @param expected probability by outcome
 */
export function histogramPicture(
  histogram: Histogram,
  title: string,
  expected: ReadonlyMap<string, number> = new Map(),
): string {
  const { top, otherOutcomes, otherShots } = maxFrequent(histogram, maxBars);
  const shown = top.toSorted((a, b) => (a.outcome < b.outcome ? -1 : 1));
  const share = (count: number) => (histogram.shots === 0 ? 0 : count / histogram.shots);
  const longest = Math.max(
    ...shown.map(({ count }) => share(count)),
    ...shown.map(({ outcome }) => expected.get(outcome) ?? 0),
    1e-9,
  );
  const rows = shown.map(({ outcome, count }, index) => {
    const y = margin + titleHeight + index * (bar.height + bar.gap);
    const width = (share(count) / longest) * bar.width;
    const mark = expected.get(outcome);
    const middle = y + bar.height / 2 + 4;
    return [
      `<text class="outcome" x="${margin + bar.labelWidth - 8}" y="${middle}">${escapeXml(shorten(outcome))}</text>`,
      `<rect class="bar" x="${margin + bar.labelWidth}" y="${y}" width="${round(width)}" height="${bar.height}" rx="3"><title>${escapeXml(outcome)}: ${count}</title></rect>`,
      mark === undefined
        ? ""
        : `<line class="expected" x1="${round(margin + bar.labelWidth + (mark / longest) * bar.width)}" x2="${round(margin + bar.labelWidth + (mark / longest) * bar.width)}" y1="${y - 3}" y2="${y + bar.height + 3}"><title>expected ${round(mark * 100)} %</title></line>`,
      `<text class="count" x="${margin + bar.labelWidth + bar.width + 8}" y="${middle}">${count} · ${(share(count) * 100).toFixed(1)} %</text>`,
    ].join("");
  });
  const rest = otherOutcomes === 0 ? "" : ` · ${otherOutcomes} more outcomes with ${otherShots} shots`;
  const width = margin * 2 + bar.labelWidth + bar.width + bar.valueWidth;
  const height = margin * 2 + titleHeight + Math.max(1, shown.length) * (bar.height + bar.gap);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escapeXml(title)}">`,
    `<style>text{font:13px system-ui,sans-serif;fill:#1b1f24}.title{font-weight:600}.outcome{text-anchor:end;font-family:ui-monospace,monospace}.count{fill:#57606a}.bar{fill:#4c6ef5}.expected{stroke:#d9480f;stroke-width:2}@media(prefers-color-scheme:dark){text{fill:#e6edf3}.count{fill:#9da7b1}.bar{fill:#748ffc}.expected{stroke:#ffa94d}}</style>`,
    `<text class="title" x="${margin}" y="${margin + 12}">${escapeXml(shorten(title, 60))} · ${histogram.shots} shots${escapeXml(rest)}</text>`,
    ...rows,
    "</svg>",
  ].join("\n");
}

function shorten(text: string, most = 18): string {
  return text.length <= most ? text : `${text.slice(0, most / 2 - 1)}…${text.slice(-(most / 2 - 1))}`;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

function escapeXml(text: string): string {
  return (
    text
      .replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
      // biome-ignore lint/suspicious/noControlCharactersInRegex: XML 1.0 does not allow these characters at all
      .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "�")
  );
}
