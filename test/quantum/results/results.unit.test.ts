import { describe, expect, it } from "vitest";
import { histogramOf, maxFrequent } from "../../../quantum/results/histogram.ts";
import { histogramPicture } from "../../../quantum/results/histogram-picture.ts";
import { histogramOfResults, resultsDocument, runHistogram } from "../../../quantum/results/results.ts";

const outcome = {
  values: ["(One, [Zero])", "(Zero, [One])"],
  shots: Uint32Array.from([0, 1, 0, 0]),
  messages: [],
  states: [],
  failures: { count: 0, first: null },
};

describe("result documents", () => {
  it("of version 2 name outcome, display and count, and every shot in its order", () => {
    expect(resultsDocument(outcome, "microsoft.quantum-results.v2")).toEqual({
      DataFormat: "microsoft.quantum-results.v2",
      Results: [
        {
          Histogram: [
            { Outcome: { Item1: 1, Item2: [0] }, Display: "(1, [0])", Count: 3 },
            { Outcome: { Item1: 0, Item2: [1] }, Display: "(0, [1])", Count: 1 },
          ],
          Shots: [
            { Item1: 1, Item2: [0] },
            { Item1: 0, Item2: [1] },
            { Item1: 1, Item2: [0] },
            { Item1: 1, Item2: [0] },
          ],
        },
      ],
    });
  });

  it.each(["microsoft.quantum-results.v1", "microsoft.quantum-results.v2"] as const)(
    "of %s read back as the histogram of the run",
    (format) => {
      const document: unknown = JSON.parse(JSON.stringify(resultsDocument(outcome, format)));
      expect(histogramOfResults(document, { shots: 4 })).toEqual(runHistogram(outcome));
    },
  );

  it("of IonQ number basis states with the first qubit as the lowest bit", () => {
    const document = { histogram: { "1": 0.25, "6": 0.75 } };
    expect(histogramOfResults(document, { shots: 100, qubits: 4 }).outcomes).toEqual([
      { outcome: "0110", count: 75 },
      { outcome: "1000", count: 25 },
    ]);
  });

  it.each([
    [
      "Rigetti's readout",
      {
        ro: [
          [0, 1],
          [0, 1],
          [1, 1],
        ],
      },
      { "01": 2, "11": 1 },
    ],
    ["Quantinuum's registers", { a: ["01", "01"], b: ["1", "0"] }, { "01 0": 1, "01 1": 1 }],
    ["counts by bit string", { "00": 3, "11": 4 }, { "00": 3, "11": 4 }],
  ])("of %s are understood", (_, document, expected) => {
    expect(histogramOfResults(document, { shots: 3 })).toEqual(histogramOf(Object.entries(expected)));
  });

  it.each([[{}], [[1, 2]], ["text"], [{ Results: [{}] }], [{ Results: [] }]])(
    "%j is no result",
    (document) => {
      expect(() => histogramOfResults(document, { shots: 3 })).toThrow(/results|Results|Histogram/);
    },
  );
});

describe("a histogram", () => {
  const histogram = histogramOf([
    ["11", 5],
    ["00", 9],
    ["01", 1],
    ["[0, 0]", 1],
  ]);

  it("adds up the names of one outcome and sorts them", () => {
    expect(histogram).toEqual({
      shots: 16,
      outcomes: [
        { outcome: "00", count: 10 },
        { outcome: "01", count: 1 },
        { outcome: "11", count: 5 },
      ],
    });
  });

  it("shows the most frequent and counts the rest", () => {
    expect(maxFrequent(histogram, 2)).toEqual({
      top: [
        { outcome: "00", count: 10 },
        { outcome: "11", count: 5 },
      ],
      otherOutcomes: 1,
      otherShots: 1,
    });
  });

  it("is drawn as well-formed XML, whatever the outcomes are called", () => {
    const hostile = histogramOf([["<script>&\"'\u0000", 1]]);
    const picture = histogramPicture(hostile, "a <b>", new Map([["<script>", 0.5]]));
    expect(picture).not.toContain("<script");
    expect(picture).not.toContain("\u0000");
    expect(picture.match(/<rect/g)).toHaveLength(1);
  });

  it("draws at most 32 bars and says what is left out", () => {
    const many = histogramOf(Array.from({ length: 100 }, (_, index) => [`o${index}`, 1] as const));
    const picture = histogramPicture(many, "many");
    expect(picture.match(/class="bar"/g)).toHaveLength(32);
    expect(picture).toContain("68 more outcomes with 68 shots");
  });
});
